"""One model runner for many sequences: who may run a step, and which pages it writes to."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import Batch, ModelRunner
from bonsai_edge.engine.context_shift import shift
from bonsai_edge.engine.kv_pages import PagePool
from bonsai_edge.engine.paging import PageTable, Paging
from bonsai_edge.engine.prefix_hint import log_early_difference
from bonsai_edge.engine.sequence import TokenSequence
from bonsai_edge.engine.snapshot import PrefixSnapshot
from bonsai_edge.engine.step_part import StepPart, make_batch
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.kv_cache import PAGE_TOKENS

_LONGEST_CHUNK_S = 0.1  # a cancellation waits for the chunk of a prefill that is under way


class Engine:
    """Owns the pages of a runner and lets one forward step run at a time, from whatever thread."""

    def __init__(self, runner: ModelRunner) -> None:
        self.runner = runner
        self.chunk_rows = min(runner.least_prefill_rows, runner.max_batch_rows)
        self._paging = Paging(runner)
        self._lock = threading.Lock()
        self._released: deque[PageTable] = deque()
        self._interrupted: Batch | None = None
        self._is_closed = False

    @property
    def pool(self) -> PagePool:
        """The pages and who holds them."""
        return self._paging.pool

    @property
    def num_free_pages(self) -> int:
        """Pages that a new sequence can be promised."""
        with self._lock:
            self._take_back()
            return self._paging.num_unpromised

    def sequence(self, num_tokens: int) -> TokenSequence:
        """Open an empty sequence with room for `num_tokens` tokens, apart from the prefix cache.

        Raises KVCacheFullError.
        """
        with self._lock:
            self._enter()
            return TokenSequence(self, self._paging.open(num_tokens))

    def open_prompt(self, prompt_ids: Sequence[int], max_tokens: int) -> TokenSequence:
        """Open a sequence that begins with what is cached of a prompt, with room for the rest and `max_tokens` more.

        The last token of the prompt is never taken from the cache: its logits are wanted. What the sequence computes
        is cached for later ones. Raises KVCacheFullError.
        """
        with self._lock:
            self._enter()
            match = self._paging.cache.match(prompt_ids[:-1])
            log_early_difference(match, prompt_ids)
            return TokenSequence(self, self._paging.open_prompt(match, prompt_ids, len(prompt_ids) + max_tokens))

    def open_shifted(self, prompt_ids: Sequence[int], num_tokens: int) -> TokenSequence:
        """Open a sequence like `open_prompt` that always has pages enough to be shifted, with room for `num_tokens`.

        It shares no pages: what is cached of the prompt is copied, and what it computes is cached when it closes, if it
        was not shifted. Raises KVCacheFullError.
        """
        with self._lock:
            self._enter()
            match = self._paging.cache.match(prompt_ids[:-1])
            log_early_difference(match, prompt_ids)
            return TokenSequence(self, self._paging.open_unshared(match, prompt_ids, num_tokens))

    def shift(self, table: PageTable, num_sink_pages: int, cancelled: Callable[[], bool]) -> int | None:
        """Let a sequence forget the older half of its tokens; see `TokenSequence.shift`."""
        with self._lock:
            self._enter()
            return shift(table, num_sink_pages, self._paging, self.runner, cancelled)

    def fork(self, table: PageTable) -> PageTable:
        """Return a second table of the same pages; see `TokenSequence.fork`."""
        with self._lock:
            self._enter()
            return self._paging.fork(table)

    def step(self, parts: Sequence[StepPart]) -> npt.NDArray[np.float32]:
        """Append tokens to sequences, each named once, and return a copy of the logits asked for, part by part.

        They are float32 (num_logits, vocab_size). Together the parts have at most `runner.max_batch_rows` tokens.
        Raises InvalidRequestError after `close`.
        """
        with self._lock:
            self._enter()
            for part in parts:
                self._paging.prepare(part.table, len(part.token_ids))
            batch = make_batch(parts)
            started = time.perf_counter()
            logits = self._forward(batch)
            if len(batch.token_ids) > len(parts):  # decoding says nothing about chunks
                self.adapt_chunk(len(batch.token_ids), time.perf_counter() - started)
            for part in parts:
                self._paging.advance(part.table, part.token_ids)
            return logits

    def adapt_chunk(self, num_rows: int, elapsed_s: float) -> None:
        """Learn from a step with a chunk of a prefill, of so many rows in all, how many the next one may have.

        It should take a tenth of a second, but has the runner's least number of rows even if they take longer.
        """
        if elapsed_s > _LONGEST_CHUNK_S:
            self.chunk_rows = min(max(self.runner.least_prefill_rows, num_rows // 2), self.runner.max_batch_rows)
        elif elapsed_s < _LONGEST_CHUNK_S / 2:
            self.chunk_rows = max(self.chunk_rows, min(2 * num_rows, self.runner.max_batch_rows))

    def keep_whole_pages(self, table: PageTable) -> None:
        """Give back what a sequence has beyond whole pages; see `TokenSequence.keep_whole_pages`."""
        with self._lock:
            self._enter()
            self._paging.keep_whole_pages(table)

    @contextmanager
    def snapshot(self, token_ids: Sequence[int]) -> Iterator[PrefixSnapshot]:
        """Hold what is cached of a text, empty if nothing is, so that its pages can be read one by one.

        Steps of other sequences go on meanwhile. Raises KVCacheFullError if they were promised these pages.
        """
        with self._lock:
            self._enter()
            table = self._paging.open_cached(token_ids)
        try:
            yield PrefixSnapshot(tuple(token_ids[: table.length]), self._read_pages(table))
        finally:
            self.release(table)

    def restore(self, snapshot: PrefixSnapshot) -> int:
        """Put a snapshot into the prefix cache, page by page, and return how many of its tokens are now cached.

        They are fewer than all, perhaps 0, if pages are held by sequences or pinned, or if the snapshot has fewer pages
        than tokens for them. Steps of other sequences go on meanwhile. Raises InvalidRequestError for pages of another
        size.
        """
        with self._lock:
            self._enter()
            table = self._paging.open_to_restore(len(snapshot.token_ids))
        try:
            starts = range(0, table.most_pages * PAGE_TOKENS, PAGE_TOKENS)
            for start, content in zip(starts, snapshot.pages, strict=False):
                with self._lock:
                    self._enter()
                    self._paging.fill_page(table, snapshot.token_ids[start : start + PAGE_TOKENS], content)
        finally:
            self.release(table)
        with self._lock:
            self._enter()
            return self._paging.cache.match(snapshot.token_ids).num_tokens

    def release(self, table: PageTable) -> None:
        """Take the pages of a sequence back before anything else is done with pages.

        Without the lock, because a forgotten sequence may be closed by the garbage collector while this thread holds
        it; adding to the list is one atomic operation.
        """
        self._released.append(table)

    def close(self) -> None:
        """Wait for the step that is under way, then close the runner."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self.runner.close()

    def _read_pages(self, table: PageTable) -> Iterator[npt.NDArray[np.uint8]]:
        for page in tuple(table.pages):
            with self._lock:
                self._enter()
                content = self.runner.read_page(page)
            yield content

    def _enter(self) -> None:
        """Begin what needs the lock."""
        if self._is_closed:
            raise InvalidRequestError("The model is closed.", "Load it again.")
        if self._interrupted is not None:
            self._forward(self._interrupted)
        if self._released:
            self._take_back()

    def _take_back(self) -> None:
        while self._released:
            self._paging.close(self._released[0])
            self._released.popleft()

    def _forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run one step.

        Ctrl-C may end the waiting for a step that a runner then finishes by itself: it is repeated before anything
        else, so that it cannot write into pages that have become another's.
        """
        try:
            logits = self.runner.forward(batch).copy()
        except Exception:
            raise
        except BaseException:
            self._interrupted = batch
            raise
        self._interrupted = None
        return logits
