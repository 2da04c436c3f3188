"""Energy per token: that of a long generation less that of a short one with the same prompt.

So the prompt, the start and the end cancel out, and what is left is decoding. The method is that of the Bonsai
whitepaper, appendix D.2. All functions are pure: samples in, numbers or a reason out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise

from bonsai_edge.profiling.sampling import Series
from bonsai_edge.sensors import Quantity, Unavailable

_FEWEST_SAMPLES = 5  # in a span of sampled power
_LONGEST_GAP_SHARE = 0.2  # of a span that may lie between two samples of power


@dataclass(frozen=True)
class Span:
    """A piece of time, in the seconds of time.monotonic(), and the tokens that were decoded in it."""

    begin_s: float
    end_s: float
    num_tokens: int = 0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end_s - self.begin_s


@dataclass(frozen=True)
class EnergyPerToken:
    """Joules for each decoded token, as the sensor of a scope saw them.

    `above_idle_j` leaves out what the machine takes anyway; None if that was not measured.
    """

    raw_j: float
    above_idle_j: float | None
    idle_w: float | None
    decode_w: float
    num_tokens: int
    scope: str
    source: str

    @property
    def tokens_per_j(self) -> float:
        """The inverse of the raw energy."""
        return 1 / self.raw_j


def energy_j(series: Series, span: Span) -> float:
    """Return the energy of a span, from a counter or by the trapezoid rule from samples of power.

    Raises ValueError with the reason where the samples do not cover the span well enough.
    """
    times_s, values = series.times_s, series.values
    if len(times_s) < 2 or span.begin_s < times_s[0] or span.end_s > times_s[-1] or span.seconds <= 0:
        raise ValueError("the sensor was not read over the whole time")
    if series.key.quantity is Quantity.ENERGY:
        return series.at(span.end_s) - series.at(span.begin_s)
    first, last = bisect_right(times_s, span.begin_s), bisect_left(times_s, span.end_s)
    points = [(span.begin_s, series.at(span.begin_s))]
    points += zip(times_s[first:last], values[first:last], strict=True)
    points.append((span.end_s, series.at(span.end_s)))
    gap_s = max(after - before for (before, _), (after, _) in pairwise(points))
    if last - first < _FEWEST_SAMPLES or gap_s > _LONGEST_GAP_SHARE * span.seconds:
        raise ValueError(f"{last - first} samples in {span.seconds:.1f} s are too few")
    return sum((t1 - t0) * (p0 + p1) / 2 for (t0, p0), (t1, p1) in pairwise(points))


def energy_per_token(series: Series, short: Span, long: Span, idle: Span | None = None) -> EnergyPerToken | Unavailable:
    """Return the energy of each token that the long run has more than the short one."""

    def unavailable(reason: str) -> Unavailable:
        return Unavailable(Quantity.ENERGY, series.source, reason)

    num_tokens, seconds = long.num_tokens - short.num_tokens, long.seconds - short.seconds
    if num_tokens <= 0 or seconds <= 0:
        return unavailable("the long run was not longer than the short one")
    try:
        more_j = energy_j(series, long) - energy_j(series, short)
        idle_w = None if idle is None else energy_j(series, idle) / idle.seconds
    except ValueError as exc:
        return unavailable(str(exc))
    if more_j <= 0:
        return unavailable("the long run took no more energy than the short one")
    return EnergyPerToken(
        raw_j=more_j / num_tokens,
        above_idle_j=None if idle_w is None else (more_j - idle_w * seconds) / num_tokens,
        idle_w=idle_w,
        decode_w=more_j / seconds,
        num_tokens=num_tokens,
        scope=series.key.scope,
        source=series.source,
    )
