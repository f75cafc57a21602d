"""Batches of their real size: where they end, and how often their bytes are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from airflow_provider_np6.np6 import json_stream as streaming
from airflow_provider_np6.np6.errors import (
    Np6ResponseError,
    Np6TimeoutError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.json_stream import Scan, batches

if TYPE_CHECKING:
    import msgspec

MB = 1024 * 1024


def test_an_endless_string_is_refused_at_the_limit() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield b'[{"a":"'
        while True:
            taken += 64 * 1024
            yield b"},{" * 21_845 + b"x"

    with pytest.raises(Np6ResponseError, match="larger than"):
        list(batches(endless(), 4 * MB))
    assert taken < 5 * MB


def test_large_events_full_of_nested_objects_are_cut_where_they_end() -> None:
    nested = b'{"data":[' + b",".join([b'{"sku":"},{"}'] * 40_000) + b"]}"
    answer = b"[" + b",".join([nested, b'{"a":1}'] * 5) + b"]"
    parts = (answer[i : i + 64 * 1024] for i in range(0, len(answer), 64 * 1024))
    sizes = [len(batch.items) for batch in batches(parts, 4 * MB)]
    assert sum(sizes) == 10
    assert max(sizes) < 10


@pytest.mark.parametrize(
    ("first", "nested", "count", "comma"),
    [
        (b'"type":"x"', b'{"sku":"A"}', 200, b","),
        (b'"type":"x"', b'{"sku":"A"}', 200, b" ,\r\n"),
        (b'"type":"x"', b'{"sku":"A"}', 2_000, b","),  # further apart than is looked back at first
        (b'"id":1', b'{"id":2}', 3, b","),  # nested objects begin as events do
    ],
)
def test_nested_objects_do_not_make_a_scan_of_every_batch(
    monkeypatch: pytest.MonkeyPatch, first: bytes, nested: bytes, count: int, comma: bytes
) -> None:
    def no_scan() -> None:
        raise AssertionError("scanned")

    monkeypatch.setattr("airflow_provider_np6.np6.json_stream.Scan", no_scan)
    event = b"{" + first + b',"data":[' + b",".join([nested] * count) + b'],"z":1}'
    events = 2 * MB // len(event)
    answer = b"[" + comma.join([event] * events) + b"]"
    parts = (answer[i : i + 64 * 1024] for i in range(0, len(answer), 64 * 1024))
    assert sum(len(batch.items) for batch in batches(parts, MB)) == events


def test_a_long_event_is_guessed_at_once_and_scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, scans = 0, 0
    decode = streaming._decode

    def counting_decode(array: bytes) -> list[msgspec.Raw]:
        nonlocal decoded
        decoded += len(array)
        return decode(array)

    def counting_scan() -> Scan:
        nonlocal scans
        scans += 1
        return Scan()

    monkeypatch.setattr(streaming, "_decode", counting_decode)
    monkeypatch.setattr(streaming, "Scan", counting_scan)
    answer = b'[{"a":[' + b",".join([b'{"a":1}'] * 500_000) + b'],"z":1},{"a":1}]'
    parts = (answer[i : i + 64 * 1024] for i in range(0, len(answer), 64 * 1024))
    assert sum(len(batch.items) for batch in batches(parts, 8 * MB)) == 2
    assert decoded < 2 * len(answer)
    assert scans == 1


def test_events_that_begin_otherwise_than_the_first_are_cut_too() -> None:
    first = b'{"a":"' + b"x" * 100_000 + b'"}'
    other = b'{"b":"' + b"x" * 100_000 + b'"}'
    answer = b"[" + b",".join([first] + [other] * 30) + b"]"
    parts = (answer[i : i + 64 * 1024] for i in range(0, len(answer), 64 * 1024))
    sizes = [len(batch.items) for batch in batches(parts, MB)]
    assert sum(sizes) == 31
    assert max(sizes) < 10


@pytest.mark.parametrize("fine", [True, False])
def test_an_event_beyond_the_limit_is_refused_in_the_last_batch_too(fine: bool) -> None:
    large = b'{"a":' + (b"0" if fine else b"NaN") + b',"b":"' + b"x" * 2_000 + b'"}'
    with pytest.raises(Np6ResponseError, match="larger than 1024 bytes"):
        list(batches(iter([b'[{"a":1},' + large + b"]"]), 1_024))


def test_what_came_before_a_break_is_handed_on_but_for_the_last_event() -> None:
    def breaking() -> Iterator[bytes]:
        yield b'[{"a":1},{"a":2},{"a":3}'
        raise Np6TimeoutError("stalled")

    came: list[bytes] = []
    with pytest.raises(Np6TimeoutError, match="stalled"):
        came.extend(bytes(item) for batch in batches(breaking(), MB) for item in batch.items)
    assert came == [b'{"a":1}', b'{"a":2}']
    came.clear()
    with pytest.raises(Np6TruncatedError):
        came.extend(
            bytes(item) for batch in batches([b'[{"a":1},{"a":2},{"a":3}'], MB) for item in batch.items
        )
    assert came == [b'{"a":1}', b'{"a":2}']
