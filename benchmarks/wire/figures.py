"""Figures drawn from many measurements."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """How long something took, in milliseconds; no figures when it never happened."""

    num: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latency:
        """Return the figures of some durations in seconds."""
        ordered = sorted(seconds)
        if not ordered:
            return cls(0, None, None, None)
        return cls(len(ordered), *(round(1000 * _quantile(ordered, part), 3) for part in (0.5, 0.99, 1.0)))

    def __str__(self) -> str:
        cells = ("" if value is None else f"{value:.2f}" for value in (self.p50_ms, self.p99_ms, self.max_ms))
        return f"{self.num:8}" + "".join(f"{cell:>10}" for cell in cells)


def _quantile(ordered: list[float], part: float) -> float:
    """Return the smallest value that at least this part of the values does not exceed."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]
