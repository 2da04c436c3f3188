"""Whose request is whose: remembered by key, since one client may have several connections."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable

from bonsai_edge.rpc.job import Route

_REMEMBERED = 1_024  # of one user; requests that are alive are never forgotten


class Ownership:
    """The newest generations of every user, each with the way that it came last. Thread-safe.

    One user's requests never make another's forgotten.
    """

    def __init__(self, is_alive: Callable[[bytes], bool]) -> None:
        self._is_alive = is_alive
        self._lock = threading.Lock()
        self._requests: defaultdict[str, OrderedDict[bytes, Route]] = defaultdict(OrderedDict)

    def claim(self, user: str, request_id: bytes, route: Route) -> bool:
        """Note on which way a user sent a request, and return False if it is somebody else's."""
        with self._lock:
            if self._is_of_another(user, request_id):
                return False
            requests = self._requests[user]
            requests[request_id] = route
            requests.move_to_end(request_id)
            if len(requests) > _REMEMBERED:
                self._forget_oldest(requests)
            return True

    def is_of_another(self, user: str, request_id: bytes) -> bool:
        """Return whether a request is known to belong to somebody else."""
        with self._lock:
            return self._is_of_another(user, request_id)

    def alive_of(self, user: str) -> dict[bytes, Route]:
        """Return the requests of a user that wait or run, with the ways back."""
        with self._lock:
            requests = self._requests.get(user, OrderedDict())
            return {request_id: route for request_id, route in requests.items() if self._is_alive(request_id)}

    def _is_of_another(self, user: str, request_id: bytes) -> bool:
        return any(request_id in requests for owner, requests in self._requests.items() if owner != user)

    def _forget_oldest(self, requests: OrderedDict[bytes, Route]) -> None:
        ended = next((request_id for request_id in requests if not self._is_alive(request_id)), None)
        if ended is not None:
            del requests[ended]
