"""How urgent a request is, and how waiting makes it more so."""

from __future__ import annotations

from enum import IntEnum

RISE_S = 15.0
"""A request that waits this long counts as one class higher."""


class Priority(IntEnum):
    """The classes, the least urgent first.

    `SAFETY` runs at once and alone; the others share every step.
    """

    BACKGROUND = 0
    NORMAL = 1
    INTERACTIVE = 2
    SAFETY = 3


def risen(priority: Priority, waited_s: float) -> Priority:
    """Return the class of a request after it has waited; never SAFETY unless it was asked for.

    So whatever else arrives, background work is at the front after 30 seconds and nothing that comes later passes it.
    """
    if priority is Priority.SAFETY:
        return priority
    return Priority(min(Priority.INTERACTIVE, priority + int(waited_s / RISE_S)))
