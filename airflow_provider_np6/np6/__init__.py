"""The NP6 REST API, without Airflow: what to request, how to read the response, how to verify it."""
