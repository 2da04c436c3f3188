"""How urgent a request is, and how waiting makes it more so."""

from __future__ import annotations

from enum import IntEnum

RISE_S = 15.0
"""A request that waits this long counts as one class higher."""
OVERDUE_S = 2 * RISE_S
"""One that waits this long comes before all that wait for less, whatever its client was given."""


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

    So after OVERDUE_S seconds background work is in the highest class but SAFETY.
    """
    if priority is Priority.SAFETY:
        return priority
    return Priority(min(Priority.INTERACTIVE, priority + int(waited_s / RISE_S)))
