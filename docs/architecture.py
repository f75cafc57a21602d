"""The picture of architecture.md, with the layers of pyproject.toml.

``python docs/architecture.py`` draws it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PICTURE = Path(__file__).with_name("images") / "architecture.svg"
_PROJECT = Path(__file__).parent.parent / "pyproject.toml"

_STEPS = (
    ("window", "which half-open", "interval of time", "operators/_window"),
    ("stream", "batches of raw events,", "verified as they come", "np6/stream"),
    ("spool", "the whole window,", "on the worker's disk", "destinations"),
    ("publication", "the old or the new:", "a manifest, a commit", "destinations"),
    ("report", "what was pulled,", "in numbers", "operators/_pull"),
)
_LEGEND = (
    (60, 58, "An NP6 on loopback. It imports nothing of what it tests, and nothing imports it."),
    (536, 23, "knows Airflow"),
    (686, 23, "does without Airflow"),
    (60, 88, "Heavy packages (requests, msgspec, pyarrow, drivers) are imported where they are used:"),
    (60, 106, "a DAG file that imports an operator loads none of them."),
)
_GREEN, _YELLOW, _RED = "#e8f4f0", "#fdf6e3", "#fbeaea"
_LAYERS_AT = 312

_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 980 {height}" role="img" aria-label="{label}">
<style>
text {{ font-family: Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #22312e; text-anchor: middle }}
.head {{ font-size: 18px; font-weight: bold }}
.name {{ font-size: 15px; font-weight: bold }}
.word {{ font-size: 12.5px; white-space: pre }}
.left {{ text-anchor: start }}
.code {{ font-size: 11.5px; font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #5b7f78 }}
.on {{ stroke: #22312e; stroke-width: 1.6; marker-end: url(#arrow) }}
.fails {{ stroke: #b35c5c; stroke-width: 1.4; stroke-dasharray: 4 3; marker-end: url(#red) }}
rect {{ rx: 8px; stroke: #5b7f78 }}
</style>
<defs>
<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0L8 4L0 8z" fill="#22312e"/></marker>
<marker id="red" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0L8 4L0 8z" fill="#b35c5c"/></marker>
</defs>
<rect width="980" height="{height}" fill="#ffffff" stroke="none"/>"""
_LABEL = "A pull flows from window to stream, spool, publication and report; modules import downwards only"


def picture() -> str:
    """The flow of a pull, and below it who may import whom."""
    layers, without_airflow = _contracts()
    below = _LAYERS_AT + 48 * len(layers) + 14
    parts = [_HEAD.format(height=below + 126, label=_LABEL), *_flow(), *_layers(layers, without_airflow)]
    return "\n".join([*parts, *_sandbox(below), "</svg>", ""])


def _contracts() -> tuple[list[list[str]], set[str]]:
    """Rows of modules from the top down, and those that import no Airflow."""
    contracts: list[dict[str, Any]] = tomllib.loads(_PROJECT.read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one.get("containers") == ["airflow_provider_np6"])
    (without,) = (one["source_modules"] for one in contracts if one.get("forbidden_modules") == ["airflow"])
    rows = [layer.split(" | ") for layer in layers if not layer.startswith("__")]
    return rows, {module.rpartition(".")[2] for module in without}


def _flow() -> Iterator[str]:
    yield _text(490, 34, "One pull flows once through", "head")
    for at, (name, first, second, module) in enumerate(_STEPS):
        left = 30 + 190 * at
        yield _box(left, 60, 160, 104, _GREEN)
        yield _text(left + 80, 86, name, "name")
        yield _text(left + 80, 108, first, "word")
        yield _text(left + 80, 124, second, "word")
        yield _text(left + 80, 152, module, "code")
        if at:
            yield _line(left - 27, 112, left - 5, 112, "on")
        if 0 < at < len(_STEPS) - 1:
            yield _line(left + 80, 168, left + 80, 196, "fails")
    yield _box(220, 198, 540, 44, _RED)
    yield _text(490, 225, "After an error, what was not published is as it was", "word")


def _layers(layers: list[list[str]], without_airflow: set[str]) -> Iterator[str]:
    yield _text(490, 290, "Who may import whom: only downwards", "head")
    for row, names in enumerate(layers):
        top, width = _LAYERS_AT + 48 * row, (860 - 10 * (len(names) - 1)) / len(names)
        for at, name in enumerate(names):
            left = 60 + at * (width + 10)
            yield _box(left, top, width, 36, _YELLOW if name in without_airflow else _GREEN)
            yield _text(left + width / 2, top + 23, name, "name")
    yield _line(38, _LAYERS_AT + 4, 38, _LAYERS_AT + 48 * len(layers) - 16, "on")


def _sandbox(top: float) -> Iterator[str]:
    yield _box(60, top, 425, 36, _YELLOW)
    yield _text(272.5, top + 23, "sandbox", "name")
    yield _box(510, top + 10, 16, 16, _GREEN)
    yield _box(660, top + 10, 16, 16, _YELLOW)
    for left, below, words in _LEGEND:
        yield _text(left, top + below, words, "word left")


def _box(left: float, top: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" fill="{fill}"/>'


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{words}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{kind}"/>'


if __name__ == "__main__":
    PICTURE.write_text(picture())
