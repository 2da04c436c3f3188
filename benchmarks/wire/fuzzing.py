"""Sends mutated messages to a server and checks that each is answered, and each accepted request ended."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bonsai_edge.errors import ProtocolError
from bonsai_edge.rpc.codec import decode_client_message, request_id_of
from bonsai_edge.rpc.messages import Bye, Credit
from wire.mutation import Mutator
from wire.peer import ENDS, Message, Peer

_BATCH = 256
_ANSWER_DEADLINE_S = 30.0
_ONE_ANSWER = ENDS | {"WELCOME", "PONG"}
_GREETING = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01NULL" + bytes(48)  # of ZMTP 3.1, RFC 37
_READY = b"\x04\x26\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"


@dataclass
class FuzzReport:
    """What became of the messages."""

    sent: int = 0
    valid: int = 0
    answered: int = 0
    hung: list[bytes] = field(default_factory=list)
    """Ids of messages that got no answer, or of accepted requests that got no end."""
    streams: int = 0
    """Connections that sent mutated bytes instead of messages."""


class Fuzzer:
    """One connection that sends what is nearly right.

    A BYE is held back until everything else has been answered, since it ends requests without an answer. Only BYE and
    CREDIT are never answered.
    """

    def __init__(self, endpoint: str, seed: int) -> None:
        self._endpoint = endpoint
        self._mutator = Mutator(seed)
        self._random = random.Random(seed)
        self._open: dict[bytes, int] = {}  # how many answers an id still has to get; more than one only for NIL
        self.report = FuzzReport()

    def run(self, num_messages: int) -> FuzzReport:
        """Send so many messages, or until some hang; raises TimeoutError when the server answers no PING either."""
        with Peer(self._endpoint) as peer:
            left = num_messages
            while left and not self.report.hung:
                self._send_batch(peer, min(left, _BATCH))
                left -= min(left, _BATCH)
        return self.report

    def send_streams(self, num: int) -> None:
        """Open connections and send the bytes of a handshake and a message, mutated, without ZeroMQ."""
        address = urlsplit(self._endpoint)
        for _ in range(num):
            with socket.create_connection((address.hostname or "", address.port or 0), _ANSWER_DEADLINE_S) as stream:
                stream.sendall(self._mutated_stream())
            self.report.streams += 1

    def _send_batch(self, peer: Peer, num_messages: int) -> None:
        farewells: list[list[bytes]] = []
        for _ in range(num_messages):
            frames = self._mutator.next()
            message_type = self._type_of(frames)
            if message_type is Bye:
                farewells.append(frames)
                continue
            if message_type is not Credit:
                expected_id = request_id_of(frames[1:] if not frames[0] else frames)
                self._open[expected_id] = self._open.get(expected_id, 0) + 1
            peer.send_frames(frames)
            self.report.sent += 1
            while (message := peer.receive(0)) is not None:
                self._take(message)
        self._drain(peer)
        for frames in farewells:
            peer.send_frames(frames)
            self.report.sent += 1

    def _drain(self, peer: Peer) -> None:
        """Wait until everything is answered; what is not is noted and forgotten."""
        ping_id = peer.send("PING")
        is_alive = False
        give_up_at = time.monotonic() + _ANSWER_DEADLINE_S
        while not is_alive or self._open:
            message = peer.receive(give_up_at - time.monotonic())
            if message is None:
                break
            is_alive |= message.request_id == ping_id
            self._take(message)
        if not is_alive:
            raise TimeoutError(f"The server does not answer a PING after {self.report.sent} mutated messages.")
        self.report.hung += self._open
        self._open.clear()

    def _take(self, message: Message) -> None:
        left = self._open.get(message.request_id)
        if left is None or message.kind not in _ONE_ANSWER:
            return
        self.report.answered += 1
        if left > 1:
            self._open[message.request_id] = left - 1
        else:
            del self._open[message.request_id]

    def _type_of(self, frames: Sequence[bytes]) -> type | None:
        """Return which message it is, None for one that is refused."""
        try:
            message = decode_client_message(frames[1:] if not frames[0] else frames).message
        except ProtocolError:
            return None
        self.report.valid += 1
        return type(message)

    def _mutated_stream(self) -> bytes:
        frames = self._mutator.next()
        message = b"".join(
            bytes([2 | (index + 1 < len(frames))]) + len(frame).to_bytes(8, "big") + frame
            for index, frame in enumerate(frames)
        )
        stream = bytearray(_GREETING + _READY + message)
        for _ in range(self._random.randint(0, 4)):
            stream[self._random.randrange(len(stream))] ^= 1 << self._random.randrange(8)
        return bytes(stream[: self._random.randint(1, len(stream))])
