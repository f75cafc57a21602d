"""Airflow hooks of NP6."""
