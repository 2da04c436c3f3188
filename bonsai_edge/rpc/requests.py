"""What both clients check and build before anything is sent, and how they read the answers."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import zmq

from bonsai_edge.errors import BonsaiError, InvalidRequestError, ProtocolError
from bonsai_edge.generation import GenerationEvent, GenerationOptions, GenerationResult, Message, TextChunk
from bonsai_edge.rpc.codec import encode
from bonsai_edge.rpc.exchanges import Arrival, Exchange
from bonsai_edge.rpc.messages import (
    HEARTBEAT_INTERVAL_MS,
    HEARTBEAT_TIMEOUT_MS,
    MAX_MESSAGE_BYTES,
    Accepted,
    Cancel,
    Chat,
    ClientMessage,
    Detokenize,
    Generate,
    Header,
    Tokenize,
)
from bonsai_edge.version import __version__

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_Answer = TypeVar("_Answer")

CLIENT_NAME = f"bonsai-edge/{__version__}"
DEFAULT_TIMEOUT_S = 5.0
CREDIT_WINDOW = 64
"""Chunks that a server may send before the caller has taken half of them."""
_LONGEST_S = 86_400.0
_RECONNECT_FIRST_MS = 100
_RECONNECT_MAX_MS = 5_000


def checked_seconds(name: str, seconds: float) -> float:
    """Return a duration that is a number above zero. Raises InvalidRequestError."""
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or not 0 < seconds <= _LONGEST_S:
        raise InvalidRequestError(
            f"{name} is {seconds!r}; expected a number of seconds above 0 and up to {_LONGEST_S:.0f}.", "Correct it."
        )
    return float(seconds)


def configure_dealer(dealer: zmq.Socket[Any]) -> None:
    """Set what every client's socket needs before it connects."""
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.setsockopt(zmq.IMMEDIATE, 1)  # queue nothing for a server that is not there
    dealer.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    dealer.setsockopt(zmq.RCVHWM, 0)  # bounded by credit; a full queue and heartbeats make libzmq abort, see sockets.py
    dealer.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_FIRST_MS)
    dealer.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
    dealer.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS)
    dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    dealer.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS)


def generate_request(prompt: str, options: Mapping[str, Any]) -> Generate:
    """Check what a caller of `generate` gave. Raises InvalidRequestError."""
    return checked(Generate, prompt=prompt, options=GenerationOptions.from_keywords(dict(options)))


def chat_request(messages: Sequence[Message | Mapping[str, str]], options: Mapping[str, Any]) -> Chat:
    """Check what a caller of `chat` gave. Raises InvalidRequestError."""
    return checked(Chat, messages=messages, options=GenerationOptions.from_keywords(dict(options)))


def tokenize_request(text: str, special: bool) -> Tokenize:
    """Check what a caller of `tokenize` gave. Raises InvalidRequestError."""
    return checked(Tokenize, text=text, special=special)


def detokenize_request(token_ids: Sequence[int]) -> Detokenize:
    """Check what a caller of `detokenize` gave. Raises InvalidRequestError."""
    return checked(Detokenize, token_ids=token_ids)


def cancel_message(
    request_id: uuid.UUID | None = None,
    *,
    session: str | None = None,
    client: bool = False,
    everything: bool = False,
    older_than_s: float | None = None,
) -> Cancel:
    """Check what a caller of `cancel` gave. Raises InvalidRequestError."""
    if request_id is None and session is None and not client and not everything:
        raise InvalidRequestError("No request is named that is to be cancelled.", "Name one, or call `cancel_all`.")
    return checked(
        Cancel,
        request_ids=() if request_id is None else (request_id.bytes,),
        session=session,
        client=client,
        all=everything,
        before_ms=None if older_than_s is None else math.ceil(checked_seconds("older_than_s", older_than_s) * 1000),
    )


def generation_header(deadline_s: float | None, options: dict[str, Any], *, is_streamed: bool) -> Header:
    """Take the fields of a header out of the options of a generation, and return it. Raises InvalidRequestError."""
    fields: dict[str, Any] = {
        name: options.pop(name) for name in ("priority", "session", "detached") if name in options
    }
    stream = "sentences" if options.pop("sentences", False) else "tokens"
    if deadline_s is not None:
        fields["deadline_ms"] = math.ceil(checked_seconds("deadline_s", deadline_s) * 1000)
    return checked(Header, stream=stream if is_streamed else "none", credit=CREDIT_WINDOW, **fields)


def new_exchange(
    message: ClientMessage,
    deliver: Callable[[Arrival], None],
    header: Header | None = None,
    request_id: uuid.UUID | None = None,
) -> Exchange:
    """Encode a request, with a fresh id if none is given. Raises InvalidRequestError."""
    header = header or Header()
    id_bytes = (request_id or uuid.uuid4()).bytes
    frames = encode(message, id_bytes, header)
    num_bytes = sum(map(len, frames))
    if num_bytes > MAX_MESSAGE_BYTES:
        raise InvalidRequestError(
            f"The request has {num_bytes} bytes; at most {MAX_MESSAGE_BYTES} may be sent.", "Send a shorter text."
        )
    return Exchange(id_bytes, frames, deliver, header if isinstance(message, Generate | Chat) else None)


def generation_event(arrival: Arrival) -> GenerationEvent | None:
    """Return what a generation brought, None for news without text. Raises what it failed with."""
    if isinstance(arrival, Accepted):
        return None
    if isinstance(arrival, TextChunk):
        return arrival
    return answer_of(arrival, GenerationResult)


def answer_of(arrival: Arrival, kind: type[_Answer]) -> _Answer:
    """Return the answer of one kind that was asked for. Raises what came instead."""
    if isinstance(arrival, BonsaiError):
        raise arrival
    if not isinstance(arrival, kind):
        raise ProtocolError(
            f"The server answered with {type(arrival).__name__}; expected {kind.__name__}.",
            "Use the same version of bonsai-edge on both sides.",
        )
    return arrival


def uuids(request_ids: Sequence[bytes]) -> list[uuid.UUID]:
    """Return the ids of requests as callers know them."""
    return [uuid.UUID(bytes=each) for each in request_ids]


def checked(kind: type[_Struct], **fields: object) -> _Struct:
    """Build a message from what a caller gave. Raises InvalidRequestError."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as exc:
        raise InvalidRequestError(f"An argument is not valid: {exc}.", "Correct it.") from exc
