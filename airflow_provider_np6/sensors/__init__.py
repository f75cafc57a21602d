"""Airflow sensors of NP6."""
