"""Every message of the protocol, as a msgspec Struct; docs/protocol.md says when each one is sent.

A later version adds fields with defaults and never changes the meaning of one that exists.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from bonsai_edge.generation import GenerationOptions, GenerationResult, Message, TextChunk

PROTOCOL_VERSION = "BE/1"
FEATURES = frozenset(
    {
        *("cancel", "credit", "deadline", "detached", "halt", "logprobs", "on_overflow", "priority", "progress"),
        *("resume", "selectors", "stream"),
    }
)
"""What a client may name in `Header.requires`."""

MAX_MESSAGE_BYTES = 4 << 20
MAX_FRAMES = 16
REQUEST_ID_BYTES = 16
NIL_REQUEST_ID = bytes(REQUEST_ID_BYTES)
"""Stands in an ERROR for the id that could not be read."""

MAX_CREDIT = 1 << 20
HEARTBEAT_INTERVAL_MS = 1_000
HEARTBEAT_TIMEOUT_MS = 3_000
EVENT_INTERVAL_MS = 1_000
"""A status is published at least so often."""

RequestId: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=REQUEST_ID_BYTES, max_length=REQUEST_ID_BYTES)]
TokenId: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
ShortText: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)]
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
Degradation: TypeAlias = Literal["engine_silent", "halted", "memory_low", "throttled"]


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What any request may carry, whatever its method; fields that a receiver does not know are ignored."""

    deadline_ms: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)] | None = None
    """Counted from the moment the server receives the request."""
    stream: Literal["tokens", "sentences", "none"] = "tokens"
    """What a CHUNK is made of; "none" leaves them out."""
    priority: Literal["background", "normal", "interactive", "safety"] = "normal"
    detached: bool = False
    """Go on when the client vanishes."""
    credit: Annotated[int, msgspec.Meta(ge=0, le=MAX_CREDIT)] | None = None
    """How many CHUNKs may be sent before a CREDIT allows more; None for any number."""
    resume_from: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] | None = None
    """Run nothing: send the answer to the request of this id again, from this CHUNK on."""
    session: Name | None = None
    """A name by which several requests can be cancelled together."""
    requires: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=16)] = ()
    """Features without which the client does not want an answer."""


class Hello(msgspec.Struct, frozen=True):
    """HELLO: a client asks who the server is; it may ask at any time, or never."""

    client: ShortText = ""


class Generate(msgspec.Struct, frozen=True, tag="generate", tag_field="method"):
    """REQUEST: continue a text, which reaches the model as it is."""

    prompt: str
    options: GenerationOptions = msgspec.field(default_factory=GenerationOptions)


class Chat(msgspec.Struct, frozen=True, tag="chat", tag_field="method"):
    """REQUEST: answer a conversation, put into the model's chat template."""

    messages: Annotated[tuple[Message, ...], msgspec.Meta(min_length=1, max_length=4096)]
    options: GenerationOptions = msgspec.field(default_factory=GenerationOptions)


class Tokenize(msgspec.Struct, frozen=True, tag="tokenize", tag_field="method"):
    """REQUEST: turn a text into token ids."""

    text: str
    special: bool = False
    """Recognize the names of special tokens in the text."""


class Detokenize(msgspec.Struct, frozen=True, tag="detokenize", tag_field="method"):
    """REQUEST: turn token ids into text."""

    token_ids: tuple[TokenId, ...]


class GetModelInfo(msgspec.Struct, frozen=True, tag="model.info", tag_field="method"):
    """REQUEST: describe the loaded model."""


class GetStatus(msgspec.Struct, frozen=True, tag="status", tag_field="method"):
    """REQUEST: say how the server is doing."""


class GetMetrics(msgspec.Struct, frozen=True, tag="metrics", tag_field="method"):
    """REQUEST: write the counters of the server in Prometheus' text form."""


class Cancel(msgspec.Struct, frozen=True, omit_defaults=True):
    """CANCEL: end the requests that every given field selects; one that names none selects none.

    Its own request id is that of this message.
    """

    request_ids: Annotated[tuple[RequestId, ...], msgspec.Meta(max_length=256)] = ()
    session: Name | None = None
    client: bool = False
    """Those of this connection."""
    all: bool = False
    before_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)] | None = None
    """Only those received at least so long ago; selects nothing by itself."""


class Halt(msgspec.Struct, frozen=True, omit_defaults=True):
    """HALT: end all generations now and refuse new ones until RESUME."""

    reason: ShortText = ""
    """Shown in the status until then."""


class Resume(msgspec.Struct, frozen=True):
    """RESUME: take generations again."""


class Credit(msgspec.Struct, frozen=True):
    """CREDIT: that many more CHUNKs of a request may be sent. Not answered."""

    request_id: RequestId
    chunks: Annotated[int, msgspec.Meta(ge=1, le=MAX_CREDIT)]


class Ping(msgspec.Struct, frozen=True):
    """PING: are you there, and do you still know the requests that I wait for?"""

    waiting_for: Annotated[tuple[RequestId, ...], msgspec.Meta(max_length=256)] = ()


class Bye(msgspec.Struct, frozen=True):
    """BYE: the client leaves; its requests are cancelled. Not answered."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the server accepts."""

    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_frames: int = MAX_FRAMES
    max_active: int = 8
    """Generations that are computed together."""
    max_queued: int = 64
    max_queued_per_client: int = 16


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """WELCOME: the answer to HELLO; model, backend and context are None while the model is loading."""

    protocol: str
    server_version: str
    boot_id: str
    model: str | None
    backend: str | None
    context: int | None
    features: tuple[str, ...]
    limits: Limits
    heartbeat_interval_ms: int


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """ACCEPTED: a generation is queued, and once more, with position 0, when it starts after waiting."""

    queue_position: int
    """Its place in the line, 1 for the first; 0 if it is computed now."""
    estimate_ms: int | None = None
    """About how long it will wait, judged by earlier requests; None if it need not wait or nothing is known yet."""


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """PROGRESS: what a request is doing, whenever nothing else was heard of it for half a second."""

    phase: Literal["queued", "loading", "prefill", "decode"]
    done: int = 0
    total: int = 0
    """Tokens of the prompt that are computed, of how many, in the phase "prefill"."""
    queue_position: int | None = None
    estimate_ms: int | None = None


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """REJECTED: the request was understood and will not be run."""

    code: str
    message: str
    remedy: str
    retryable: bool
    queue_position: int | None = None
    """The place in the line that it would have had."""
    retry_after_ms: int | None = None


class ErrorMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """ERROR: the message was not understood, or an accepted request failed."""

    code: str
    message: str
    remedy: str
    retryable: bool
    details: dict[str, int] = {}
    """The numbers of the cause, by names that belong to the code."""


class TokenIds(msgspec.Struct, frozen=True, tag="tokens", tag_field="type"):
    """FINAL of `tokenize`."""

    token_ids: tuple[int, ...]


class Text(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    """FINAL of `detokenize`."""

    text: str


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True, tag="model", tag_field="type"):
    """FINAL of `model.info`."""

    name: str
    architecture: str
    backend: str
    context: int
    threads: int
    load_s: float
    vocab_size: int
    num_layers: int
    hidden_size: int


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True, tag="status", tag_field="type"):
    """FINAL of `status`, and part of every PONG.

    `steps` counts the forward steps begun since the server started. A server that is `active` and whose
    `seconds_since_step` keeps growing has a stuck engine, however promptly it answers; `live` is false then.
    """

    state: Literal["loading", "ready", "degraded", "stopping"]
    boot_id: str
    """Changes when the server restarts, and with it all requests are gone."""
    server_version: str
    uptime_s: float
    model: str | None
    backend: str | None
    active: int
    queued: int
    steps: int
    seconds_since_step: float | None
    rss_bytes: int
    loaded: bool = True
    """Whether the model is in memory; a server that is ready without it loads it for the next generation."""
    live: bool = True
    """Whether the engine makes progress when it has work."""
    ready: bool = True
    """Whether a generation sent now is taken and can begin: live, with a model, and neither halted nor stopping."""
    degraded_by: tuple[Degradation, ...] = ()
    """Why a server that has its model is not simply "ready"."""
    halt_reason: str | None = None
    """What HALT said, None where the server is not halted."""
    engine_silent_s: float | None = None
    """Seconds since the engine began a step or got work; None while it has none or the model is loading."""
    tokens: int = 0
    """Tokens generated since the server started, for speeds."""
    available_bytes: int | None = None
    """What the system could still give to processes."""
    backend_note: str | None = None
    """Why another backend computes than the one that was asked for, or would be best."""


class Cancelling(msgspec.Struct, frozen=True, tag="cancelling", tag_field="type"):
    """FINAL of a CANCEL: those of its requests that were alive; each still gets its own terminal message."""

    request_ids: tuple[RequestId, ...]


class Halted(msgspec.Struct, frozen=True, tag="halted", tag_field="type"):
    """FINAL of HALT and RESUME: whether generations are refused now, and which requests HALT ended."""

    halted: bool
    cancelled: tuple[RequestId, ...] = ()


class TelemetryReading(msgspec.Struct, frozen=True):
    """One value of a sensor: `bonsai_edge.sensors` has the quantities, which name their units, and the scopes."""

    quantity: str
    name: str
    scope: str
    value: float


class Telemetry(msgspec.Struct, frozen=True, tag="telemetry", tag_field="type"):
    """The event `telemetry`: what the machine's sensors said last."""

    boot_id: str
    readings: tuple[TelemetryReading, ...]


class Pong(msgspec.Struct, frozen=True):
    """PONG: the status, and which of the requests asked for the server does not know."""

    status: ServerStatus
    lost: tuple[RequestId, ...] = ()


Method: TypeAlias = Generate | Chat | Tokenize | Detokenize | GetModelInfo | GetStatus | GetMetrics
Final: TypeAlias = GenerationResult | TokenIds | Text | ModelInfo | ServerStatus | Cancelling | Halted
ClientMessage: TypeAlias = Hello | Method | Cancel | Halt | Resume | Credit | Ping | Bye
ServerMessage: TypeAlias = Welcome | Accepted | Rejected | Progress | TextChunk | Final | ErrorMessage | Pong
Event: TypeAlias = ServerStatus | Telemetry
