"""Frames to messages and back. What comes out is checked; what does not fit raises ProtocolError and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast, get_args

import msgspec

from bonsai_edge.errors import InvalidRequestError, ProtocolError
from bonsai_edge.generation import TextChunk
from bonsai_edge.rpc.messages import (
    MAX_FRAMES,
    MAX_MESSAGE_BYTES,
    NIL_REQUEST_ID,
    PROTOCOL_VERSION,
    REQUEST_ID_BYTES,
    Accepted,
    Bye,
    Cancel,
    ClientMessage,
    Credit,
    ErrorMessage,
    Final,
    Halt,
    Header,
    Hello,
    Method,
    Ping,
    Pong,
    Progress,
    Rejected,
    Resume,
    ServerMessage,
    Welcome,
)
from bonsai_edge.rpc.msgpack_scan import ScanError, scan

_Body = TypeVar("_Body")
_Decoders = Mapping[bytes, "msgspec.msgpack.Decoder[Any]"]

_PROTOCOL = PROTOCOL_VERSION.encode()
_ID_FRAME = 2
_NUM_FRAMES = 5  # protocol, kind, request id, header, body; frames after these are reserved and ignored
_REMEDY = "Send what docs/protocol.md describes."

_CLIENT_KINDS: dict[bytes, Any] = {
    b"HELLO": Hello,
    b"REQUEST": Method,
    b"CANCEL": Cancel,
    b"CREDIT": Credit,
    b"HALT": Halt,
    b"RESUME": Resume,
    b"PING": Ping,
    b"BYE": Bye,
}
_SERVER_KINDS: dict[bytes, Any] = {
    b"WELCOME": Welcome,
    b"ACCEPTED": Accepted,
    b"REJECTED": Rejected,
    b"PROGRESS": Progress,
    b"CHUNK": TextChunk,
    b"FINAL": Final,
    b"ERROR": ErrorMessage,
    b"PONG": Pong,
}
_KIND_OF: dict[type, bytes] = {
    struct: kind
    for kind, body in (*_CLIENT_KINDS.items(), *_SERVER_KINDS.items())
    for struct in get_args(body) or (body,)
}
_CLIENT_DECODERS: _Decoders = {kind: msgspec.msgpack.Decoder(body) for kind, body in _CLIENT_KINDS.items()}
_SERVER_DECODERS: _Decoders = {kind: msgspec.msgpack.Decoder(body) for kind, body in _SERVER_KINDS.items()}
_HEADER_DECODER = msgspec.msgpack.Decoder(Header)
_ENCODER = msgspec.msgpack.Encoder()
_DEFAULT_HEADER = Header()


@dataclass(frozen=True)
class Envelope(Generic[_Body]):
    """A decoded message with the id and the header that it came with."""

    request_id: bytes
    header: Header
    message: _Body


def encode(message: ClientMessage | ServerMessage, request_id: bytes, header: Header = _DEFAULT_HEADER) -> list[bytes]:
    """Return the five frames of a message.

    Raises InvalidRequestError when a text cannot be written as UTF-8.
    """
    try:
        body = _ENCODER.encode(message)
    except UnicodeEncodeError as exc:
        raise InvalidRequestError(
            f"A text holds half a character, U+{ord(exc.object[exc.start]):04X}, which UTF-8 cannot express.",
            "Remove it, or read the text with the right encoding.",
        ) from exc
    return [_PROTOCOL, _KIND_OF[type(message)], request_id, _ENCODER.encode(header), body]


def with_header(frames: Sequence[bytes], header: Header) -> list[bytes]:
    """Return the frames of a message with another header."""
    protocol, kind, request_id, _, body = frames
    return [protocol, kind, request_id, _ENCODER.encode(header), body]


def decode_client_message(frames: Sequence[bytes]) -> Envelope[ClientMessage]:
    """Check and decode what a client sent, without routing identity and delimiter. Raises ProtocolError.

    Header and body are scanned before anything is made of them: a client need not be a friend.
    """
    return cast(Envelope[ClientMessage], _decode(frames, _CLIENT_DECODERS, is_scanned=True))


def decode_server_message(frames: Sequence[bytes]) -> Envelope[ServerMessage]:
    """Check and decode what a server sent. Raises ProtocolError."""
    return cast(Envelope[ServerMessage], _decode(frames, _SERVER_DECODERS, is_scanned=False))


def request_id_of(frames: Sequence[bytes]) -> bytes:
    """Return the request id of frames that may be malformed, NIL_REQUEST_ID if there is none."""
    if len(frames) > _ID_FRAME and len(frames[_ID_FRAME]) == REQUEST_ID_BYTES:
        return bytes(frames[_ID_FRAME])
    return NIL_REQUEST_ID


def _decode(frames: Sequence[bytes], decoders: _Decoders, *, is_scanned: bool) -> Envelope[Any]:
    _check_size(frames)
    protocol, kind, request_id, header, body = frames[:_NUM_FRAMES]
    if protocol != _PROTOCOL:
        raise ProtocolError(
            f"The message is written in protocol {_shown(protocol)}; {PROTOCOL_VERSION!r} is spoken here.",
            "Use the same version of bonsai-edge on both sides.",
        )
    if kind not in decoders:
        known = ", ".join(name.decode() for name in decoders)
        raise ProtocolError(f"The kind of the message is {_shown(kind)}; expected one of {known}.", _REMEDY)
    if len(request_id) != REQUEST_ID_BYTES:
        raise ProtocolError(f"The request id has {len(request_id)} bytes; expected {REQUEST_ID_BYTES}.", _REMEDY)
    name = kind.decode()
    if is_scanned:
        _scan_frame(header, f"header of {name}")
        _scan_frame(body, f"body of {name}")
    return Envelope(
        request_id,
        _decode_frame(_HEADER_DECODER, header, f"header of {name}"),
        _decode_frame(decoders[kind], body, f"body of {name}"),
    )


def _check_size(frames: Sequence[bytes]) -> None:
    if not _NUM_FRAMES <= len(frames) <= MAX_FRAMES:
        raise ProtocolError(f"The message has {len(frames)} frames; expected {_NUM_FRAMES} to {MAX_FRAMES}.", _REMEDY)
    num_bytes = sum(map(len, frames))
    if num_bytes > MAX_MESSAGE_BYTES:
        raise ProtocolError(
            f"The message has {num_bytes} bytes; at most {MAX_MESSAGE_BYTES} are allowed.", "Send a shorter message."
        )


def _scan_frame(frame: bytes, name: str) -> None:
    try:
        scan(frame)
    except ScanError as exc:
        raise ProtocolError(f"The {name} {exc}.", _REMEDY) from exc


def _decode_frame(decoder: msgspec.msgpack.Decoder[_Body], frame: bytes, name: str) -> _Body:
    try:
        return decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ProtocolError(f"The {name} is not valid: {exc}.", _REMEDY) from exc
    except RecursionError as exc:
        raise ProtocolError(f"The {name} is nested too deeply.", _REMEDY) from exc


def _shown(frame: bytes) -> str:
    return repr(frame[:16].decode("ascii", "backslashreplace"))
