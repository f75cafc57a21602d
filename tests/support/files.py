"""Files that pulls wrote, by the path of their root."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.coverage import Coverage, UtcWindow
from airflow_provider_np6.destinations.files.manifest import Manifest, Slice, make_token
from airflow_provider_np6.destinations.files.storage import open_store
from airflow_provider_np6.destinations.files.verify import verify_slice
from airflow_provider_np6.np6.window import DAY, Window, iso, to_ms
from tests.support.pulls import MIDNIGHT, TODAY


def manifests(root: str, *series: Any, **classes: Any) -> list[Manifest]:
    """The manifests of the days that a range touches."""
    return FileDestination(root).manifests(*series, **classes)


def slices(root: str, *series: Any, **classes: Any) -> list[Slice]:
    """The slices of all days that a range touches, in order of time."""
    return [slice_ for manifest in manifests(root, *series, **classes) for slice_ in manifest.slices]


def data_files(root: str, *series: Any, **classes: Any) -> list[str]:
    """Paths of the data files that a range touches."""
    return FileDestination(root).data_files(*series, **classes)


def all_manifests(root: Path) -> list[Manifest]:
    """Every manifest below a root on a local disk, by name."""
    return [Manifest.decode(path.read_bytes(), str(path)) for path in manifest_paths(root)]


def all_slices(root: Path) -> list[Slice]:
    """Every slice below a root on a local disk, by manifest, then in order of time."""
    return [slice_ for manifest in all_manifests(root) for slice_ in manifest.slices]


def all_lines(root: Path) -> list[bytes]:
    """The events below a root on a local disk, by manifest, then in order of time; stored as lines."""
    return [line for slice_ in all_slices(root) if slice_.data for line in lines(root / slice_.data)]


def lines(path: Path) -> list[bytes]:
    """The events of a data file, plain or packed with gzip."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()


def manifest_paths(root: Path) -> list[Path]:
    """Every manifest below a root on a local disk, by name."""
    return sorted((root / "_manifests").rglob("*.json"))


def data_paths(root: Path) -> list[Path]:
    """Every file below the folders of data and quarantine, whether a manifest names it or not."""
    paths = [*root.glob("type=*/*/*/*"), *root.glob("_quarantine/*/*/*/*")]
    return sorted(path for path in paths if path.is_file())


def named_paths(root: Path) -> list[Path]:
    """The data and quarantine files that manifests name."""
    return sorted(root / name for manifest in all_manifests(root) for name in manifest.names)


def change_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest by hand, as JSON."""
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def age(paths: Iterable[Path], seconds: float) -> None:
    """Make files look older."""
    for path in paths:
        modified = path.stat().st_mtime - seconds
        os.utime(path, (modified, modified))


@dataclass(frozen=True)
class Covered:
    """A coverage with windows in ms, as tests compare them."""

    events: int
    missing: list[Window]
    invalid: list[Window]
    expired: list[Window] = field(default_factory=list)


def to_covered(coverage: Coverage) -> Covered:
    """A coverage with windows in ms."""

    def in_ms(windows: Iterable[UtcWindow]) -> list[Window]:
        return [Window(to_ms(window.start), to_ms(window.end)) for window in windows]

    return Covered(coverage.events, in_ms(coverage.missing), in_ms(coverage.invalid), in_ms(coverage.expired))


def coverage(root: str, *series: Any, **classes: Any) -> Covered:
    """What is stored of a range."""
    return to_covered(FileDestination(root).coverage(*series, **classes))


def verify(root: str, slice_: Slice) -> None:
    """Compare one slice with its data file."""
    verify_slice(open_store(root, None), slice_)


def make_slice(window: Window = TODAY, data: str | None = "a", **changes: Any) -> Slice:
    """A slice of bounces of action 000PE4 on 2024-10-04.

    :param data: the token in the name of its data file; None for no file.
    """
    values = {
        "window_start": iso(window.start),
        "window_end": iso(window.end),
        "data": data and f"type=bounces/action=000PE4/date=2024-10-04/{window.stem}-e0-{data}.jsonl.gz",
        "format": "jsonl.gz",
        "events": 3,
        "invalid": 0,
        "quarantine": None,
        "quarantine_sha256": None,
        "first_timestamp": iso(window.start),
        "last_timestamp": iso(window.end - 1),
        "bytes": 120,
        "sha256": "0" * 64,
        "requests": 1,
        "pulled_at": iso(MIDNIGHT + 2 * DAY),
        "expired": False,
        "token": make_token(),
    }
    return Slice(**{**values, **changes})


def make_manifest(*slices: Slice, removed: tuple[str, ...] = (), erasures: int = 0) -> Manifest:
    """A manifest of bounces of action 000PE4 on 2024-10-04."""
    return Manifest(
        event_type="bounces",
        action_id="000PE4",
        classification="",
        date="2024-10-04",
        slices=slices,
        removed=removed,
        erasures=erasures,
        token=make_token(),
    )


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file below a root with its content, but for the lock."""
    paths = [path for path in root.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}
