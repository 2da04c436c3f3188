"""Lets a fake model that only yields events be served: each step is the next event."""

from __future__ import annotations

from collections.abc import Iterator

from bonsai_edge.generation import GenerationEvent, GenerationResult


class StreamedGeneration:
    """What a server steps, around an iterator of events."""

    can_be_suspended = False
    prefill_progress = (0, 0)

    def __init__(self, events: Iterator[GenerationEvent]) -> None:
        self.is_finished = False
        self.num_computed = 0
        self._events = events

    def open(self) -> None:
        """Take no memory."""

    def suspend(self) -> None:
        """Give none back."""

    def close(self) -> None:
        """Give none back."""

    def step(self) -> list[GenerationEvent]:
        self.num_computed += 1
        event = next(self._events)
        self.is_finished = isinstance(event, GenerationResult)
        return [event]
