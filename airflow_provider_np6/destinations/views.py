"""Views that people ask for, in SQL that every known database takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.table import Table


def view_statements(events: Table) -> dict[str, list[str]]:
    """For each view by name, the statements that create it anew.

    ``<table>_bounces_by_day``: day (UTC), action_id, verdict, bounces.
    ``<table>_deliverability``: domain of the recipient, activations (handed over; only where they are pulled
    too), bounces, and how many of these were hard and soft.
    """
    dialect = events.dialect
    day = dialect.day.format("occurred_at")
    at = dialect.position.format("recipient", "@")
    bounced = "CASE WHEN event_type = 'bounces'"
    bodies = {
        "bounces_by_day": f"SELECT {day} AS day, action_id, bounce_verdict AS verdict, COUNT(*) AS bounces"
        f" FROM {events.quoted} WHERE event_type = 'bounces' GROUP BY {day}, action_id, bounce_verdict",
        "deliverability": f"SELECT domain, SUM({bounced} THEN 0 ELSE 1 END) AS activations,"
        f" SUM({bounced} THEN 1 ELSE 0 END) AS bounces,"
        f" SUM({bounced} AND bounce_verdict = 'hard' THEN 1 ELSE 0 END) AS hard_bounces,"
        f" SUM({bounced} AND bounce_verdict = 'soft' THEN 1 ELSE 0 END) AS soft_bounces"
        f" FROM (SELECT LOWER(SUBSTR(recipient, {at} + 1)) AS domain, event_type, bounce_verdict"
        f" FROM {events.quoted} WHERE {at} > 0"
        " AND event_type IN ('bounces', 'activations', '/activations')) AS addressed GROUP BY domain",
    }
    statements = {}
    for suffix, body in bodies.items():
        name = f"{events.table}_{suffix}"
        quoted = ".".join(dialect.quote(part) for part in (events.schema, name) if part)
        statements[name] = [f"DROP VIEW IF EXISTS {quoted}", f"CREATE VIEW {quoted} AS {body}"]
    return statements
