"""NP6 events into files and SQL databases by Apache Airflow."""

__version__ = "0.1.0"
