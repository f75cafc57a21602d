"""What NP6 does where nothing documents it: asked of a real account, read only, in few requests.

:func:`examine` asks every question of :data:`QUESTIONS` and tells what was seen beside what this provider
assumes: counts, statuses and names of fields, never an event, an address or the key.
"""

from airflow_provider_np6.conformance.findings import Finding, examine
from airflow_provider_np6.conformance.questions import QUESTIONS, Question
from airflow_provider_np6.conformance.verdict import Copes

__all__ = ["QUESTIONS", "Copes", "Finding", "Question", "examine"]
