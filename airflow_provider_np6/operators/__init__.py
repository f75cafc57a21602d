"""Airflow operators of NP6."""
