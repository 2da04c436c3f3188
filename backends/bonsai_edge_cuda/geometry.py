"""The sizes of a model as the kernels count them, and what they cannot compute, said before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.model_spec import ModelSpec

BLOCK_COLUMNS = GGMLType.Q1_0.block_elements
TILE_ROWS = 32
"""Rows of a matrix that one thread block multiplies."""

COLUMNS = (1, 2, 4, 8)
"""How many rows of a batch the decode kernels take; there is one of each."""

HEAD_DIMS = (64, 128)
_MOST_HEADS_A_GROUP = 16


def check_supported(spec: ModelSpec, tensors: Mapping[str, QuantizedTensor]) -> None:
    """Raise UnsupportedModelError, naming the part, for a model that the kernels cannot compute."""
    if spec.head_dim not in HEAD_DIMS:
        raise _unsupported(f"{spec.name} has heads of {spec.head_dim} values; the CUDA kernels have 64 and 128")
    group = spec.num_heads // spec.num_kv_heads
    if group > _MOST_HEADS_A_GROUP:
        raise _unsupported(f"{spec.name} has {group} heads for each KV head; the CUDA kernels have at most 16")
    for what, width in (
        ("hidden size", spec.hidden_size),
        ("feed-forward size", spec.intermediate_size),
        ("attention width", spec.attention_size),
    ):
        if width % BLOCK_COLUMNS:
            raise _unsupported(f"{spec.name} has a {what} of {width}; the CUDA kernels need multiples of 128")
    for tensor in tensors.values():
        if tensor.num_rows > 1 and tensor.ggml_type is not GGMLType.Q1_0:
            raise _unsupported(f"Tensor {tensor.name!r} of {spec.name} is {tensor.ggml_type.name}; CUDA has Q1_0 alone")


def num_blocks(num_columns: int) -> int:
    """Return how many Q1_0 blocks a row has."""
    return num_columns // BLOCK_COLUMNS


def num_tiles(num_rows: int) -> int:
    """Return how many tiles a matrix has, the last one padded."""
    return -(-num_rows // TILE_ROWS)


def columns_for(num_rows: int) -> int | None:
    """Return the decode kernels for a batch of so many rows; None if they are too many."""
    return next((columns for columns in COLUMNS if columns >= num_rows), None)


def _unsupported(cause: str) -> UnsupportedModelError:
    return UnsupportedModelError(f"{cause}.", "Use --backend cpu.")
