"""JSON escapes of half a character.

JSON writes a character beyond U+FFFF as two escapes, a surrogate pair: ``\\ud83d\\ude00``. Programs that cut
strings at a fixed length leave one half, such as ``\\ud83d``. The grammar of JSON allows that (RFC 8259,
section 8.2), but msgspec refuses the whole document, and no UTF-8 can store it. Whether NP6 sends such
escapes is unknown.
"""

from __future__ import annotations

import re

REPLACEMENT = rb"\ufffd"
"""The escape of U+FFFD, "replacement character"; as long as each escape that it replaces."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

# An escaped backslash matches too, so that what follows it is not taken for an escape. All matches begin with
# the same character, outside of any group: re searches that 30 times as fast as a choice.
_ESCAPE = re.compile(
    rb"""\\
    (?: \\                                                               # an escaped backslash
      | u[dD] (?: [89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}   # a surrogate pair
                | ([89a-fA-F][0-9a-fA-F]{2}) ) )                         # a lone surrogate
    """,
    re.VERBOSE,
)


def replace_lone_surrogates(json_text: bytes) -> bytes:
    """Replace each escape of a lone surrogate with ``\\ufffd``; all other bytes keep their positions.

    :param json_text: JSON in UTF-8, or a part of it that cuts no escape.
    :returns: the same object if there is nothing to replace.
    """
    if _SURROGATE.search(json_text) is None:
        return json_text
    replaced = _ESCAPE.sub(_replace, json_text)
    return json_text if replaced == json_text else replaced


def _replace(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape[1] is None else REPLACEMENT
