"""Docstrings are reST, and pages are Markdown: an extension of Griffe, which reads the one for the other."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`(~?)([\w.]+)`")
_LITERAL = re.compile(r"::(?=\n\n +\S)")
_DIRECTIVE = re.compile(r"^\.\. seealso:: ", re.MULTILINE)


def markdown(text: str) -> str:
    """``text`` with what differs between the two put as Markdown has it."""
    text = _ROLE.sub(lambda role: f"`{_shown(role[2], short=bool(role[1]))}`", text)
    return _DIRECTIVE.sub("See also ", _LITERAL.sub(":", text))


def _shown(name: str, *, short: bool) -> str:
    return name.rpartition(".")[2] if short else name


class Rest(Extension):  # type: ignore[misc]
    """Found by mkdocstrings, which is given this file."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Look at each docstring once it is read."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
