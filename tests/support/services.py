"""Programs and libraries that some tests need and ``make services`` installs."""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

T = TypeVar("T")


def require(name: str, found: T | None) -> T:
    """Skip the test if what it needs is missing; fail it where ``NP6_SERVERS`` is set.

    :param name: what is needed.
    :param found: where it is, or what it is; returned.
    """
    if found:
        return found
    reason = f"{name} is not installed: run `make services`"
    if os.environ.get("NP6_SERVERS"):
        pytest.fail(reason)
    pytest.skip(reason)
