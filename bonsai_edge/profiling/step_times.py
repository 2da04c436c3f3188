"""Times the steps of a backend on two synthetic models, from which what a step costs can be told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from bonsai_edge.backend import Backend
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.measuring.bonsai_shapes import BONSAI_1_7B, BONSAI_8B
from bonsai_edge.measuring.synthetic_model import few_layers, synthetic_checkpoint
from bonsai_edge.measuring.timed_model import Step, TimedModel
from bonsai_edge.model_spec import ModelSpec

_MOST_WEIGHT_BYTES = 96 << 20  # of a model: many times the cache of any board, desktop or phone
_MOST_DEPTH = 2048
_LEAST_DEPTH = 4 * PAGE_TOKENS
_SHARE_OF_AVAILABLE = 8  # for the weights of both models, and again for the keys and values of both
_ROUNDS = 7
_ENOUGH_S = 10.0  # for all rounds, on a machine or with a backend so slow that one round says it


@dataclass(frozen=True)
class ShapeTimes:
    """The time of each kind of step of one shape, in seconds; see `TimedModel.step_s`.

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
    wanted_bytes = min(_MOST_WEIGHT_BYTES, available_bytes // _SHARE_OF_AVAILABLE // 2)
    narrow, wide = (few_layers(shape.spec, wanted_bytes) for shape in (BONSAI_1_7B, BONSAI_8B))
    return synthetic_checkpoint(narrow), synthetic_checkpoint(wide)


def time_steps(
    backend: Backend, models: Sequence[Checkpoint], kv_type: KVType, threads: int, available_bytes: int
) -> list[ShapeTimes]:
    """Time every kind of step of each model, in turns, so that a machine that changes its speed does so for all."""
    kv_bytes_per_token = sum(model.spec.kv_bytes_per_token(KVType.F16) for model in models)
    affordable = available_bytes // _SHARE_OF_AVAILABLE // kv_bytes_per_token
    depth = min(_MOST_DEPTH, max(_LEAST_DEPTH, affordable)) // PAGE_TOKENS * PAGE_TOKENS
    with ExitStack() as stack:
        timed = [stack.enter_context(closing(TimedModel(backend, model, kv_type, threads, depth))) for model in models]
        deadline = time.perf_counter() + _ENOUGH_S
        for _ in range(_ROUNDS):
            for model in timed:
                model.take_turns(Step(rows, deep) for rows in (1, model.chunk_rows) for deep in (0, depth))
            if time.perf_counter() > deadline:
                break
        return [_shape_times(model, depth) for model in timed]


def _shape_times(model: TimedModel, depth: int) -> ShapeTimes:
    return ShapeTimes(
        spec=model.spec,
        depth=depth,
        chunk_rows=model.chunk_rows,
        decode_s=model.step_s(Step(1, 0)),
        deep_decode_s=model.step_s(Step(1, depth)),
        chunk_s=model.step_s(Step(model.chunk_rows, 0)),
        deep_chunk_s=model.step_s(Step(model.chunk_rows, depth)),
    )
