"""What several sequences put into one forward step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    token_ids: list[int] = []
    positions: list[int] = []
    sequence_ids: list[int] = []
    logit_rows: list[int] = []
    width = max(len(part.table.pages) for part in parts)
    page_tables = [[*part.table.pages, *[-1] * (width - len(part.table.pages))] for part in parts]
    for index, part in enumerate(parts):
        num_rows, length = len(part.token_ids), part.table.length
        logit_rows += [len(token_ids) + row for row in part.logit_rows]
        token_ids += part.token_ids
        positions += range(length, length + num_rows)
        sequence_ids += [index] * num_rows
    # Copies: an interrupted step may outlive the tables.
    return Batch(*(np.array(each, np.int32) for each in (token_ids, positions, sequence_ids, page_tables, logit_rows)))
