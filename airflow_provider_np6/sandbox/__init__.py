"""A sandbox: an NP6 on loopback to try, demonstrate and test without an account."""

from airflow_provider_np6.sandbox.account import FakeAccount
from airflow_provider_np6.sandbox.behavior import RateLimit, ServerBehavior
from airflow_provider_np6.sandbox.faults import Fault
from airflow_provider_np6.sandbox.listed import ListedAccount
from airflow_provider_np6.sandbox.server import Sandbox

__all__ = ["FakeAccount", "Fault", "ListedAccount", "RateLimit", "Sandbox", "ServerBehavior"]
