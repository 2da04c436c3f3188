"""Sequences of tokens on one model runner: prefill in chunks, decode one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch, ModelRunner
from bonsai_edge.engine.kv_pages import PagePool
from bonsai_edge.errors import InvalidRequestError

_LONGEST_CHUNK_S = 0.1  # a cancellation waits for the chunk of a prefill that is under way


class Engine:
    """Owns the page pool of a runner and lets one forward step run at a time, from whatever thread."""

    def __init__(self, runner: ModelRunner) -> None:
        self.runner = runner
        self.pool = PagePool(runner.num_pages)
        self.chunk_rows = min(runner.least_prefill_rows, runner.max_batch_rows)
        self._lock = threading.Lock()
        self._is_closed = False

    def sequence(self, num_tokens: int) -> TokenSequence:
        """Open a sequence with room for `num_tokens` tokens; raises KVCacheFullError."""
        with self._lock:
            pages = self.pool.reserve(num_tokens)
        return TokenSequence(self, pages)

    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run one step and return a copy of its logits, float32 (num_logits, vocab_size).

        Raises InvalidRequestError after `close`.
        """
        with self._lock:
            if self._is_closed:
                raise InvalidRequestError("The model is closed.", "Load it again.")
            started = time.perf_counter()
            logits = self.runner.forward(batch).copy()
            self.adapt_chunk(len(batch.token_ids), time.perf_counter() - started)
            return logits

    def adapt_chunk(self, num_rows: int, elapsed_s: float) -> None:
        """Learn from a step of several rows how many the next chunk of a prefill may have.

        It should take a tenth of a second, but has the runner's least number of rows even if they take longer.
        """
        if num_rows > 1 and elapsed_s > _LONGEST_CHUNK_S:
            self.chunk_rows = min(max(self.runner.least_prefill_rows, num_rows // 2), self.runner.max_batch_rows)
        elif elapsed_s < _LONGEST_CHUNK_S / 2:
            self.chunk_rows = max(self.chunk_rows, min(2 * num_rows, self.runner.max_batch_rows))

    def release(self, pages: list[int]) -> None:
        """Take pages back from a sequence.

        Without the lock, because a forgotten sequence may be closed by the garbage collector while this thread holds
        it; giving back is one atomic operation.
        """
        self.pool.release(pages)

    def close(self) -> None:
        """Wait for the step that is under way, then close the runner."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self.runner.close()


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
