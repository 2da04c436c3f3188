"""The waiting line of the server: round robin over clients, first come first served within one."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class FairQueue(Generic[_Item]):
    """A client that was served goes behind all others that wait; ten requests of one delay another by one at most."""

    def __init__(self) -> None:
        self._lines: OrderedDict[bytes, deque[_Item]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def num_of(self, client: bytes) -> int:
        """Return how many items of a client wait."""
        return len(self._lines.get(client, ()))

    def position_of_next(self, client: bytes) -> int:
        """Return how many items would be served before one that this client adds now."""
        own = self.num_of(client)
        names = list(self._lines)
        before = names.index(client) if own else len(names)
        return own + sum(
            min(len(line), own + 1 if place < before else own)
            for place, (name, line) in enumerate(self._lines.items())
            if name != client
        )

    def push(self, client: bytes, item: _Item) -> None:
        """Add an item at the end of its client's line."""
        self._lines.setdefault(client, deque()).append(item)

    def pop(self) -> _Item | None:
        """Take the item whose turn it is; None when nobody waits."""
        if not self._lines:
            return None
        client, line = self._lines.popitem(last=False)
        item = line.popleft()
        if line:
            self._lines[client] = line
        return item

    def remove(self, client: bytes, item: _Item) -> None:
        """Take out one item that waits. Raises KeyError or ValueError when it does not."""
        line = self._lines[client]
        line.remove(item)
        if not line:
            del self._lines[client]
