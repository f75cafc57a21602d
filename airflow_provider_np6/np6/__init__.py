"""The NP6 REST API, without Airflow: what to ask, how to read the answer, how to prove it."""
