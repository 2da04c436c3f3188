"""Sequences of tokens on one model runner: prefill in chunks, decode one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch, ModelRunner
from bonsai_edge.engine.kv_pages import PagePool

_PREFILL_CHUNK_ROWS = 64  # tokens between two looks at a cancellation


class Engine:
    """Owns the page pool of a runner and lets one forward step run at a time, from whatever thread."""

    def __init__(self, runner: ModelRunner) -> None:
        self.runner = runner
        self.pool = PagePool(runner.num_pages)
        self._lock = threading.Lock()

    def sequence(self, num_tokens: int) -> TokenSequence:
        """Open a sequence with room for `num_tokens` tokens; raises KVCacheFullError."""
        with self._lock:
            pages = self.pool.reserve(num_tokens)
        return TokenSequence(self, pages)

    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run one step and return a copy of its logits, float32 (num_logits, vocab_size)."""
        with self._lock:
            return self.runner.forward(batch).copy()

    def release(self, pages: list[int]) -> None:
        """Take pages back from a sequence."""
        with self._lock:
            self.pool.release(pages)


class TokenSequence:
    """One sequence and its pages; a context manager that gives the pages back."""

    def __init__(self, engine: Engine, pages: list[int]) -> None:
        self.length = 0
        self._engine = engine
        self._pages = pages

    def __enter__(self) -> TokenSequence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._engine.release(self._pages)
        self._pages = []

    def prefill(
        self, token_ids: Sequence[int], cancelled: Callable[[], bool] = lambda: False
    ) -> npt.NDArray[np.float32] | None:
        """Append tokens and return the logits after the last, float32 (vocab_size,); None if cancelled before."""
        logits = None
        chunk = min(_PREFILL_CHUNK_ROWS, self._engine.runner.max_batch_rows)
        for start in range(0, len(token_ids), chunk):
            if cancelled():
                return None
            rows = token_ids[start : start + chunk]
            is_last = start + chunk >= len(token_ids)
            logits = self._step(rows, [len(rows) - 1] if is_last else [])
        return None if logits is None else logits[0]

    def decode(self, token_id: int) -> npt.NDArray[np.float32]:
        """Append one token and return the logits after it, float32 (vocab_size,)."""
        return self._step([token_id], [0])[0]

    def logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Append tokens and return the logits after each, float32 (len(token_ids), vocab_size)."""
        chunk = self._engine.runner.max_batch_rows
        parts = [token_ids[start : start + chunk] for start in range(0, len(token_ids), chunk)]
        return np.concatenate([self._step(part, range(len(part))) for part in parts])

    def _step(self, token_ids: Sequence[int], logit_rows: Sequence[int]) -> npt.NDArray[np.float32]:
        num_rows = len(token_ids)
        batch = Batch(
            token_ids=np.array(token_ids, np.int32),
            positions=np.arange(self.length, self.length + num_rows, dtype=np.int32),
            sequence_ids=np.zeros(num_rows, np.int32),
            page_tables=np.array([self._pages], np.int32),
            logit_rows=np.array(logit_rows, np.int32),
        )
        self.length += num_rows
        return self._engine.forward(batch)
