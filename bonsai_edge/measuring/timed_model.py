"""Times the steps of a backend on a synthetic model: one token or a chunk of a prompt, at any depth."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from bonsai_edge.backend import Backend, Batch
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.memory.plan import MemoryPlan

MOST_CHUNK_ROWS = 2 * PAGE_TOKENS
_TURN_S = 0.04


class Step(NamedTuple):
    """So many rows after so many tokens."""

    num_rows: int
    depth: int


class TimedModel:
    """A loaded synthetic model and the times of its steps so far. `chunk_rows`: the fewest rows at full speed."""

    def __init__(self, backend: Backend, model: Checkpoint, kv_type: KVType, threads: int, depth: int) -> None:
        self.spec = model.spec
        plan = MemoryPlan(depth + MOST_CHUNK_ROWS, 0, 0, 0, kv_type)
        self._runner = backend.load(model, plan, threads)
        self._page_table = np.arange(plan.num_pages, dtype=np.int32)[np.newaxis]
        self.chunk_rows = min(self._runner.least_prefill_rows, self._runner.max_batch_rows, MOST_CHUNK_ROWS)
        self._durations_s: defaultdict[Step, list[float]] = defaultdict(list)
        self._fill_pages()

    def take_turns(self, steps: Iterable[Step]) -> None:
        """Time each step for a moment, after one that brings its data into the caches."""
        for step in steps:
            self._time(step)
            began = time.perf_counter()
            while True:
                self._durations_s[step].append(self._time(step))
                if time.perf_counter() - began > _TURN_S:
                    break

    def step_s(self, step: Step) -> float:
        """Return the median of a step's times: what a run of many such steps takes for each, but for rare long ones."""
        return float(np.median(self._durations_s[step]))

    def close(self) -> None:
        """Release the runner."""
        self._runner.close()

    def _fill_pages(self) -> None:
        """Give every page keys and values, those of the first: what was never written may all be one page of zeros."""
        self._runner.forward(self._batch(Step(PAGE_TOKENS, 0)))
        content = self._runner.read_page(0)
        for page in range(1, self._page_table.size):
            self._runner.write_page(page, content)

    def _time(self, step: Step) -> float:
        batch = self._batch(step)
        began = time.perf_counter()
        self._runner.forward(batch)
        return time.perf_counter() - began

    def _batch(self, step: Step) -> Batch:
        rows = np.arange(step.num_rows, dtype=np.int32)
        return Batch(
            token_ids=rows,
            positions=rows + np.int32(step.depth),
            sequence_ids=np.zeros_like(rows),
            page_tables=self._page_table,
            logit_rows=rows[:1] if step.num_rows == 1 else rows[:0],  # as a prompt's, of which only the last has logits
        )
