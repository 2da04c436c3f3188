"""Decodes for minutes and compares the end with the beginning: whether heat or a power limit slows the machine down."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from bonsai_edge.engine.engine import Engine
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.profiling.throughput import random_token_ids

_LAP_TOKENS = 128
_WINDOW_S = 60.0


class Sustained(msgspec.Struct, frozen=True):
    """Laps of 128 tokens from an empty context, one after the other.

    `times_s` are the seconds since the beginning at which laps ended. The first and the last minute are compared, or
    the halves of what took less than two.
    """

    times_s: list[float]
    tokens_per_s: list[float]
    first_tokens_per_s: float
    last_tokens_per_s: float

    @property
    def ratio(self) -> float:
        """The last speed over the first."""
        return self.last_tokens_per_s / self.first_tokens_per_s


def sustain(engine: Engine, seconds: float, advance: Callable[[float], None]) -> Sustained:
    """Decode until the time is over, two laps at least; `advance` is told the seconds of each lap."""
    token_ids = random_token_ids(engine, min(_LAP_TOKENS, engine.num_free_pages * PAGE_TOKENS))
    times_s: list[float] = []
    began = time.perf_counter()
    while len(times_s) < 2 or times_s[-1] < seconds:
        with engine.sequence(len(token_ids)) as sequence:
            for token_id in token_ids:
                sequence.decode(token_id)
        times_s.append(time.perf_counter() - began)
        advance(times_s[-1] - (times_s[-2] if len(times_s) > 1 else 0.0))
    return summarize(times_s, len(token_ids))


def summarize(times_s: list[float], lap_tokens: int) -> Sustained:
    """Return the speeds of laps that ended at these times."""
    total_s = times_s[-1]
    window_s = min(_WINDOW_S, total_s / 2)
    starts_s = [0.0, *times_s[:-1]]
    durations_s = [end - start for start, end in zip(starts_s, times_s, strict=True)]
    first = [each for each, end in zip(durations_s, times_s, strict=True) if end <= window_s] or durations_s[:1]
    last = [each for each, start in zip(durations_s, starts_s, strict=True) if start >= total_s - window_s]
    last = last or durations_s[-1:]
    return Sustained(
        times_s=times_s,
        tokens_per_s=[lap_tokens / each for each in durations_s],
        first_tokens_per_s=lap_tokens * len(first) / sum(first),
        last_tokens_per_s=lap_tokens * len(last) / sum(last),
    )
