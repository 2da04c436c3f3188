"""Prefill and decode speed of an engine, measured as llama.cpp's `llama-bench` does (its tests `pp` and `tg`).

Random token ids, no sampling, no text. Decoding starts from an empty context.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from bonsai_edge.engine.engine import Engine

_SEED = 0


def prefill_speeds(engine: Engine, num_tokens: int, repetitions: int) -> Iterator[float]:
    """Prefill one prompt once to warm up, then `repetitions` times; yield tokens/s of each."""
    token_ids = _random_token_ids(engine, num_tokens)
    _time_prefill(engine, token_ids)
    for _ in range(repetitions):
        yield num_tokens / _time_prefill(engine, token_ids)


def decode_speeds(engine: Engine, num_tokens: int, repetitions: int) -> Iterator[float]:
    """Decode one token to warm up, then `repetitions` times `num_tokens`; yield tokens/s of each."""
    token_ids = _random_token_ids(engine, num_tokens)
    _time_decode(engine, token_ids[:1])
    for _ in range(repetitions):
        yield num_tokens / _time_decode(engine, token_ids)


def _random_token_ids(engine: Engine, num_tokens: int) -> list[int]:
    token_ids: list[int] = (
        np.random.default_rng(_SEED).integers(engine.runner.spec.vocab_size, size=num_tokens).tolist()
    )
    return token_ids


def _time_prefill(engine: Engine, token_ids: list[int]) -> float:
    with engine.sequence(len(token_ids)) as sequence:
        started = time.perf_counter()
        sequence.prefill(token_ids)
        return time.perf_counter() - started


def _time_decode(engine: Engine, token_ids: list[int]) -> float:
    with engine.sequence(len(token_ids)) as sequence:
        started = time.perf_counter()
        for token_id in token_ids:
            sequence.decode(token_id)
        return time.perf_counter() - started
