"""What may be stored of a person: personal data and erased subjects are filtered out before a spool."""
