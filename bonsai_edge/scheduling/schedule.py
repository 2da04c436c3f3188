"""Which requests run together, which wait, and who must make room for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from bonsai_edge.scheduling.fair_shares import FairShares
from bonsai_edge.scheduling.priority import OVERDUE_S, Priority, risen


@dataclass(eq=False, kw_only=True)
class Ticket:
    """A request as far as scheduling is concerned; `arrived_at` is on the clock that all moments here are on."""

    client: bytes
    priority: Priority
    arrived_at: float
    admitted_as: Priority | None = field(default=None, init=False)
    """The class in which it came to run, which it keeps while it runs: what made it rise is not lost by running."""
    is_running: bool = field(default=False, init=False)

    @property
    def is_ready(self) -> bool:
        """Whether it could run now."""
        return True

    @property
    def can_be_suspended(self) -> bool:
        """Whether it may make room for another once it runs."""
        return True


_Ticket = TypeVar("_Ticket", bound=Ticket)


class Schedule(Generic[_Ticket]):
    """At most `max_running` requests run; the rest wait, the most urgent class first.

    Within a class clients have equal shares, and one client's requests come in their order. A strictly higher class
    takes a place from the lowest that runs. Not thread-safe.
    """

    def __init__(self, max_running: int) -> None:
        self.max_running = max_running
        self.running: list[_Ticket] = []
        self.waiting: list[_Ticket] = []
        self._shares = FairShares()
        self._began_at: dict[bytes, float] = {}  # when a request of a client began last; of those that have any

    def add(self, ticket: _Ticket) -> None:
        """Let a request wait for its turn."""
        self._shares.arrive(ticket.client)
        self.waiting.append(ticket)

    def remove(self, ticket: _Ticket) -> None:
        """Forget a request that waits or runs."""
        (self.running if ticket.is_running else self.waiting).remove(ticket)
        ticket.is_running = False
        self._shares.leave(ticket.client)
        if not any(each.client == ticket.client for each in (*self.running, *self.waiting)):
            self._began_at.pop(ticket.client, None)

    def head(self, now: float) -> _Ticket | None:
        """Return the request that is next, None if nobody waits who is ready.

        Of those that are overdue it is that of the client for which nothing has begun for longest: equal shares alone
        would let it be passed for ever by new clients, which were given nothing yet. Who is not ready is passed by
        other clients, not by later requests of its own.
        """

        def rank(ticket: _Ticket) -> tuple[int, bool, float, float]:
            is_overdue = now - ticket.arrived_at >= OVERDUE_S
            order = self._unserved_since(ticket) if is_overdue else self._shares.given(ticket.client)
            return -_class_at(ticket, now), not is_overdue, order, ticket.arrived_at

        held_up: set[bytes] = set()
        for ticket in sorted(self.waiting, key=rank):
            if ticket.client in held_up:
                continue
            if ticket.is_ready:
                return ticket
            held_up.add(ticket.client)
        return None

    def victims(self, ticket: _Ticket, now: float) -> Sequence[_Ticket]:
        """Return those that run and must make room for a request if it needs some: the lowest and latest first."""
        rank = _class_at(ticket, now)
        lower = [each for each in self.running if each.can_be_suspended and _running_class(each) < rank]
        return sorted(lower, key=lambda each: (_running_class(each), -each.arrived_at))

    def start(self, ticket: _Ticket, now: float) -> None:
        """Let a request that waits run."""
        ticket.admitted_as = _class_at(ticket, now)
        self.waiting.remove(ticket)
        self.running.append(ticket)
        ticket.is_running = True
        self._began_at[ticket.client] = now

    def suspend(self, ticket: _Ticket) -> None:
        """Let a request that runs wait again, in the place that its arrival gives it."""
        self.running.remove(ticket)
        self.waiting.append(ticket)
        ticket.is_running = False

    def to_step(self) -> Sequence[_Ticket]:
        """Return who is in the next step: all that run, the most urgent first, or only those of the class SAFETY."""
        ordered = sorted(self.running, key=lambda each: -_running_class(each))
        safety = [ticket for ticket in ordered if ticket.priority is Priority.SAFETY]
        return safety or ordered

    def charge(self, ticket: _Ticket, num_tokens: int) -> None:
        """Count tokens that were computed for a request as given to its client."""
        self._shares.charge(ticket.client, num_tokens)

    def _unserved_since(self, ticket: _Ticket) -> float:
        return max(ticket.arrived_at, self._began_at.get(ticket.client, ticket.arrived_at))


def _class_at(ticket: Ticket, now: float) -> Priority:
    return risen(ticket.priority, now - ticket.arrived_at)


def _running_class(ticket: Ticket) -> Priority:
    return ticket.priority if ticket.admitted_as is None else ticket.admitted_as
