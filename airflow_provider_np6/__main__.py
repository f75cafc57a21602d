"""``python -m airflow_provider_np6``: what a connection may read, and what a destination contains."""

from __future__ import annotations

from airflow_provider_np6.cli import main

if __name__ == "__main__":
    main()
