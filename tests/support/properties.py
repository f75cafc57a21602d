"""How many examples a property is tried with: few in the profile ``dev``, all in ``ci``."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings


def load_profile() -> None:
    """``ci`` where the environment says so, else ``dev``; ``--hypothesis-profile`` overrides it."""
    settings.register_profile("ci", deadline=None, max_examples=100)
    settings.register_profile("dev", deadline=None, max_examples=10)
    settings.load_profile("ci" if os.environ.get("CI") else "dev")


def examples(full: int, **more: Any) -> settings:
    """Settings of a property that takes ``full`` examples in the profile ``ci``, a tenth in ``dev``."""
    return settings(max_examples=full * settings().max_examples // 100, **more)
