"""Prefixes that stay in the KV cache until they are unpinned, such as the system prompt of a robot."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.sequence import TokenSequence
from bonsai_edge.errors import InvalidRequestError


@dataclass(frozen=True)
class _Pin:
    sequence: TokenSequence
    num_tokens: int


class PinnedPrefixes:
    """Names of prefixes, each held by a sequence that stays open.

    It holds whole pages: a prompt that goes on after the prefix shares them, so that a pin takes nothing away from it.
    The up to 31 tokens after them stay cached like those of any other prompt.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pins: dict[str, _Pin] = {}
        self._lock = threading.Lock()

    @property
    def num_tokens(self) -> dict[str, int]:
        """The length of each prefix by its name."""
        with self._lock:
            return {name: pin.num_tokens for name, pin in self._pins.items()}

    def pin(self, name: str, token_ids: Sequence[int]) -> None:
        """Compute a prefix, at least one token, as far as it is not cached, and keep it; it replaces one of that name.

        Raises KVCacheFullError if the pages that are free do not hold it; one that it would replace stays then.
        """
        sequence = self._engine.open_prompt(token_ids, 0)
        try:
            sequence.prefill(token_ids[sequence.length :])
            sequence.keep_whole_pages()
        except BaseException:
            sequence.close()
            raise
        with self._lock:
            replaced = self._pins.get(name)
            self._pins[name] = _Pin(sequence, len(token_ids))
        if replaced is not None:
            replaced.sequence.close()

    def unpin(self, name: str) -> None:
        """Let the prefix be forgotten when its pages are needed; raises InvalidRequestError for an unknown name."""
        with self._lock:
            pin = self._pins.pop(name, None)
            names = ", ".join(self._pins) or "none"
        if pin is None:
            raise InvalidRequestError(f"No prefix is pinned as {name!r}.", f"Use one of those that are: {names}.")
        pin.sequence.close()
