"""The two frames of an event: its topic and a MessagePack map."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bonsai_edge.errors import ProtocolError
from bonsai_edge.rpc.messages import Event, ServerStatus, Telemetry

STATUS_TOPIC = b"status"
TELEMETRY_TOPIC = b"telemetry"
MAX_EVENT_BYTES = 64 << 10

_TOPICS: dict[type, bytes] = {ServerStatus: STATUS_TOPIC, Telemetry: TELEMETRY_TOPIC}
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


def topic_of(event: Event) -> bytes:
    """Return the first frame of an event."""
    return _TOPICS[type(event)]


def encode_event(event: Event) -> list[bytes]:
    """Return the frames of an event."""
    return [topic_of(event), _ENCODER.encode(event)]


def decode_event(frames: Sequence[bytes]) -> Event:
    """Check and decode the frames of an event. Raises ProtocolError."""
    try:
        _, body = frames
        return _DECODER.decode(body)
    except (ValueError, msgspec.DecodeError, RecursionError) as exc:  # the first is a wrong number of frames
        raise ProtocolError(f"An event is not valid: {exc}.", "Use the same version of bonsai-edge.") from exc
