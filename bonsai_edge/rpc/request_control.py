"""What any thread may do to the requests of a server and know of its engine, without waiting for either."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from bonsai_edge.rpc.messages import Cancel


@dataclass(frozen=True)
class Selection:
    """Which requests are meant: those for which every condition that is set holds; none if none is set."""

    request_ids: frozenset[bytes] = frozenset()
    session: str | None = None
    client: bytes | None = None
    """The identity of a connection."""
    everything: bool = False
    received_before: float | None = None
    """On the monotonic clock; narrows the others and selects nothing by itself."""

    @classmethod
    def of(cls, message: Cancel, client: bytes | None) -> Selection:
        """Return what a CANCEL means that came from a connection, whose requests `client` stands for."""
        return cls(
            request_ids=frozenset(message.request_ids),
            session=message.session,
            client=client if message.client else None,
            everything=message.all,
            received_before=None if message.before_ms is None else time.monotonic() - message.before_ms / 1000,
        )

    def includes(self, request_id: bytes, session: str | None, client: bytes | None, received_at: float) -> bool:
        """Return whether a request is meant."""
        conditions = [True] if self.everything else []
        if self.request_ids:
            conditions.append(request_id in self.request_ids)
        if self.session is not None:
            conditions.append(session == self.session)
        if self.client is not None:
            conditions.append(client == self.client)
        is_old_enough = self.received_before is None or received_at <= self.received_before
        return bool(conditions) and all(conditions) and is_old_enough


@dataclass(frozen=True)
class EngineSnapshot:
    """How much there is to do, and when the engine last moved; moments are on the monotonic clock."""

    active: int
    queued: int
    steps: int
    last_step_at: float | None
    silent_since: float | None
    """The last moment at which the engine began a step or was given work; None while it has none, and while the model
    is loaded, for however long that takes."""


class RequestControl(Protocol):
    """Called by the control thread and the network thread at once. Nothing here waits."""

    @property
    def halt_reason(self) -> str | None:
        """What `halt` was told, None while generations are taken."""

    def cancel(self, selection: Selection) -> tuple[bytes, ...]:
        """Have the engine stop these requests before its next step and return those that were alive.

        Their clients are told by the network thread, later.
        """

    def halt(self, reason: str) -> tuple[bytes, ...]:
        """Refuse generations from now on, cancel all that were accepted before, and return those."""

    def resume(self) -> None:
        """Take generations again."""

    def knows(self, request_id: bytes, client: bytes | None) -> bool:
        """Return whether a request waits or runs, and if a connection is given, whether it will be sent more of it."""

    def snapshot(self) -> EngineSnapshot:
        """Return how the engine is doing."""
