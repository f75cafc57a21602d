"""The API key shows up nowhere: the run ends with a search for it, which is itself tried here."""

from __future__ import annotations

from pathlib import Path

from tests.support.run import KEY, LOG, SCRATCH, files_with


def test_the_search_finds_a_key_in_text_and_in_binary_files(tmp_path: Path) -> None:
    planted = KEY[::-1]  # not the key itself, or the search at the end would find it here
    (tmp_path / "a.log").write_text(f"X-Key: {planted}")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/c.db").write_bytes(b"\0\1" + planted.encode() + b"\0")
    (tmp_path / "d.json").write_text("{}")
    assert {path.name for path in files_with(planted, tmp_path)} == {"a.log", "c.db"}


def test_the_search_covers_logs_and_the_metadata_database() -> None:
    assert LOG.is_relative_to(SCRATCH)
    assert LOG.stat().st_size > 0
