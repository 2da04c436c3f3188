"""What a compiled step is given: plain arrays and numbers, gathered in named tuples that Numba understands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bonsai_edge.cpu_step.workspace import BLOCK_COLUMNS, WIDTH
from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.model_spec import ModelSpec

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

QUERY, KEY, VALUE, OUTPUT, GATE, UP, DOWN = range(7)
_LAYER_MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")

ADDRESS, TYPE, ROW_BYTES, NUM_ROWS, NUM_COLUMNS = range(5)
"""Columns of a matrix record."""


class Dimensions(NamedTuple):
    """The numbers of `ModelSpec` that kernels need."""

    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    eps: np.float32


class Weights(NamedTuple):
    """Where the weights lie in the mapped file, and the norms, the only ones that are copied.

    matrices: int64 (num_layers, 7, 5), a record for each of QUERY … DOWN; embedding, head: int64 (5,) records.
    """

    matrices: Ints
    embedding: Ints
    head: Ints
    attn_norm: Floats
    ffn_norm: Floats
    q_norm: Floats
    k_norm: Floats
    output_norm: Floats


class StepInput(NamedTuple):
    """A `Batch` and the cosines and sines of its positions, float32 (num_rows, head_dim // 2)."""

    token_ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int32]
    sequence_ids: npt.NDArray[np.int32]
    page_tables: npt.NDArray[np.int32]
    logit_rows: npt.NDArray[np.int32]
    cos: Floats
    sin: Floats


def make_dimensions(spec: ModelSpec) -> Dimensions:
    """Gather the numbers."""
    return Dimensions(spec.num_layers, spec.num_heads, spec.num_kv_heads, spec.head_dim, np.float32(spec.rms_norm_eps))


def make_weights(checkpoint: Checkpoint) -> Weights:
    """Record where every matrix lies, and copy the norms.

    Raises UnsupportedModelError for widths that do not divide into blocks of 128, or heads not into 16.
    """
    spec, tensors = checkpoint.spec, checkpoint.tensors
    _check_widths(checkpoint)

    def norms(name: str) -> Floats:
        return np.concatenate([tensors[f"blk.{i}.{name}.weight"].dequantize() for i in range(spec.num_layers)])

    return Weights(
        matrices=np.array(
            [[_record(tensors[f"blk.{i}.{name}.weight"]) for name in _LAYER_MATRICES] for i in range(spec.num_layers)],
            np.int64,
        ),
        embedding=_record(tensors["token_embd.weight"]),
        head=_record(tensors["token_embd.weight" if spec.tied_embeddings else "output.weight"]),
        attn_norm=norms("attn_norm"),
        ffn_norm=norms("ffn_norm"),
        q_norm=norms("attn_q_norm"),
        k_norm=norms("attn_k_norm"),
        output_norm=tensors["output_norm.weight"].dequantize()[0],
    )


def _record(tensor: QuantizedTensor) -> Ints:
    packed = tensor.packed
    return np.array(
        [packed.ctypes.data, tensor.ggml_type, packed.shape[1], tensor.num_rows, tensor.num_columns], np.int64
    )


def _check_widths(checkpoint: Checkpoint) -> None:
    spec = checkpoint.spec
    widths = {
        "embedding_length": (spec.hidden_size, BLOCK_COLUMNS),
        "feed_forward_length": (spec.intermediate_size, BLOCK_COLUMNS),
        "attention.key_length times head_count": (spec.attention_size, BLOCK_COLUMNS),
        "attention.key_length": (spec.head_dim, WIDTH),
    }
    for key, (width, multiple) in widths.items():
        if width % multiple:
            raise UnsupportedModelError(
                f"'qwen3.{key}' of {checkpoint.path} is {width}; the kernels support multiples of {multiple}.",
                "Use --backend reference for this model.",
            )
