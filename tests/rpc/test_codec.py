from __future__ import annotations

import contextlib
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonsai_edge.errors import InvalidRequestError, ProtocolError
from bonsai_edge.generation import GenerationOptions, GenerationResult, Message, TextChunk, Timings, Usage
from bonsai_edge.rpc.codec import decode_client_message, decode_server_message, encode, request_id_of
from bonsai_edge.rpc.messages import (
    MAX_FRAMES,
    MAX_MESSAGE_BYTES,
    NIL_REQUEST_ID,
    Accepted,
    Bye,
    Cancel,
    Cancelling,
    Chat,
    ClientMessage,
    Detokenize,
    ErrorMessage,
    Generate,
    GetModelInfo,
    GetStatus,
    Header,
    Hello,
    Limits,
    ModelInfo,
    Ping,
    Pong,
    Rejected,
    ServerMessage,
    ServerStatus,
    Text,
    TokenIds,
    Tokenize,
    Welcome,
)

ID = uuid.UUID("01234567-89ab-4def-8123-456789abcdef").bytes
STATUS = ServerStatus(
    state="ready",
    boot_id="b",
    server_version="0",
    uptime_s=1.5,
    model=None,
    backend=None,
    active=1,
    queued=2,
    steps=3,
    seconds_since_step=None,
    rss_bytes=4,
)
RESULT = GenerationResult(
    text="né",
    token_ids=[1, 2],
    finish_reason="stop",
    usage=Usage(3, 2),
    timings=Timings(load_s=1.0, prefill_s=0.5, decode_s=0.5, prefill_tokens_per_s=6.0, decode_tokens_per_s=None),
    backend="cpu",
    model="seedling",
    seed=(1 << 63) - 1,
)
CLIENT_MESSAGES: list[ClientMessage] = [
    Hello("test"),
    Generate("a prompt", GenerationOptions(max_tokens=3, logit_bias={5: -1.5}, stop=("x",))),
    Chat((Message("user", "hello"),)),
    Tokenize("text", special=True),
    Detokenize((0, 151_668)),
    GetModelInfo(),
    GetStatus(),
    Cancel((ID, NIL_REQUEST_ID)),
    Ping((ID,)),
    Bye(),
]
SERVER_MESSAGES: list[ServerMessage] = [
    Welcome(
        protocol="BE/1",
        server_version="0",
        boot_id="b",
        model="m",
        backend="cpu",
        context=9,
        features=("cancel",),
        limits=Limits(max_active=1),
        heartbeat_interval_ms=1000,
    ),
    Accepted(2),
    Rejected(code="busy", message="Full.", remedy="Wait.", retryable=True, queue_position=3, retry_after_ms=250),
    TextChunk(0, "né", [7, 8]),
    RESULT,
    TokenIds((1, 2)),
    Text("text"),
    ModelInfo(
        name="m",
        architecture="qwen3",
        backend="cpu",
        context=9,
        threads=1,
        load_s=0.1,
        vocab_size=5,
        num_layers=1,
        hidden_size=8,
    ),
    STATUS,
    Cancelling((ID,)),
    ErrorMessage(code="x", message="Bad.", remedy="Do.", retryable=False),
    Pong(STATUS, (ID,)),
]


@pytest.mark.parametrize("message", CLIENT_MESSAGES, ids=lambda message: type(message).__name__)
def test_client_message_survives_the_wire(message: ClientMessage) -> None:
    header = Header(deadline_ms=5, stream="none", requires=("cancel",))
    envelope = decode_client_message(encode(message, ID, header))
    assert (envelope.request_id, envelope.header, envelope.message) == (ID, header, message)


@pytest.mark.parametrize("message", SERVER_MESSAGES, ids=lambda message: type(message).__name__)
def test_server_message_survives_the_wire(message: ServerMessage) -> None:
    envelope = decode_server_message(encode(message, ID))
    assert (envelope.request_id, envelope.header, envelope.message) == (ID, Header(), message)


def request_frames(**body: Any) -> list[bytes]:
    return [b"BE/1", b"REQUEST", ID, b"\x80", msgspec.msgpack.encode(body)]


def error_of(frames: list[bytes]) -> str:
    with pytest.raises(ProtocolError) as caught:
        decode_client_message(frames)
    return caught.value.cause


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"method": "generate"}, "Object missing required field `prompt`"),
        ({"method": "generate", "prompt": 5}, "Expected `str`, got `int` - at `$.prompt`"),
        (
            {"method": "generate", "prompt": "", "options": {"max_tokens": 0}},
            "Expected `int` >= 1 - at `$.options.max_tokens`",
        ),
        (
            {"method": "generate", "prompt": "", "options": {"warmth": 1}},
            "Object contains unknown field `warmth` - at `$.options`",
        ),
        (
            {"method": "chat", "messages": [{"role": "robot", "content": ""}]},
            "Invalid enum value 'robot' - at `$.messages[0].role`",
        ),
        ({"method": "chat", "messages": []}, "Expected `array` of length >= 1 - at `$.messages`"),
        ({"method": "detokenize", "token_ids": [1, -1]}, "Expected `int` >= 0 - at `$.token_ids[1]`"),
        ({"method": "shutdown"}, "Invalid value 'shutdown' - at `$.method`"),
        ({}, "Object missing required field `method`"),
    ],
)
def test_error_names_the_field(body: dict[str, Any], problem: str) -> None:
    assert error_of(request_frames(**body)) == f"The body of REQUEST is not valid: {problem}."


def test_unknown_fields_of_header_and_body_are_ignored() -> None:
    frames = request_frames(method="status", since="2.0")
    frames[3] = msgspec.msgpack.encode({"colour": 3, "deadline_ms": 7})
    assert decode_client_message(frames).header == Header(deadline_ms=7)


@pytest.mark.parametrize("deadline_ms", [0, -1, 1.5, "1", True, 86_400_001])
def test_deadline_out_of_range_is_refused(deadline_ms: object) -> None:
    frames = request_frames(method="status")
    frames[3] = msgspec.msgpack.encode({"deadline_ms": deadline_ms})
    assert error_of(frames).startswith("The header of REQUEST is not valid: Expected `int")


def test_another_version_is_refused() -> None:
    frames = request_frames(method="status")
    frames[0] = b"BE/2"
    assert error_of(frames) == "The message is written in protocol 'BE/2'; 'BE/1' is spoken here."


def test_unknown_kind_is_refused_with_those_known() -> None:
    frames = request_frames(method="status")
    frames[1] = b"FINAL\xff"
    assert error_of(frames) == (
        "The kind of the message is 'FINAL\\\\xff'; "
        "expected one of HELLO, REQUEST, CANCEL, CREDIT, HALT, RESUME, PING, BYE."
    )


def test_request_id_of_another_length_is_refused() -> None:
    frames = request_frames(method="status")
    frames[2] = b"7"
    assert error_of(frames) == "The request id has 1 bytes; expected 16."


def test_number_of_frames_is_limited_and_reserved_ones_are_ignored() -> None:
    frames = request_frames(method="status")
    assert error_of(frames[:4]) == "The message has 4 frames; expected 5 to 16."
    assert error_of(frames + [b""] * 12) == "The message has 17 frames; expected 5 to 16."
    assert decode_client_message(frames + [b"x"] * (MAX_FRAMES - 5)).message == GetStatus()


def test_size_is_limited_over_all_frames() -> None:
    frames = request_frames(method="status")
    padding = bytes(MAX_MESSAGE_BYTES - sum(map(len, frames)))
    assert decode_client_message([*frames, padding]).message == GetStatus()
    assert error_of([*frames, padding, b"x"]) == (
        f"The message has {MAX_MESSAGE_BYTES + 1} bytes; at most {MAX_MESSAGE_BYTES} are allowed."
    )


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "ends in the middle of a value."),
        (b"\x81\xa6method\xa6status\x80", "has 1 bytes after its value."),
        (b"\x81\xa6method\xd4\x01\x00", "has an extension type; there are none."),
        (b"\x82\xa6method\xa6status\xa6method\xa8generate", "has the same key twice in a map."),
        (b"\x82\xa6method\xa8generate\xa6prompt\xa1\xff", "is not valid: "),
        (b"\x82\xa6method\xa6status\xa1x" + b"\x91" * 100_000, "is nested too deeply; 16 levels are allowed."),
        (
            b"\x82\xa6method\xaadetokenize\xa9token_ids\xdd\xff\xff\xff\xff",
            "has an array of 4294967295 items; at most 65536 are allowed.",
        ),
    ],
    ids=["empty", "trailing", "extension", "repeated key", "utf-8", "nested", "four billion elements"],
)
def test_hostile_msgpack_is_refused(body: bytes, problem: str) -> None:
    assert error_of([b"BE/1", b"REQUEST", ID, b"\x80", body]).startswith(f"The body of REQUEST {problem}")


def test_answer_of_a_server_may_have_more_items_than_a_question() -> None:
    answer = TokenIds(tuple(range(70_000)))
    assert decode_server_message(encode(answer, ID)).message == answer


def test_deeply_nested_answer_is_refused() -> None:
    with pytest.raises(ProtocolError, match="The body of FINAL is nested too deeply"):
        decode_server_message([b"BE/1", b"FINAL", ID, b"\x80", b"\x81\xa1x" + b"\x91" * 100_000])


@given(st.lists(st.binary(max_size=64), max_size=20))
def test_random_frames_raise_nothing_but_protocol_errors(frames: list[bytes]) -> None:
    for decode in (decode_client_message, decode_server_message):
        with pytest.raises(ProtocolError):
            decode(frames)
    assert len(request_id_of(frames)) == 16


@given(
    st.sampled_from(CLIENT_MESSAGES + SERVER_MESSAGES),
    st.integers(min_value=0, max_value=4),
    st.data(),
)
def test_damaged_messages_raise_nothing_but_protocol_errors(
    message: ClientMessage | ServerMessage, which: int, data: st.DataObject
) -> None:
    frames = encode(message, ID, Header(deadline_ms=1, requires=("cancel",)))
    damaged = bytearray(frames[which])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    frames[which] = bytes(damaged[:cut]) if data.draw(st.booleans()) else bytes(damaged)
    for decode in (decode_client_message, decode_server_message):
        with contextlib.suppress(ProtocolError):
            assert len(decode(frames).request_id) == 16


def test_half_a_character_is_refused_before_it_is_sent() -> None:
    with pytest.raises(InvalidRequestError, match=r"half a character, U\+D83D, which UTF-8 cannot express"):
        encode(Generate("smile \ud83d"), ID)


def test_request_id_is_found_in_malformed_frames() -> None:
    assert request_id_of([b"?", b"", ID]) == ID
    assert request_id_of([b"BE/1", b"REQUEST"]) == NIL_REQUEST_ID
    assert request_id_of([b"BE/1", b"REQUEST", b"short"]) == NIL_REQUEST_ID
