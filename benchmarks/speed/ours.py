"""This project's side: prompts go through the engine, in its chunks; decoding through the runner of the backend."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import bonsai_edge
from bonsai_edge.backend import Batch
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.plugin_manager import list_backends
from speed.case import Case
from speed.engine import Engine, random_token_ids


class BonsaiEdge(Engine):
    """A backend of this project, with KV pages for the cases and no more."""

    def __init__(self, path: Path, backend: str, threads: int, cases: Sequence[Case]) -> None:
        lengths = _lengths(cases)
        context = sum(_whole_pages(length) for length in (*lengths, max(case.num_tokens for case in cases)))
        self._model = bonsai_edge.load(path, backend=backend, context=context, threads=threads)
        self._engine = self._model.engine
        self._token_ids = random_token_ids(max(lengths), self._model.spec.vocab_size)
        self._pages = np.full((len(lengths), _whole_pages(max(lengths)) // PAGE_TOKENS), -1, np.int32)
        for row, length in zip(self._pages, lengths, strict=True):
            for index in range(_whole_pages(length) // PAGE_TOKENS):
                row[index] = self._engine.pool.allocate()

    def describe(self) -> str:
        """See `Engine.describe`."""
        name = self._model.backend_name
        details = next(status for status in list_backends() if status.name == name).availability.details
        return f"{name} ({details['isa']})" if "isa" in details else name

    def prepare(self, cases: Sequence[Case]) -> None:
        """See `Engine.prepare`.

        All depths share one filled context: a case overwrites a few tokens of it with as many others. Prompts run in
        full, because the engine learns from them how many tokens a chunk may have.
        """
        deepest = {case.num_sequences: case.depth for case in sorted(cases, key=lambda case: case.depth)}
        for num_sequences, depth in deepest.items():
            for batch in self._fill_batches(num_sequences, depth):
                self._engine.runner.forward(batch)
        for case in cases:
            if case.phase == "prefill":
                self.run(case)
            else:
                self._engine.runner.forward(self._decode_batch(case.num_sequences, case.depth))

    def run(self, case: Case) -> float:
        """See `Engine.run`."""
        if case.phase == "prefill":
            with self._engine.sequence(case.num_tokens) as sequence:
                started = time.perf_counter()
                sequence.prefill(self._token_ids[: case.num_tokens])
                return time.perf_counter() - started
        forward = self._engine.runner.forward
        started = time.perf_counter()
        for position in range(case.depth, case.longest):
            forward(self._decode_batch(case.num_sequences, position))
        return time.perf_counter() - started

    def _decode_batch(self, num_sequences: int, position: int) -> Batch:
        sequences = np.arange(num_sequences, dtype=np.int32)
        tokens = np.full(num_sequences, self._token_ids[position], np.int32)
        return Batch(tokens, np.full_like(sequences, position), sequences, self._tables(num_sequences), sequences)

    def _fill_batches(self, num_sequences: int, depth: int) -> Iterator[Batch]:
        """Yield the chunks that fill each of the sequences, without logits."""
        most_rows = self._engine.runner.max_batch_rows
        for sequence in range(num_sequences):
            for start in range(0, depth, most_rows):
                positions = np.arange(start, min(start + most_rows, depth), dtype=np.int32)
                tokens = np.array(self._token_ids, np.int32)[positions]
                yield Batch(
                    tokens, positions, np.full_like(positions, sequence), self._tables(num_sequences), _NO_LOGITS
                )

    def _tables(self, num_sequences: int) -> npt.NDArray[np.int32]:
        return self._pages[:num_sequences]


_NO_LOGITS = np.zeros(0, np.int32)


def _lengths(cases: Sequence[Case]) -> list[int]:
    """Return the most tokens that the first, the second, ... sequence ever has."""
    most_sequences = max(case.num_sequences for case in cases)
    return [max(case.longest for case in cases if case.num_sequences > index) for index in range(most_sequences)]


def _whole_pages(num_tokens: int) -> int:
    return -(-num_tokens // PAGE_TOKENS) * PAGE_TOKENS
