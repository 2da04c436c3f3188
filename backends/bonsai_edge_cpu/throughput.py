"""Measures how fast the kernels multiply when their data lies in the second-level cache: the limit of arithmetic."""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from bonsai_edge.backend import KernelThroughput
from bonsai_edge.cpu_step.workspace import BLOCK_COLUMNS, make_activations, make_sums, make_tables
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.profiling.together import best_time_together
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.quantization import TABLE_TOKENS
from bonsai_edge_cpu.one_matrix import multiply

_ROWS, _BLOCKS = 256, 16  # 72 KiB: within any second-level cache, and wider than a table is costly for
_TURN_S = 0.02
_TRIAL_REPETITIONS = 8
_TURNS = 10


def measure_kernels(num_threads: int) -> KernelThroughput:
    """Return what so many threads do together; takes about half a second."""
    return KernelThroughput(
        decode_macs_per_s=_macs_per_s(1, num_threads), prefill_macs_per_s=_macs_per_s(TABLE_TOKENS, num_threads)
    )


def _macs_per_s(num_tokens: int, num_threads: int) -> float:
    works = [_work(num_tokens) for _ in range(num_threads)]
    works[0](1)  # compiles, or loads what was
    began = time.perf_counter()
    works[0](_TRIAL_REPETITIONS)
    repetitions = max(1, round(_TURN_S * _TRIAL_REPETITIONS / (time.perf_counter() - began)))
    seconds = best_time_together([partial(work, repetitions) for work in works], _TURNS)
    return num_threads * repetitions * num_tokens * _ROWS * _BLOCKS * BLOCK_COLUMNS / seconds


def _work(num_tokens: int) -> partial[None]:
    """Return a function of the repetitions, with memory of its own."""
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (_ROWS * _BLOCKS, GGMLType.Q1_0.block_bytes), np.uint8)
    packed[:, :2] = np.array([1 / 64], "<f2").view(np.uint8)
    x = rng.standard_normal((num_tokens, _BLOCKS * BLOCK_COLUMNS)).astype(np.float32)
    out = np.zeros((num_tokens, _ROWS), np.float32)
    activations = make_activations(num_tokens, _BLOCKS, TABLE_TOKENS, selected_isa().spare_tiles)
    tables, sums = make_tables(1, TABLE_TOKENS)[0], make_sums(1, TABLE_TOKENS)[0]
    return partial(multiply, packed.reshape(_ROWS, -1), x, activations, tables, sums, out)
