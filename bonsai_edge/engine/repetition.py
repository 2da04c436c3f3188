"""Notices that a generation says the same thing again and again."""

from __future__ import annotations

from collections import deque

_LONGEST_CYCLE = 64


class RepetitionGuard:
    """Watches for a cycle of up to 64 tokens that is said `max_repeats` times in a row.

    For every length of a cycle it counts how long each token has equalled the one a cycle before, so a token costs the
    same however long the text is.
    """

    def __init__(self, max_repeats: int) -> None:
        self._num_more = max_repeats - 1
        self._recent: deque[int] = deque(maxlen=_LONGEST_CYCLE)
        self._num_equal = [0] * _LONGEST_CYCLE

    def is_repeating(self, token_id: int) -> bool:
        """Add a token, and return whether it completes one repetition too many."""
        num_equal = self._num_equal
        found = False
        for index, earlier in enumerate(self._recent):  # the latest first
            if earlier == token_id:
                num_equal[index] += 1
                found = found or num_equal[index] >= (index + 1) * self._num_more
            else:
                num_equal[index] = 0
        self._recent.appendleft(token_id)
        return found
