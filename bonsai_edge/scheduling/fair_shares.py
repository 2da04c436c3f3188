"""Equal shares of the model for clients that want more than there is, counted in tokens computed.

The virtual token counter of Sheng et al., "Fairness in Serving Large Language Models" (arXiv:2401.00588): the client
that was given the least is served next, and one that comes back after a rest is lifted to the least of those that are
busy, so that it cannot save up a right to crowd them out.
"""

from __future__ import annotations

from collections import Counter


class FairShares:
    """What each client was given since all of them were last equal; forgets those that rest and are owed nothing."""

    def __init__(self) -> None:
        self._given: dict[bytes, int] = {}
        self._num_requests: Counter[bytes] = Counter()
        self._least = 0

    def arrive(self, client: bytes) -> None:
        """Note a request, which may wait or run from now on."""
        self._num_requests[client] += 1
        self._given[client] = max(self._given.get(client, 0), self._least)

    def leave(self, client: bytes) -> None:
        """Note the end of a request."""
        self._num_requests[client] -= 1
        if not self._num_requests[client]:
            del self._num_requests[client]
            self._settle()

    def charge(self, client: bytes, num_tokens: int) -> None:
        """Note tokens that were computed for a client."""
        self._given[client] += num_tokens
        self._settle()

    def given(self, client: bytes) -> int:
        """Return what a client that has requests was given; whoever has the least is next."""
        return self._given[client]

    def _settle(self) -> None:
        if self._num_requests:
            self._least = max(self._least, min(self._given[client] for client in self._num_requests))
        for client in [each for each, given in self._given.items() if given <= self._least]:
            if client not in self._num_requests:
                del self._given[client]
