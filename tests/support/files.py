"""Files that pulls wrote, by the path of their root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.coverage import Coverage
from airflow_provider_np6.destinations.files.manifest import Manifest
from airflow_provider_np6.destinations.files.storage import open_store
from airflow_provider_np6.destinations.files.verify import verify_slice
from airflow_provider_np6.np6.window import Window, to_ms


def manifests(root: str, *series: Any, **classes: Any) -> list[Manifest]:
    return FileDestination(root).manifests(*series, **classes)


def data_files(root: str, *series: Any, **classes: Any) -> list[str]:
    return FileDestination(root).data_files(*series, **classes)


@dataclass(frozen=True)
class Covered:
    """A coverage with windows in ms, as tests compare them."""

    events: int
    missing: list[Window]
    invalid: list[Window]


def to_covered(coverage: Coverage) -> Covered:
    missing, invalid = (
        [Window(to_ms(window.start), to_ms(window.end)) for window in windows]
        for windows in (coverage.missing, coverage.invalid)
    )
    return Covered(coverage.events, missing, invalid)


def coverage(root: str, *series: Any, **classes: Any) -> Covered:
    return to_covered(FileDestination(root).coverage(*series, **classes))


def verify(root: str, manifest: Manifest) -> None:
    """Compare one slice with its manifest."""
    verify_slice(open_store(root, None), manifest)
