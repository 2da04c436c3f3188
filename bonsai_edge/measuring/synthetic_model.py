"""Models of random weights in this process's memory: what steps of a shape cost can be timed without its file."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.qwen3 import tensor_shapes
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.model_spec import ModelSpec

_PATTERN_BLOCKS = 57_344  # about a megabyte of blocks, not a divisor of any matrix's
_VOCAB_ROWS = 4096
_SCALE = 1 / 64  # of every block: of unit gain for rows of 4,096 columns


def matrix_bytes(spec: ModelSpec) -> dict[str, int]:
    """Return the bytes of every matrix in Q1_0; the norms, kilobytes of float32, are left out."""
    return {
        name: num_rows * GGMLType.Q1_0.row_bytes(num_columns)
        for name, (num_rows, num_columns) in tensor_shapes(spec).items()
        if num_rows > 1
    }


def few_layers(spec: ModelSpec, wanted_bytes: int) -> ModelSpec:
    """Return a model with as many layers of that width as make so many bytes of weights, one at least."""
    layer_bytes = sum(matrix_bytes(replace(spec, num_layers=1, vocab_size=0)).values())
    num_layers = max(1, round(wanted_bytes / layer_bytes))
    return replace(spec, num_layers=num_layers, vocab_size=_VOCAB_ROWS, tied_embeddings=True)


def synthetic_checkpoint(spec: ModelSpec) -> Checkpoint:
    """Return a model whose matrices lie one behind the other, as in a file, in pages of the size that files have."""
    sizes = matrix_bytes(spec)
    memory = mmap.mmap(-1, sum(sizes.values()))
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):  # a kernel without huge pages refuses
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    blocks = np.frombuffer(memory, np.uint8)
    _fill(blocks)
    return Checkpoint(Path("synthetic"), len(memory), spec, {}, _tensors(spec, sizes, blocks))


def _fill(memory: npt.NDArray[np.uint8]) -> None:
    """Write blocks of random signs; every page is written, for untouched ones would all be one in the cache."""
    pattern = np.random.default_rng(0).integers(0, 256, (_PATTERN_BLOCKS, GGMLType.Q1_0.block_bytes), np.uint8)
    pattern[:, :2] = np.array([_SCALE], "<f2").view(np.uint8)
    flat = pattern.reshape(-1)
    for start in range(0, memory.size, flat.size):
        part = memory[start : start + flat.size]
        part[:] = flat[: part.size]


def _tensors(spec: ModelSpec, sizes: Mapping[str, int], memory: npt.NDArray[np.uint8]) -> Mapping[str, QuantizedTensor]:
    tensors, start = {}, 0
    for name, (num_rows, num_columns) in tensor_shapes(spec).items():
        if name in sizes:
            packed = memory[start : start + sizes[name]].reshape(num_rows, -1)
            tensors[name] = QuantizedTensor(name, GGMLType.Q1_0, num_columns, packed)
            start += sizes[name]
        else:
            ones = np.ones((1, num_columns), "<f4").view(np.uint8)
            tensors[name] = QuantizedTensor(name, GGMLType.F32, num_columns, ones)
    return tensors
