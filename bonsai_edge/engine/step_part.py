"""What several sequences put into one forward step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from bonsai_edge.backend import Batch
from bonsai_edge.engine.paging import PageTable


@dataclass(frozen=True)
class StepPart:
    """Tokens that one sequence appends; `logit_rows` are those, by their index, after which logits are wanted."""

    table: PageTable
    token_ids: Sequence[int]
    logit_rows: Sequence[int]


def make_batch(parts: Sequence[StepPart]) -> Batch:
    """Return the rows of all parts, one part after the other; their tables must have pages for them."""
    num_rows = [len(part.token_ids) for part in parts]
    first_rows = [0, *accumulate(num_rows)][:-1]
    page_tables = np.full((len(parts), max(len(part.table.pages) for part in parts)), -1, np.int32)
    for part, pages in zip(parts, page_tables, strict=True):
        pages[: len(part.table.pages)] = part.table.pages  # a copy: an interrupted step may outlive the table
    positions = [np.arange(part.table.length, part.table.length + len(part.token_ids)) for part in parts]
    return Batch(
        token_ids=np.array([token_id for part in parts for token_id in part.token_ids], np.int32),
        positions=np.concatenate(positions, dtype=np.int32),
        sequence_ids=np.repeat(np.arange(len(parts), dtype=np.int32), num_rows),
        page_tables=page_tables,
        logit_rows=np.array(
            [first + row for part, first in zip(parts, first_rows, strict=True) for row in part.logit_rows], np.int32
        ),
    )
