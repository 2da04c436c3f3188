"""What a compiled step works on: plain arrays and numbers, gathered in named tuples that Numba understands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_cpu.aligned import aligned_empty, spaced_rows
from bonsai_edge_cpu.barrier import new_barrier
from bonsai_edge_cpu.kernels.attention import attention_scratch_floats
from bonsai_edge_cpu.kernels.dense import WIDTH
from bonsai_edge_cpu.kernels.q1_0_tables import make_sums, make_tables
from bonsai_edge_cpu.kernels.quantization import BLOCK_COLUMNS, Activations, make_activations

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


class Workspace(NamedTuple):
    """The intermediate results of a step, allocated once for the largest batch; float32 (max_rows, width) if not said.

    x: hidden states. floats: what was normalized last. activations: what was quantized last. tables int16, sums: a
    thread's own memory of the table kernel. attention_scratch: see `kernels.attention`, a row a thread. logits:
    (max_rows, vocab_size). all_rows: int32 0 … max_rows - 1. barrier: see `barrier`.
    """

    x: Floats
    floats: Floats
    activations: Activations
    tables: npt.NDArray[np.int16]
    sums: Floats
    q: Floats
    k: Floats
    v: Floats
    attention: Floats
    gate: Floats
    up: Floats
    attention_scratch: Floats
    logits: Floats
    all_rows: npt.NDArray[np.int32]
    barrier: npt.NDArray[np.int32]


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


def make_workspace(spec: ModelSpec, max_rows: int, num_threads: int, barrier: npt.NDArray[np.int32]) -> Workspace:
    """Reserve the memory of all intermediate results; the system hands it out when it is first touched."""
    widest = max(spec.hidden_size, spec.attention_size, spec.intermediate_size)

    return Workspace(
        x=spaced_rows(max_rows, spec.hidden_size),
        floats=spaced_rows(max_rows, spec.hidden_size),
        activations=make_activations(max_rows, widest // BLOCK_COLUMNS),
        tables=make_tables(num_threads),
        sums=make_sums(num_threads),
        q=spaced_rows(max_rows, spec.attention_size),
        k=spaced_rows(max_rows, spec.kv_size),
        v=spaced_rows(max_rows, spec.kv_size),
        attention=spaced_rows(max_rows, spec.attention_size),
        gate=spaced_rows(max_rows, spec.intermediate_size),
        up=spaced_rows(max_rows, spec.intermediate_size),
        attention_scratch=aligned_empty((num_threads, attention_scratch_floats(spec.head_dim)), np.float32),
        logits=np.empty((max_rows, spec.vocab_size), np.float32),
        all_rows=np.arange(max_rows, dtype=np.int32),
        barrier=barrier,
    )


def workspace_bytes(spec: ModelSpec, max_rows: int, num_threads: int, num_logit_rows: int) -> int:
    """Return the bytes of what `make_workspace` reserves as far as steps with that many logits touch it."""
    work = make_workspace(spec, max_rows, num_threads, new_barrier())  # costs address space, and memory for a moment
    arrays = [array for part in work for array in (part if isinstance(part, tuple) else (part,))]
    untouched_rows = max(0, max_rows - num_logit_rows)
    return sum(array.nbytes for array in arrays) - untouched_rows * work.logits[0].nbytes


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
                f"'qwen3.{key}' of {checkpoint.path} is {width}; the cpu backend supports multiples of {multiple}.",
                "Use --backend reference for this model.",
            )
