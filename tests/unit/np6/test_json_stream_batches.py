"""Batches of their real size: where they end, and how often their bytes are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import msgspec
import pytest

from airflow_provider_np6.np6 import raw_batch
from airflow_provider_np6.np6.bracket_scan import BracketScan
from airflow_provider_np6.np6.errors import (
    Np6ResponseError,
    Np6TimeoutError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.json_stream import batches

MB = 1024 * 1024
SCAN = "airflow_provider_np6.np6.json_stream.BracketScan"


def pieces(array: bytes) -> Iterator[bytes]:
    return (array[start : start + 64 * 1024] for start in range(0, len(array), 64 * 1024))


@pytest.fixture
def _no_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where brackets are counted."""

    def fail() -> None:
        raise AssertionError("scanned")

    monkeypatch.setattr(SCAN, fail)


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
    array = b"[" + b",".join([nested, b'{"a":1}'] * 5) + b"]"
    sizes = [len(batch.items) for batch in batches(pieces(array), 4 * MB)]
    assert sum(sizes) == 10
    assert max(sizes) < 10


@pytest.mark.parametrize(
    ("first", "nested", "count", "comma"),
    [
        (b'"type":"x"', b'{"sku":"A"}', 200, b","),
        (b'"type":"x"', b'{"sku":"A"}', 200, b" ,\r\n"),
        (b'"type":"x"', b'{"sku":"A"}', 2_000, b","),  # further apart than the part that is searched first
        (b'"id":1', b'{"id":2}', 3, b","),  # nested objects begin as events do
    ],
)
@pytest.mark.usefixtures("_no_scan")
def test_nested_objects_do_not_make_a_scan_of_every_batch(
    first: bytes, nested: bytes, count: int, comma: bytes
) -> None:
    event = b"{" + first + b',"data":[' + b",".join([nested] * count) + b'],"z":1}'
    events = 2 * MB // len(event)
    array = b"[" + comma.join([event] * events) + b"]"
    assert sum(len(batch.items) for batch in batches(pieces(array), MB)) == events


@pytest.mark.parametrize("end", [b"]", b"", b" \n]\n"])
@pytest.mark.usefixtures("_no_scan")
def test_lone_surrogates_in_every_event_do_not_make_a_scan(end: bytes) -> None:
    event = rb'{"type":"x","data":[{"sku":"A"}],"text":"\ud83d and \ude00, \ud83d\ude00","key":"\\ud83d"}'
    events = 2 * MB // len(event)
    array = b"[" + b" ,".join([event] * events)

    def response() -> Iterator[bytes]:
        yield from pieces(array)
        if not end:
            raise Np6TimeoutError("stalled")
        yield end

    came: list[bytes] = []
    with nullcontext() if end else pytest.raises(Np6TimeoutError):
        for batch in batches(response(), MB):
            assert batch.has_lone_surrogates
            assert batch.array is not None
            assert len(msgspec.json.decode(batch.array)) == len(batch.items)
            came += map(bytes, batch.items)
    assert came == [event] * (events if end else events - 1)


def test_batches_without_lone_surrogates_are_not_copied() -> None:
    good, bad = rb'{"a":"\ud83d\ude00"}', rb'{"a":"\ud83d"}'
    array = b"[" + b",".join([good] * 30_000 + [bad] + [good] * 30_000) + b"]"
    kinds = [(batch.has_lone_surrogates, type(batch.items[0])) for batch in batches(pieces(array), MB)]
    assert kinds.count((True, bytes)) == 1
    assert kinds.count((False, msgspec.Raw)) == len(kinds) - 1 > 1


def test_a_long_event_is_guessed_once_and_scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, scans = 0, 0
    decode = raw_batch._decode

    def counting_decode(array: bytes) -> list[msgspec.Raw]:
        nonlocal decoded
        decoded += len(array)
        return decode(array)

    def counting_scan() -> BracketScan:
        nonlocal scans
        scans += 1
        return BracketScan()

    monkeypatch.setattr(raw_batch, "_decode", counting_decode)
    monkeypatch.setattr(SCAN, counting_scan)
    array = b'[{"a":[' + b",".join([b'{"a":1}'] * 500_000) + b'],"z":1},{"a":1}]'
    assert sum(len(batch.items) for batch in batches(pieces(array), 8 * MB)) == 2
    assert decoded < 2 * len(array)
    assert scans == 1


def test_events_that_begin_otherwise_than_the_first_are_cut_too() -> None:
    first = b'{"a":"' + b"x" * 100_000 + b'"}'
    other = b'{"b":"' + b"x" * 100_000 + b'"}'
    array = b"[" + b",".join([first] + [other] * 30) + b"]"
    sizes = [len(batch.items) for batch in batches(pieces(array), MB)]
    assert sum(sizes) == 31
    assert max(sizes) < 10


@pytest.mark.parametrize("value", [b"0", b"NaN", rb'"\ud83d"'])
def test_an_event_beyond_the_limit_is_refused_in_the_last_batch_too(value: bytes) -> None:
    large = b'{"a":' + value + b',"b":"' + b"x" * 2_000 + b'"}'
    with pytest.raises(Np6ResponseError, match="larger than 1024 bytes"):
        list(batches(iter([b'[{"a":1},' + large + b"]"]), 1_024))


def test_all_events_before_a_break_come_but_the_last_one() -> None:
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
