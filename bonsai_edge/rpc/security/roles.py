"""Which role a message needs: the one table that says so."""

from __future__ import annotations

from enum import Enum

from bonsai_edge.rpc.messages import (
    Bye,
    Cancel,
    Chat,
    ClientMessage,
    Credit,
    Detokenize,
    Generate,
    GetMetrics,
    GetModelInfo,
    GetStatus,
    Halt,
    Hello,
    Ping,
    Resume,
    Tokenize,
)


class Role(Enum):
    """What a key is for; each role includes those before it."""

    GENERATE = "generate"
    """Ask, and cancel what one has asked."""
    CONTROL = "control"
    """Act on the requests of everybody."""
    ADMIN = "admin"
    """Act on the server itself."""

    def includes(self, other: Role) -> bool:
        """Return whether who has this role may do what the other one is needed for."""
        order = list(Role)
        return order.index(self) >= order.index(other)


_NEEDED: dict[type, Role] = {
    Hello: Role.GENERATE,
    Ping: Role.GENERATE,
    Bye: Role.GENERATE,
    Generate: Role.GENERATE,
    Chat: Role.GENERATE,
    Tokenize: Role.GENERATE,
    Detokenize: Role.GENERATE,
    GetModelInfo: Role.GENERATE,
    GetStatus: Role.GENERATE,
    Credit: Role.GENERATE,  # the scheduler takes it from the connection that gets the answer
    Cancel: Role.GENERATE,  # of one's own requests; see Access
    Halt: Role.CONTROL,
    Resume: Role.CONTROL,
    GetMetrics: Role.GENERATE,
}


def needed_role(message: ClientMessage) -> Role:
    """Return the least role that may send a message; what the table does not know is for `admin`."""
    return _NEEDED.get(type(message), Role.ADMIN)
