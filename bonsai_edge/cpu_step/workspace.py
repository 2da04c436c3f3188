"""The intermediate results of a step: their memory, and the sizes that kernels and memory agree on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bonsai_edge.cpu_step.aligned import CACHE_LINE_BYTES, aligned_empty, spaced_rows
from bonsai_edge.kv_cache import GROUP_VALUES, PAGE_TOKENS
from bonsai_edge.model_spec import ModelSpec

Floats = npt.NDArray[np.float32]

WIDTH = 16
"""Floats in a vector of the kernels; lengths of rows are multiples of it."""

BLOCK_COLUMNS = 128
GROUPS = 4
"""Groups of 32 columns in a block, each with its own scale."""

MAX_TABLE_ROWS = 768
"""Rows whose sums a thread keeps at a time when it multiplies by tables, a multiple of 16."""

ATTENTION_TILE_ROWS = 16
"""Rows of a tile of attention: their records and a page of keys and values stay near the first-level cache."""

CACHE_LINE_INTS = CACHE_LINE_BYTES // 4


class Activations(NamedTuple):
    """Quantized rows, one a token.

    quants: int8 (max_rows, max_blocks, 128) in planes: byte i of plane n is column 8i + n. scales: float32 (max_rows,
    max_blocks, 4). negative_sums: int32 (max_rows, max_blocks, 4), minus the sum of each group's quants. The same for
    `table_tokens` tokens side by side, when there are enough of them: columns int8 (max_tiles, max_blocks, 128,
    table_tokens) and column_scales float32 (max_tiles, max_blocks, 4, table_tokens): first the scales of even tokens,
    then of odd ones, times 2^-16. Tiles of columns that no tokens need, and spare ones, are there for what else the
    kernels of an instruction set bring a few tokens into.
    """

    quants: npt.NDArray[np.int8]
    scales: Floats
    negative_sums: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int8]
    column_scales: Floats


class Workspace(NamedTuple):
    """The intermediate results of a step, allocated once for the largest batch; float32 (max_rows, width) if not said.

    x: hidden states. floats: what was normalized last. activations: what was quantized last. tables int16, sums: a
    thread's own memory of the table kernel. attention_scratch: see `attention_scratch_floats`, a row a thread. logits:
    (max_rows, vocab_size). all_rows: int32 0 … max_rows - 1. barrier: see `new_barrier`.
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


def make_workspace(
    spec: ModelSpec, max_rows: int, num_threads: int, table_tokens: int, spare_tiles: int = 0
) -> Workspace:
    """Reserve the memory of all intermediate results; the system hands it out when it is first touched.

    `table_tokens` is how many tokens the kernels multiply by tables at a time, `spare_tiles` how many tiles of columns
    they want besides; both depend on the instruction set.
    """
    widest = max(spec.hidden_size, spec.attention_size, spec.intermediate_size)
    return Workspace(
        x=spaced_rows(max_rows, spec.hidden_size),
        floats=spaced_rows(max_rows, spec.hidden_size),
        activations=make_activations(max_rows, widest // BLOCK_COLUMNS, table_tokens, spare_tiles),
        tables=make_tables(num_threads, table_tokens),
        sums=make_sums(num_threads, table_tokens),
        q=spaced_rows(max_rows, spec.attention_size),
        k=spaced_rows(max_rows, spec.kv_size),
        v=spaced_rows(max_rows, spec.kv_size),
        attention=spaced_rows(max_rows, spec.attention_size),
        gate=spaced_rows(max_rows, spec.intermediate_size),
        up=spaced_rows(max_rows, spec.intermediate_size),
        attention_scratch=aligned_empty((num_threads, attention_scratch_floats(spec.head_dim)), np.float32),
        logits=np.empty((max_rows, spec.vocab_size), np.float32),
        all_rows=np.arange(max_rows, dtype=np.int32),
        barrier=new_barrier(),
    )


def workspace_bytes(
    spec: ModelSpec, max_rows: int, num_threads: int, num_logit_rows: int, table_tokens: int, spare_tiles: int = 0
) -> int:
    """Return the bytes of what `make_workspace` reserves as far as steps with that many logits touch it."""
    # Costs address space, and memory for a moment.
    work = make_workspace(spec, max_rows, num_threads, table_tokens, spare_tiles)
    arrays = [array for part in work for array in (part if isinstance(part, tuple) else (part,))]
    untouched_rows = max(0, max_rows - num_logit_rows)
    return sum(array.nbytes for array in arrays) - untouched_rows * work.logits[0].nbytes


def make_activations(max_rows: int, max_blocks: int, table_tokens: int, spare_tiles: int = 0) -> Activations:
    """Reserve memory for rows of up to `max_blocks` blocks."""
    max_tiles = -(-max_rows // table_tokens)
    max_rows = max_tiles * table_tokens  # those without a token are computed, too
    result = Activations(
        aligned_empty((max_rows, max_blocks, BLOCK_COLUMNS), np.int8),
        aligned_empty((max_rows, max_blocks, GROUPS), np.float32),
        aligned_empty((max_rows, max_blocks, GROUPS), np.int32),
        aligned_empty((max_tiles + spare_tiles, max_blocks, BLOCK_COLUMNS, table_tokens), np.int8),
        aligned_empty((max_tiles, max_blocks, GROUPS, table_tokens), np.float32),
    )
    result.quants.fill(0)
    result.scales.fill(0.0)
    return result


def make_tables(num_threads: int, table_tokens: int) -> npt.NDArray[np.int16]:
    """Reserve each thread's tables of the sixteen sums of every four columns, (num_threads, 32, 16, table_tokens)."""
    return aligned_empty((num_threads, BLOCK_COLUMNS // 4, 16, table_tokens), np.int16)


def make_sums(num_threads: int, table_tokens: int) -> Floats:
    """Reserve each thread's sums, (num_threads, MAX_TABLE_ROWS, table_tokens): even tokens, then odd ones."""
    return aligned_empty((num_threads, MAX_TABLE_ROWS, table_tokens), np.float32)


def new_barrier() -> npt.NDArray[np.int32]:
    """Return the memory of a barrier of threads: arrivals and rounds, a cache line apart."""
    return np.zeros(3 * CACHE_LINE_INTS, np.int32)


def attention_record_floats(head_dim: int) -> int:
    """Return the size of a row's record: three vectors, the scores of two pages, the query and the weighted sum."""
    return 3 * WIDTH + 2 * PAGE_TOKENS + 2 * head_dim


def attention_scratch_floats(head_dim: int) -> int:
    """Return how many float32 a thread needs for the records of a tile and the scales of a plane."""
    return ATTENTION_TILE_ROWS * attention_record_floats(head_dim) + head_dim // GROUP_VALUES * PAGE_TOKENS
