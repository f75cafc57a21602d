"""What tests share: servers, Airflow runs, pulls without an operator."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The project's folder."""
