"""Prefixes that stay in the KV cache until they are unpinned, such as the system prompt of a robot."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.sequence import TokenSequence
from bonsai_edge.errors import InvalidRequestError


class PinnedPrefixes:
    """Names of prefixes, each held by a sequence that stays open."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sequences: dict[str, TokenSequence] = {}
        self._lock = threading.Lock()

    @property
    def num_tokens(self) -> dict[str, int]:
        """The length of each prefix by its name."""
        with self._lock:
            return {name: sequence.length for name, sequence in self._sequences.items()}

    def pin(self, name: str, token_ids: Sequence[int]) -> None:
        """Compute a prefix, at least one token, as far as it is not cached, and keep it; it replaces one of that name.

        Raises KVCacheFullError if the pages that are free do not hold it; one that it would replace stays then.
        """
        sequence = self._engine.open_prompt(token_ids, 0)
        try:
            sequence.prefill(token_ids[sequence.length :])
            sequence.share_tail()
        except BaseException:
            sequence.close()
            raise
        with self._lock:
            replaced = self._sequences.get(name)
            self._sequences[name] = sequence
        if replaced is not None:
            replaced.close()

    def unpin(self, name: str) -> None:
        """Let the prefix be forgotten when its pages are needed; raises InvalidRequestError for an unknown name."""
        with self._lock:
            sequence = self._sequences.pop(name, None)
            names = ", ".join(self._sequences) or "none"
        if sequence is None:
            raise InvalidRequestError(f"No prefix is pinned as {name!r}.", f"Use one of those that are: {names}.")
        sequence.close()
