"""Ending a stream of text before the first stop string, wherever the stream was cut into pieces."""

from __future__ import annotations

from collections.abc import Sequence


class StopStringFilter:
    """Lets text through until a stop string appears; holds back what might be the beginning of one.

    Of several stop strings the one that is complete first counts, so that the result does not depend on the pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stopped = False
        self._stops = tuple(stops)
        self._held = ""

    def push(self, text: str) -> str:
        """Return what is safe to emit; nothing once `stopped`."""
        if self.stopped:
            return ""
        text = self._held + text
        found = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)[1]]
        safe = len(text) - self._longest_beginning(text)
        self._held = text[safe:]
        return text[:safe]

    def finish(self) -> str:
        """Return the text held back, when the generation ended for another reason."""
        held, self._held = self._held, ""
        return held

    def _longest_beginning(self, text: str) -> int:
        """Return how many characters at the end of `text` begin a stop string."""
        longest = 0
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:length]):
                    longest = length
                    break
        return longest
