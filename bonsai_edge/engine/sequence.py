"""One sequence of tokens on an engine: prefill in chunks, decode one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bonsai_edge.engine.step_part import StepPart

if TYPE_CHECKING:
    from bonsai_edge.engine.engine import Engine
    from bonsai_edge.engine.paging import PageTable


class TokenSequence:
    """Tokens whose keys and values are in the cache; a context manager that gives their pages back."""

    def __init__(self, engine: Engine, table: PageTable) -> None:
        self._engine = engine
        self._table = table

    def __enter__(self) -> TokenSequence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def part(self, token_ids: Sequence[int], *, wants_logits: bool) -> StepPart:
        """Return what appends tokens to this sequence in a step of several, perhaps with the logits after the last."""
        return StepPart(self._table, token_ids, [len(token_ids) - 1] if wants_logits else [])

    @property
    def length(self) -> int:
        """Tokens so far; those that were found in the prefix cache are there from the beginning."""
        return self._table.length

    def close(self) -> None:
        """Give the pages back; the sequence must not be used afterwards."""
        self._engine.release(self._table)

    def fork(self) -> TokenSequence:
        """Open a second sequence with the same tokens and the same room, in the same pages until either writes.

        Raises KVCacheFullError.
        """
        return TokenSequence(self._engine, self._engine.fork(self._table))

    def prefill(
        self, token_ids: Sequence[int], cancelled: Callable[[], bool] = lambda: False
    ) -> npt.NDArray[np.float32] | None:
        """Append tokens, at least one, and return the logits after the last, float32 (vocab_size,).

        They go through the model in chunks of about a tenth of a second; None if cancelled between two of them.
        """
        start = 0
        while True:
            if cancelled():
                return None
            rows = token_ids[start : start + self._engine.chunk_rows]
            start += len(rows)
            logits = self._step(rows, [len(rows) - 1] if start == len(token_ids) else [])
            if start == len(token_ids):
                return logits[0]

    def decode(self, token_id: int) -> npt.NDArray[np.float32]:
        """Append one token and return the logits after it, float32 (vocab_size,)."""
        return self._step([token_id], [0])[0]

    def logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Append tokens and return the logits after each, float32 (len(token_ids), vocab_size)."""
        chunk = self._engine.runner.max_batch_rows
        logits = np.empty((len(token_ids), self._engine.runner.spec.vocab_size), np.float32)
        for start in range(0, len(token_ids), chunk):
            rows = token_ids[start : start + chunk]
            logits[start : start + chunk] = self._step(rows, range(len(rows)))
        return logits

    def keep_whole_pages(self) -> None:
        """Stay open only to keep whole pages from being forgotten; the sequence cannot grow any more."""
        self._engine.keep_whole_pages(self._table)

    def shift(self, num_sink_pages: int = 1, cancelled: Callable[[], bool] = lambda: False) -> int | None:
        """Forget the older half of the tokens after the first pages, move the rest up, and return how many went.

        There must be two full pages or more after the first. Raises KVCacheFullError if the sequence shares pages and
        there are too few to copy them, which cannot be with `Engine.open_shifted`. None if cancelled meanwhile; nothing
        but `close` may follow then.
        """
        return self._engine.shift(self._table, num_sink_pages, cancelled)

    def _step(self, token_ids: Sequence[int], logit_rows: Sequence[int]) -> npt.NDArray[np.float32]:
        return self._engine.step([StepPart(self._table, token_ids, logit_rows)])
