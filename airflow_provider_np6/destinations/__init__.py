"""Where events go."""

from airflow_provider_np6.destinations.files import FileDestination
from airflow_provider_np6.destinations.sql import SqlDestination

__all__ = ["FileDestination", "SqlDestination"]
