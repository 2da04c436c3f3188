"""Measures a loaded model: prompts, decoding at depths, the first token, the time between tokens."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from bonsai_edge.model import Model
from bonsai_edge.profiling.progress import Progress
from bonsai_edge.profiling.throughput import decode_durations, durations_at_depths, prefill_speeds

_REPETITIONS = 5
_TEST_S = 20.0  # that a test may take, repetitions and warm-up included
_TRIAL_TOKENS = 16
_PROMPT_SIZES = (512, 256, 128, 64, 32)
_DECODE_SIZES = (128, 64, 32, 16)
_DEPTHS = (512, 2048, 8192)
_DEEP_TOKENS = 32
_FIRST_TOKEN_WORDS = 64
_FIRST_TOKEN_RUNS = 3


class SpeedTest(msgspec.Struct, frozen=True):
    """`pp512` is a prompt of 512 tokens, `tg128` 128 decoded tokens, after `depth` others; speeds in tokens/s."""

    kind: str
    num_tokens: int
    depth: int
    tokens_per_s: list[float]

    @property
    def name(self) -> str:
        """What llama-bench calls it."""
        return f"{self.kind}{self.num_tokens}" + (f" @ d{self.depth}" if self.depth else "")

    @property
    def mean(self) -> float:
        """The mean of all runs."""
        return statistics.mean(self.tokens_per_s)

    @property
    def stdev(self) -> float:
        """The standard deviation, 0 for a single run."""
        return statistics.stdev(self.tokens_per_s) if len(self.tokens_per_s) > 1 else 0.0


class Percentiles(msgspec.Struct, frozen=True):
    """Of durations, in seconds."""

    p50: float
    p95: float
    p99: float


class ModelSpeeds(msgspec.Struct, frozen=True):
    """`first_token_s` is the median from a text of `first_token_prompt_tokens` tokens to its first token."""

    tests: list[SpeedTest]
    inter_token_s: Percentiles
    first_token_s: float
    first_token_prompt_tokens: int

    def find(self, kind: str, depth: int = 0) -> SpeedTest:
        """Return the test of a kind at a depth that was measured."""
        return next(test for test in self.tests if (test.kind, test.depth) == (kind, depth))


def measure_speeds(model: Model, progress: Progress) -> ModelSpeeds:
    """Run every test, as long as the model's speed makes sensible; takes about a minute and a half at most."""
    engine = model.engine
    progress.begin("prompt")
    (trial,) = prefill_speeds(engine, _TRIAL_TOKENS * 2, 1)
    size = _affordable(_PROMPT_SIZES, trial, _REPETITIONS + 1, model.context)
    prompt = SpeedTest("pp", size, 0, list(prefill_speeds(engine, size, _REPETITIONS)))
    progress.begin("decoding")
    (durations_s,) = decode_durations(engine, _TRIAL_TOKENS, 1)
    size = _affordable(_DECODE_SIZES, _TRIAL_TOKENS / sum(durations_s), _REPETITIONS, model.context)
    runs = list(decode_durations(engine, size, _REPETITIONS))
    decode = SpeedTest("tg", size, 0, [size / sum(run) for run in runs])
    progress.begin("decoding at depth")
    deep = _decode_at_depths(model, prompt.mean)
    progress.begin("first token")
    prompt_tokens, first_token_s = _first_token(model)
    return ModelSpeeds(
        tests=[prompt, decode, *deep],
        inter_token_s=percentiles([step for run in runs for step in run]),
        first_token_s=first_token_s,
        first_token_prompt_tokens=prompt_tokens,
    )


def percentiles(durations_s: Sequence[float]) -> Percentiles:
    """Return the median and two of the slow end."""
    return Percentiles(*np.percentile(durations_s, (50, 95, 99)).tolist())


def _affordable(sizes: Iterable[int], tokens_per_s: float, repetitions: int, context: int) -> int:
    """Return the first size that fits into the context and the time, the last if none does."""
    sizes = list(sizes)
    fitting = (size for size in sizes if size <= context and repetitions * size / tokens_per_s <= _TEST_S)
    return next(fitting, sizes[-1])


def _decode_at_depths(model: Model, prompt_tokens_per_s: float) -> list[SpeedTest]:
    depths = [
        depth for depth in _DEPTHS if depth + _DEEP_TOKENS <= model.context and depth / prompt_tokens_per_s <= _TEST_S
    ]
    if not depths:
        return []
    return [
        SpeedTest("tg", _DEEP_TOKENS, depth, [_DEEP_TOKENS / sum(durations_s)])
        for depth, durations_s in durations_at_depths(model.engine, depths, _DEEP_TOKENS)
    ]


def _first_token(model: Model) -> tuple[int, float]:
    """Return a prompt's tokens, and the median time to the first token; no two prompts begin alike."""
    seconds = []
    for run in range(_FIRST_TOKEN_RUNS):
        words = [f"{run} step"] + ["north"] * _FIRST_TOKEN_WORDS
        began = time.perf_counter()
        result = model.generate_text(" ".join(words), max_tokens=1)
        seconds.append(time.perf_counter() - began)
    return result.usage.prompt_tokens, statistics.median(seconds)
