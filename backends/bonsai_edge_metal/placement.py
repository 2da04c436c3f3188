"""Where the tokens of a batch lie in the KV planes, and what each sequence may see, as NumPy decides it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge_metal.kv_pages import Slots


@dataclass(frozen=True)
class Reach:
    """The rows of one sequence, and the slots of the tokens that they attend to.

    mask: None where every row sees every slot, "causal" where the rows are the last ones, else bool (num_rows,
    num_slots).
    """

    rows: slice
    slots: Slots
    mask: str | mx.array | None


def written_slots(batch: Batch) -> npt.NDArray[np.int32]:
    """Return the slot that each row's key and value are written to, int32 (num_rows,)."""
    pages = batch.page_tables[batch.sequence_ids, batch.positions // PAGE_TOKENS]
    return pages * PAGE_TOKENS + batch.positions % PAGE_TOKENS


def reaches(batch: Batch) -> Iterator[Reach]:
    """Yield what each run of rows of one sequence attends to, in the order of the rows."""
    changes = np.flatnonzero(np.diff(batch.sequence_ids)) + 1
    for rows in np.split(np.arange(len(batch.sequence_ids)), changes):
        positions, table = batch.positions[rows], batch.page_tables[batch.sequence_ids[rows[0]]]
        length = int(positions[-1]) + 1
        yield Reach(slice(int(rows[0]), int(rows[-1]) + 1), _attended_slots(table, length), _mask(positions, length))


def _attended_slots(table: npt.NDArray[np.int32], length: int) -> Slots:
    """Return a slice where the pages follow one another, which spares a copy of them."""
    pages = table[: -(-length // PAGE_TOKENS)]
    if (np.diff(pages) == 1).all():
        start = int(pages[0]) * PAGE_TOKENS
        return slice(start, start + length)
    slots = (pages[:, None] * PAGE_TOKENS + np.arange(PAGE_TOKENS)).reshape(-1)[:length]
    return mx.array(slots)


def _mask(positions: npt.NDArray[np.int32], length: int) -> str | mx.array | None:
    if len(positions) == 1:
        return None
    if positions[-1] - positions[0] == len(positions) - 1:
        return "causal"
    return mx.array(np.arange(length) <= positions[:, None])
