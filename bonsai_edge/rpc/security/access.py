"""What the sender of a message may do: the one place that decides, for every thread that receives messages."""

from __future__ import annotations

from collections.abc import Callable

from bonsai_edge.rpc.codec import Envelope
from bonsai_edge.rpc.job import Route
from bonsai_edge.rpc.messages import Cancel, Chat, ClientMessage, ErrorMessage, Generate
from bonsai_edge.rpc.problems import NOT_ALLOWED, OF_ANOTHER_KEY, QUOTA_USED, ROUTING_ID_CHOSEN, role_missing
from bonsai_edge.rpc.security.allow_list import AllowedKey, AllowList
from bonsai_edge.rpc.security.authenticator import LOCAL_USER
from bonsai_edge.rpc.security.ownership import Ownership
from bonsai_edge.rpc.security.roles import Role, needed_role

_GIVEN_ROUTING_ID_BYTES = 5  # a zero byte and a counter, which ZeroMQ gives to those who choose none


class Access:
    """Judges messages by the user id that the authenticator gave to their connection.

    Without an allow-list everybody may do everything: only this machine can connect then. With one, whoever came over
    a socket file still may, a key has its role and its quota, and nobody else has any right, however connected.
    `is_alive` tells whether a request waits or runs. Thread-safe.
    """

    def __init__(self, allow_list: Callable[[], AllowList] | None, is_alive: Callable[[bytes], bool]) -> None:
        self._allow_list = allow_list
        self._ownership = Ownership(is_alive)

    def refusal(self, user: str | None, route: Route, envelope: Envelope[ClientMessage]) -> ErrorMessage | None:
        """Return why a message must not be acted on, None if it may; a generation is then noted as the user's."""
        if self._allow_list is None:
            return None
        if route.client[:1] != b"\0" or len(route.client) != _GIVEN_ROUTING_ID_BYTES:
            return ROUTING_ID_CHOSEN  # the next to choose the same would get the answers
        needed = needed_role(envelope.message)
        if not self._has_role(user, needed):
            return NOT_ALLOWED if self._role_of(user) is None else role_missing(needed.value)
        assert user is not None
        if isinstance(envelope.message, Generate | Chat):
            return self._refusal_of_generation(user, route, envelope.request_id)
        if isinstance(envelope.message, Cancel):
            return self._refusal_of_cancel(user, envelope.message)
        return None

    def may_touch(self, user: str | None, request_id: bytes) -> bool:
        """Return whether a user may cancel a request, feed it credit or take its answer over."""
        if self._allow_list is None or self._has_role(user, Role.CONTROL):
            return True
        return self._has_role(user, Role.GENERATE) and not self._ownership.is_of_another(user or "", request_id)

    def alive_of(self, user: str) -> dict[bytes, Route]:
        """Return a user's generations that wait or run, by id, with the ways back."""
        return self._ownership.alive_of(user)

    def _refusal_of_cancel(self, user: str, message: Cancel) -> ErrorMessage | None:
        """Selectors that reach beyond one's own requests are for those who may act on everybody's."""
        reaches_others = (message.all or message.session is not None) and not (message.client or message.request_ids)
        if reaches_others and not self._has_role(user, Role.CONTROL):
            return role_missing(Role.CONTROL.value)
        is_own = all(self.may_touch(user, request_id) for request_id in message.request_ids)
        return None if is_own else OF_ANOTHER_KEY

    def _refusal_of_generation(self, user: str, route: Route, request_id: bytes) -> ErrorMessage | None:
        key = self._find(user)
        others = self._ownership.alive_of(user).keys() - {request_id}
        if key is not None and len(others) >= key.max_requests:
            return QUOTA_USED
        if not self._ownership.claim(user, request_id, route) and not self.may_touch(user, request_id):
            return OF_ANOTHER_KEY
        return None

    def _has_role(self, user: str | None, needed: Role) -> bool:
        role = self._role_of(user)
        return role is not None and role.includes(needed)

    def _role_of(self, user: str | None) -> Role | None:
        if user == LOCAL_USER:
            return Role.ADMIN
        key = self._find(user)
        return None if key is None else key.role

    def _find(self, user: str | None) -> AllowedKey | None:
        return None if self._allow_list is None or user is None else self._allow_list().find(user)
