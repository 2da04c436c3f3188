"""Who is told how far a profile is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`begin` is called with the name of each stage, `advance` with the seconds of a sustained run as they pass."""

    begin: Callable[[str], None]
    advance: Callable[[float], None]
