from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_np6.np6.errors import Np6AnswerError
from airflow_provider_np6.np6.streaming import batches

MB = 1024 * 1024


def test_an_endless_string_is_refused_at_the_limit() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield b'[{"a":"'
        while True:
            taken += 64 * 1024
            yield b"},{" * 21_845 + b"x"

    with pytest.raises(Np6AnswerError, match="larger than"):
        list(batches(endless(), 4 * MB))
    assert taken < 5 * MB


def test_large_events_full_of_nested_objects_are_cut_where_they_end() -> None:
    nested = b'{"data":[' + b",".join([b'{"sku":"},{"}'] * 40_000) + b"]}"
    answer = b"[" + b",".join([nested, b'{"a":1}'] * 5) + b"]"
    parts = (answer[i : i + 64 * 1024] for i in range(0, len(answer), 64 * 1024))
    sizes = [len(batch.items) for batch in batches(parts, 4 * MB)]
    assert sum(sizes) == 10
    assert max(sizes) < 10


def test_nested_objects_do_not_make_a_scan_of_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_scan() -> None:
        raise AssertionError("scanned")

    monkeypatch.setattr("airflow_provider_np6.np6.streaming.Scan", no_scan)
    event = b'{"type":"x","data":[' + b",".join([b'{"sku":"A"}'] * 200) + b'],"id":1}'
    answer = b"[" + b",".join([event] * 500) + b"]"
    parts = (answer[i : i + 64 * 1024] for i in range(0, len(answer), 64 * 1024))
    assert sum(len(batch.items) for batch in batches(parts, MB)) == 500
