"""Airflow triggers of NP6."""
