"""The work arrays of a runner on the device: how large each is for a model, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass, fields

from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_cuda.driver import Driver
from bonsai_edge_cuda.geometry import COLUMNS, num_blocks

CHUNK_POSITIONS = 128
"""Positions of the cache that are attended to together; the chunks are merged in their order."""

LOGIT_ROWS = 32
"""Rows whose logits are computed together: more come one after the other."""

_FLOAT, _HALF, _HEADER = 4, 2, 16
_ALIGNMENT = 256


@dataclass(frozen=True)
class Workspace:
    """The addresses of the arrays, or their sizes in bytes.

    float32: x (rows, hidden_size), qkv (rows, attention_size + 2 kv_size), o (rows, attention_size), act (rows,
    intermediate_size), logits (LOGIT_ROWS, vocab_size). q: float16 (rows, num_heads, head_dim). codes, headers and
    factors are rows quantized for a matrix; the partials and tickets are those of the decode kernel's attention. rope:
    float32 (max_positions, 2, head_dim / 2).
    """

    x: int
    qkv: int
    q: int
    o: int
    act: int
    codes: int
    headers: int
    factors: int
    logits: int
    partial_out: int
    partial_max_sum: int
    tickets: int
    rope: int


def workspace_sizes(spec: ModelSpec, max_rows: int, max_positions: int) -> Workspace:
    """Return how many bytes each array takes."""
    widest = max(spec.hidden_size, spec.attention_size, spec.intermediate_size)
    partials = COLUMNS[-1] * spec.num_heads * num_chunks(max_positions)
    return Workspace(
        x=max_rows * spec.hidden_size * _FLOAT,
        qkv=max_rows * (spec.attention_size + 2 * spec.kv_size) * _FLOAT,
        q=max_rows * spec.attention_size * _HALF,
        o=max_rows * spec.attention_size * _FLOAT,
        act=max_rows * spec.intermediate_size * _FLOAT,
        codes=max_rows * widest,
        headers=max_rows * num_blocks(widest) * _HEADER,
        factors=max_rows * _FLOAT,
        logits=LOGIT_ROWS * spec.vocab_size * _FLOAT,
        partial_out=partials * spec.head_dim * _FLOAT,
        partial_max_sum=partials * 2 * _FLOAT,
        tickets=COLUMNS[-1] * spec.num_kv_heads * _FLOAT,
        rope=max_positions * spec.head_dim * _FLOAT,
    )


def allocate_workspace(driver: Driver, sizes: Workspace) -> Workspace:
    """Return the addresses of arrays of these sizes, which hold zeros."""
    return Workspace(*(driver.allocate(getattr(sizes, field.name)) for field in fields(sizes)))


def total_bytes(sizes: Workspace) -> int:
    """Return what all of them take."""
    return sum(-(-getattr(sizes, field.name) // _ALIGNMENT) * _ALIGNMENT for field in fields(sizes))


def num_chunks(max_positions: int) -> int:
    """Return the most chunks of positions that a row attends to."""
    return -(-max_positions // CHUNK_POSITIONS)
