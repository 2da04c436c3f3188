"""The thread that ZeroMQ asks, for every new connection, whether its key is allowed (ZAP, RFC 27 of ZeroMQ).

ZeroMQ waits for the answer in its own I/O thread, so neither a slow disk nor a flood of strangers holds up those who
are connected. Where nobody answers, nobody gets in: the sockets are told to enforce the domain.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import zmq
from zmq.utils import z85

from bonsai_edge.rpc.mailbox import Mailbox
from bonsai_edge.rpc.security.allow_list import AllowList
from bonsai_edge.rpc.security.allow_list_watch import AllowListWatch
from bonsai_edge.rpc.security.sockets import FILE_DOMAIN, NETWORK_DOMAIN

logger = logging.getLogger(__name__)

LOCAL_USER = "local"
"""The user id of who came over a socket file, which the file system has let in. No key has this length."""

_ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_NUM_FRAMES = 6  # version, request id, domain, address, identity, mechanism; credentials follow
_KEY_BYTES = 32
_WATCH_INTERVAL_MS = 250  # between two looks at the allow-list
_LOG_INTERVAL_S = 10.0  # strangers must not be able to fill the disk


class Authenticator:
    """Lets in the keys of an allow-list, in one context; `start` once, before or after its sockets are bound.

    `on_revoked` is called on this thread with keys that are not allowed any more; their connections stay, since ZeroMQ
    cannot end one, so every message must be judged by `allow_list` too. Raises KeyFileError.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], allowed: Path, on_revoked: Callable[[frozenset[str]], None]
    ) -> None:
        self._watch = AllowListWatch(allowed, on_revoked)
        self._stop: Mailbox[None] = Mailbox()
        self._questions = context.socket(zmq.REP)
        self._questions.bind(_ENDPOINT)
        self._thread = threading.Thread(target=self._run, name="bonsai-edge-authenticator", daemon=True)
        self._num_refused = 0
        self._may_log_at = 0.0

    def allow_list(self) -> AllowList:
        """Return the list as it is now; never waits, for any thread."""
        return self._watch.current

    def start(self) -> None:
        """Begin to answer; until then handshakes wait."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; nobody is let in any more. For a context that is about to be destroyed."""
        self._stop.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._questions.close(linger=0)
        self._stop.close()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._questions, zmq.POLLIN)
        poller.register(self._stop, zmq.POLLIN)
        while not self._stop.take_all():
            ready = dict(poller.poll(_WATCH_INTERVAL_MS))
            self._watch.refresh()
            if self._questions in ready:
                self._questions.send_multipart(self._answer(self._questions.recv_multipart()))

    def _answer(self, question: Sequence[bytes]) -> list[bytes]:
        request_id, domain, address, _, mechanism = question[1:_NUM_FRAMES]
        user = self._user(domain, mechanism, question[_NUM_FRAMES:])
        if user is None:
            self._log_refusal(address)
            return [_VERSION, request_id, b"400", b"This key is not allowed.", b"", b""]
        return [_VERSION, request_id, b"200", b"OK", user.encode(), b""]

    def _user(self, domain: bytes, mechanism: bytes, credentials: Sequence[bytes]) -> str | None:
        if domain == FILE_DOMAIN and mechanism == b"NULL":
            return LOCAL_USER
        if domain == NETWORK_DOMAIN and mechanism == b"CURVE" and [len(each) for each in credentials] == [_KEY_BYTES]:
            key = z85.encode(credentials[0]).decode()
            return key if self._watch.current.find(key) is not None else None
        return None

    def _log_refusal(self, address: bytes) -> None:
        self._num_refused += 1
        if time.monotonic() >= self._may_log_at:
            self._may_log_at = time.monotonic() + _LOG_INTERVAL_S
            logger.warning(
                "Connections with keys that are not allowed were refused: %d, the last from %s.",
                self._num_refused,
                address.decode("ascii", "replace"),
            )
            self._num_refused = 0
