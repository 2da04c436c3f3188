"""Judges whether a profile says something about the machine, or about what disturbed it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from bonsai_edge.profiling.model_speeds import SpeedTest
from bonsai_edge.profiling.noise import Disturbance
from bonsai_edge.profiling.sampling import Series
from bonsai_edge.profiling.sustained import Sustained
from bonsai_edge.sensors import Quantity

_MOST_OTHER_SHARE = 0.05  # of the usable cores, kept busy by others
_MOST_SPREAD = 0.1  # standard deviation of a test over its mean
_LEAST_SUSTAINED = 0.9
_MANY_FAULTS = 1000  # of 4 KiB


class Verdict(msgspec.Struct, frozen=True):
    """VALID, or INVALID for these reasons."""

    valid: bool
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "VALID" if self.valid else f"INVALID: {'; '.join(self.reasons)}"


def judge(
    disturbance: Disturbance,
    num_cores: int,
    series: Iterable[Series],
    tests: Iterable[SpeedTest],
    sustained: Sustained | None,
) -> Verdict:
    """Return the verdict over a measurement on so many cores."""
    reasons = [*_disturbed(disturbance, num_cores), *_throttled(series), *_spread(tests)]
    if sustained is not None and sustained.ratio < _LEAST_SUSTAINED:
        reasons.append(f"not sustained: the last minute ran at {sustained.ratio:.0%} of the first")
    return Verdict(not reasons, tuple(reasons))


def _disturbed(disturbance: Disturbance, num_cores: int) -> Iterator[str]:
    other_cores = disturbance.other_cores
    if other_cores is not None and other_cores > _MOST_OTHER_SHARE * num_cores:
        yield f"noisy machine: others kept {other_cores:.2f} of {num_cores} cores busy"
    if disturbance.swapped_bytes:
        yield f"swapped: {disturbance.swapped_bytes / 1e6:,.1f} MB went to swap or came from it"
    if disturbance.major_faults > _MANY_FAULTS:
        yield f"short of memory: {disturbance.major_faults:,} pages were read from storage again"


def _throttled(series: Iterable[Series]) -> Iterator[str]:
    for each in series:
        if not each.values:
            continue
        if each.key.quantity is Quantity.THROTTLED and max(each.values) > 0:
            yield f"throttled: {each.key.name} ({each.key.scope})"
        counts = each.key.quantity in (Quantity.THROTTLE_EVENTS, Quantity.THROTTLE_TIME)
        if counts and each.values[-1] > each.values[0]:
            yield f"throttled: {each.key.name} rose from {each.values[0]:g} to {each.values[-1]:g} ({each.key.scope})"


def _spread(tests: Iterable[SpeedTest]) -> Iterator[str]:
    for test in tests:
        if test.stdev > _MOST_SPREAD * test.mean:
            yield f"unsteady: {test.name} varies by {test.stdev / test.mean:.0%}"
