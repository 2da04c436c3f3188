"""Prefill and decode speed of an engine, measured as llama.cpp's `llama-bench` does (its tests `pp` and `tg`).

Random token ids, no sampling, no text. Decoding starts from an empty context if nothing else is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np

from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.sequence import TokenSequence

_SEED = 0


def prefill_speeds(engine: Engine, num_tokens: int, repetitions: int) -> Iterator[float]:
    """Prefill one prompt once to warm up, then `repetitions` times; yield tokens/s of each."""
    token_ids = random_token_ids(engine, num_tokens)
    _time_prefill(engine, token_ids)
    for _ in range(repetitions):
        yield num_tokens / _time_prefill(engine, token_ids)


def decode_speeds(engine: Engine, num_tokens: int, repetitions: int) -> Iterator[float]:
    """Decode one token to warm up, then `repetitions` times `num_tokens`; yield tokens/s of each."""
    for durations_s in decode_durations(engine, num_tokens, repetitions):
        yield num_tokens / sum(durations_s)


def decode_durations(engine: Engine, num_tokens: int, repetitions: int) -> Iterator[list[float]]:
    """Do what `decode_speeds` does; yield the seconds of each step of each repetition."""
    token_ids = random_token_ids(engine, num_tokens)
    with engine.sequence(1) as sequence:
        sequence.decode(token_ids[0])
    for _ in range(repetitions):
        with engine.sequence(num_tokens) as sequence:
            yield _durations(sequence, token_ids)


def durations_at_depths(engine: Engine, depths: Iterable[int], num_tokens: int) -> Iterator[tuple[int, list[float]]]:
    """Let one sequence grow; at each depth, in rising order, decode `num_tokens` and yield the seconds of each step."""
    depths = list(depths)
    with engine.sequence(depths[-1] + num_tokens) as sequence:
        for depth in depths:
            sequence.prefill(random_token_ids(engine, depth - sequence.length))
            yield depth, _durations(sequence, random_token_ids(engine, num_tokens))


def random_token_ids(engine: Engine, num_tokens: int) -> list[int]:
    """Return the same ids of the vocabulary every time."""
    token_ids: list[int] = (
        np.random.default_rng(_SEED).integers(engine.runner.spec.vocab_size, size=num_tokens).tolist()
    )
    return token_ids


def _durations(sequence: TokenSequence, token_ids: list[int]) -> list[float]:
    times_s = [time.perf_counter()]
    for token_id in token_ids:
        sequence.decode(token_id)
        times_s.append(time.perf_counter())
    return np.diff(times_s).tolist()


def _time_prefill(engine: Engine, token_ids: list[int]) -> float:
    with engine.sequence(len(token_ids)) as sequence:
        started = time.perf_counter()
        sequence.prefill(token_ids)
        return time.perf_counter() - started
