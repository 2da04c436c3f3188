"""What changes from step to step: tokens, positions and page tables, written by the host and copied to the device.

One block of memory of each side with one layout, so that a step begins with a single copy and a recorded graph finds
everything at the same place every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch
from bonsai_edge_cuda.driver import Driver

UNUSED = -1
"""The position of a row that a graph has and the batch does not."""

_INT_BYTES = 4


@dataclass(frozen=True)
class _Layout:
    """Where each array begins, in int32."""

    max_rows: int
    max_pages: int

    @property
    def token_ids(self) -> int:
        return 0

    @property
    def positions(self) -> int:
        return self.max_rows

    @property
    def sequence_ids(self) -> int:
        return 2 * self.max_rows

    @property
    def logit_rows(self) -> int:
        return 3 * self.max_rows

    @property
    def tiles(self) -> int:
        return 4 * self.max_rows

    @property
    def page_tables(self) -> int:
        return 6 * self.max_rows

    def num_bytes(self, num_sequences: int) -> int:
        """Bytes up to the end of so many page tables."""
        return _INT_BYTES * (self.page_tables + num_sequences * self.max_pages)


class StepState:
    """The arrays of a step, and their addresses on the device.

    token_ids, positions, sequence_ids, logit_rows: int32 (max_rows,). tiles: int32 (num_tiles, 2), runs of rows of one
    sequence that attend together: the first row and how many. page_tables: int32 (max_rows, max_pages).
    """

    def __init__(self, driver: Driver, max_rows: int, max_pages: int) -> None:
        self.max_pages = max_pages
        self._driver = driver
        self._layout = layout = _Layout(max_rows, max_pages)
        num_bytes = layout.num_bytes(max_rows)
        self._host = driver.allocate_shared(num_bytes)
        self._device = driver.allocate(num_bytes)
        values = self._host.array[:num_bytes].view(np.int32)
        self._token_ids = values[layout.token_ids : layout.positions]
        self._positions = values[layout.positions : layout.sequence_ids]
        self._sequence_ids = values[layout.sequence_ids : layout.logit_rows]
        self._logit_rows = values[layout.logit_rows : layout.tiles]
        self._tiles = values[layout.tiles : layout.page_tables].reshape(-1, 2)
        self._page_tables = values[layout.page_tables :].reshape(max_rows, max_pages)
        self.token_ids = self._address(layout.token_ids)
        self.positions = self._address(layout.positions)
        self.sequence_ids = self._address(layout.sequence_ids)
        self.tiles = self._address(layout.tiles)
        self.page_tables = self._address(layout.page_tables)

    def logit_rows(self, first: int = 0) -> int:
        """Return the address of the rows that want logits, from the `first` on."""
        return self._address(self._layout.logit_rows + first)

    def fill(self, batch: Batch, num_rows: int, tile_rows: int) -> int:
        """Write a batch for kernels that compute `num_rows` rows, with tiles of at most so many; return their number.

        Nothing is copied yet; the step before must have ended.
        """
        used = len(batch.token_ids)
        self._token_ids[:used], self._token_ids[used:num_rows] = batch.token_ids, 0
        self._positions[:used], self._positions[used:num_rows] = batch.positions, UNUSED
        self._sequence_ids[:used], self._sequence_ids[used:num_rows] = batch.sequence_ids, 0
        wanted = len(batch.logit_rows)
        self._logit_rows[:wanted], self._logit_rows[wanted:num_rows] = batch.logit_rows, 0
        tables = batch.page_tables[:, : self.max_pages]
        self._page_tables[: len(tables), : tables.shape[1]] = tables
        tiles = attention_tiles(batch.sequence_ids, tile_rows)
        self._tiles[: len(tiles)] = tiles
        return len(tiles)

    def copy(self, num_sequences: int) -> None:
        """Copy the arrays, with so many page tables, to the device, without waiting."""
        self._driver.copy(self._host.address, self._device, self._layout.num_bytes(num_sequences))

    def _address(self, offset: int) -> int:
        return self._device + _INT_BYTES * offset


def state_bytes(max_rows: int, max_pages: int) -> int:
    """Return the bytes of the arrays on the device."""
    return _Layout(max_rows, max_pages).num_bytes(max_rows)


def attention_tiles(sequence_ids: npt.NDArray[np.int32], tile_rows: int) -> npt.NDArray[np.int32]:
    """Return int32 (num_tiles, 2): each run of rows of one sequence, in pieces of at most `tile_rows`."""
    changes = np.flatnonzero(np.diff(sequence_ids)) + 1
    bounds = np.concatenate([[0], changes, [len(sequence_ids)]])
    firsts = np.concatenate([np.arange(*run, tile_rows) for run in pairwise(bounds)])
    ends = np.minimum(firsts + tile_rows, bounds[np.searchsorted(bounds, firsts, side="right")])
    return np.stack([firsts, ends - firsts], axis=1).astype(np.int32)
