"""Runs llama.cpp, the peer that results are compared with; what imports this is skipped where it is missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pytest

llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (extra `peer`)")

_BATCH = 512


class LlamaCpp:
    """A model file loaded by llama.cpp with its defaults: keys and values in float16, no flash attention."""

    def __init__(self, path: Path, context: int) -> None:
        self._llama = llama_cpp.Llama(
            str(path), n_ctx=context, n_batch=min(context, _BATCH), n_ubatch=_BATCH, logits_all=True, verbose=False
        )

    def __enter__(self) -> LlamaCpp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._llama.close()

    def logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Run a fresh sequence and return the logits after each token, float32 (len(token_ids), vocab_size)."""
        self._llama.reset()
        self._llama.eval(token_ids)
        logits: npt.NDArray[np.float32] = self._llama.scores[: len(token_ids)].copy()
        return logits

    def greedy(self, prompt_ids: Sequence[int], stop_ids: Collection[int], max_tokens: int) -> list[int]:
        """Return the most likely continuation, token by token, without the stop token."""
        self._llama.reset()
        self._llama.eval(prompt_ids)
        answer: list[int] = []
        while len(answer) < max_tokens:
            token_id = int(self._llama.scores[self._llama.n_tokens - 1].argmax())
            if token_id in stop_ids:
                break
            answer.append(token_id)
            self._llama.eval([token_id])
        return answer
