"""Times the steps of a backend on synthetic models: one token or a chunk of a prompt, at the beginning and deep in."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from bonsai_edge.backend import Backend, Batch
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge.profiling.bonsai_shapes import BONSAI_1_7B, BONSAI_8B
from bonsai_edge.profiling.synthetic_model import matrix_bytes, synthetic_checkpoint

_VOCAB_ROWS = 4096
_MOST_WEIGHT_BYTES = 96 << 20  # of a model: many times the cache of any board, desktop or phone
_MOST_DEPTH = 2048
_LEAST_DEPTH = 4 * PAGE_TOKENS
_MOST_CHUNK_ROWS = 2 * PAGE_TOKENS
_SHARE_OF_AVAILABLE = 8  # for the weights of both models, and again for the keys and values of both
_ROUNDS = 7
_TURN_S = 0.04
_ENOUGH_S = 10.0  # for all rounds, on a machine or with a backend so slow that one round says it


class Step(NamedTuple):
    """So many rows after so many tokens."""

    num_rows: int
    depth: int


@dataclass(frozen=True)
class ShapeTimes:
    """The time of each kind of step of one shape, in seconds: the lower quartile, for noise only makes steps longer.

    A chunk is a prompt's, of `chunk_rows` rows, the fewest that the backend computes at full speed.
    """

    spec: ModelSpec
    depth: int
    chunk_rows: int
    decode_s: float
    deep_decode_s: float
    chunk_s: float
    deep_chunk_s: float


def synthetic_models(available_bytes: int) -> tuple[Checkpoint, Checkpoint]:
    """Return a narrow and a wide model: a few layers like those of Bonsai 1.7B and of 8B."""
    narrow, wide = (_few_layers(shape.spec, available_bytes) for shape in (BONSAI_1_7B, BONSAI_8B))
    return synthetic_checkpoint(narrow), synthetic_checkpoint(wide)


def time_steps(
    backend: Backend, models: Sequence[Checkpoint], kv_type: KVType, threads: int, available_bytes: int
) -> list[ShapeTimes]:
    """Time every kind of step of each model, in turns, so that a machine that changes its speed does so for all."""
    kv_bytes_per_token = sum(model.spec.kv_bytes_per_token(KVType.F16) for model in models)
    affordable = available_bytes // _SHARE_OF_AVAILABLE // kv_bytes_per_token
    depth = min(_MOST_DEPTH, max(_LEAST_DEPTH, affordable)) // PAGE_TOKENS * PAGE_TOKENS
    with ExitStack() as stack:
        timed = [stack.enter_context(closing(_TimedModel(backend, model, kv_type, threads, depth))) for model in models]
        deadline = time.perf_counter() + _ENOUGH_S
        for _ in range(_ROUNDS):
            for model in timed:
                model.take_turns()
            if time.perf_counter() > deadline:
                break
        return [model.times() for model in timed]


def _few_layers(spec: ModelSpec, available_bytes: int) -> ModelSpec:
    layer_bytes = sum(matrix_bytes(replace(spec, num_layers=1, vocab_size=0)).values())
    wanted_bytes = min(_MOST_WEIGHT_BYTES, available_bytes // _SHARE_OF_AVAILABLE // 2)
    num_layers = max(1, round(wanted_bytes / layer_bytes))
    return replace(spec, num_layers=num_layers, vocab_size=_VOCAB_ROWS, tied_embeddings=True)


class _TimedModel:
    """A loaded synthetic model and the times of its steps so far."""

    def __init__(self, backend: Backend, model: Checkpoint, kv_type: KVType, threads: int, depth: int) -> None:
        self._spec, self._depth = model.spec, depth
        plan = MemoryPlan(depth + _MOST_CHUNK_ROWS, 0, 0, 0, kv_type)
        self._runner = backend.load(model, plan, threads)
        self._page_table = np.arange(plan.num_pages, dtype=np.int32)[np.newaxis]
        self._chunk_rows = min(self._runner.least_prefill_rows, self._runner.max_batch_rows, _MOST_CHUNK_ROWS)
        self._durations_s: defaultdict[Step, list[float]] = defaultdict(list)
        self._fill_pages()

    def take_turns(self) -> None:
        """Time each kind of step for a moment, after one that brings its data into the caches."""
        for num_rows in (1, self._chunk_rows):
            for depth in (0, self._depth):
                step = Step(num_rows, depth)
                self._time(step)
                began = time.perf_counter()
                while True:
                    self._durations_s[step].append(self._time(step))
                    if time.perf_counter() - began > _TURN_S:
                        break

    def times(self) -> ShapeTimes:
        """Return the lower quartiles."""
        quartile = {step: float(np.percentile(times_s, 25)) for step, times_s in self._durations_s.items()}
        return ShapeTimes(
            spec=self._spec,
            depth=self._depth,
            chunk_rows=self._chunk_rows,
            decode_s=quartile[Step(1, 0)],
            deep_decode_s=quartile[Step(1, self._depth)],
            chunk_s=quartile[Step(self._chunk_rows, 0)],
            deep_chunk_s=quartile[Step(self._chunk_rows, self._depth)],
        )

    def close(self) -> None:
        self._runner.close()

    def _fill_pages(self) -> None:
        """Give every page keys and values, those of the first: what was never written may all be one page of zeros."""
        self._runner.forward(self._batch(Step(PAGE_TOKENS, 0)))
        content = self._runner.read_page(0)
        for page in range(1, self._page_table.size):
            self._runner.write_page(page, content)

    def _time(self, step: Step) -> float:
        batch = self._batch(step)
        began = time.perf_counter()
        self._runner.forward(batch)
        return time.perf_counter() - began

    def _batch(self, step: Step) -> Batch:
        rows = np.arange(step.num_rows, dtype=np.int32)
        return Batch(
            token_ids=rows,
            positions=rows + np.int32(step.depth),
            sequence_ids=np.zeros_like(rows),
            page_tables=self._page_table,
            logit_rows=rows[:1] if step.num_rows == 1 else rows[:0],  # as a prompt's, of which only the last has logits
        )
