"""docs/protocol.md is a promise: its vectors are replayed and its tables compared with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bonsai_edge.generation import GenerationOptions, GenerationResult, Timings, TokenLogprob, Usage
from bonsai_edge.rpc import problems
from bonsai_edge.rpc.codec import decode_client_message, decode_server_message, encode
from bonsai_edge.rpc.event_codec import decode_event, encode_event
from bonsai_edge.rpc.messages import (
    FEATURES,
    Cancel,
    Chat,
    ErrorMessage,
    Halt,
    Halted,
    Header,
    ModelInfo,
    Progress,
    Rejected,
    ServerStatus,
    Telemetry,
    TelemetryReading,
    Welcome,
)

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
VECTOR = re.compile(
    r"```vector\n(?P<sender>client|server): (?P<title>.*)\n"
    r"protocol +(?P<protocol>.*)\nkind +(?P<kind>.*)\nrequest id +(?P<id>.*)\n"
    r"header +(?P<header>.*)\n +(?P<header_json>.*)\nbody +(?P<body>.*)\n +(?P<body_json>.*)\n```"
)
VECTORS = [match.groupdict() for match in VECTOR.finditer(DOCUMENT)]


def test_all_vectors_are_found() -> None:
    assert len(VECTORS) == DOCUMENT.count("```vector") == 16


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["title"])
def test_vector_is_read_as_it_says(vector: dict[str, str]) -> None:
    frames = [bytes.fromhex(vector[name]) for name in ("protocol", "kind", "id", "header", "body")]
    header, body = (json.loads(vector[name]) for name in ("header_json", "body_json"))
    assert msgspec.msgpack.decode(frames[3]) == header
    assert with_hex(msgspec.msgpack.decode(frames[4])) == body
    decode = decode_client_message if vector["sender"] == "client" else decode_server_message
    envelope = decode(frames)
    assert envelope.header == msgspec.convert(header, Header)
    assert_contains(with_hex(msgspec.to_builtins(envelope.message, builtin_types=(bytes,))), body)
    if vector["sender"] == "server":
        assert encode(envelope.message, envelope.request_id) == frames


def with_hex(fields: dict[str, Any]) -> dict[str, Any]:
    """Write ids as the document does, in hexadecimal: JSON has no bytes."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}


def test_event_is_read_and_written_as_it_says() -> None:
    vector = re.search(r"```event\ntopic +(.*)\nbody +(.*)\n +(.*)\n```", DOCUMENT)
    assert vector is not None
    frames = [bytes.fromhex(vector[1]), bytes.fromhex(vector[2])]
    assert msgspec.msgpack.decode(frames[1]) == json.loads(vector[3])
    assert encode_event(decode_event(frames)) == frames


def assert_contains(message: Any, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_contains(message[name], value)
        else:
            assert list(message[name]) == value if isinstance(value, list) else message[name] == value


@pytest.mark.parametrize(
    "record",
    [
        *(Header, GenerationOptions, GenerationResult, Usage, Timings, TokenLogprob, ModelInfo, ServerStatus),
        *(Welcome, Rejected, Progress, Chat, Cancel, Halt, Halted, Telemetry, TelemetryReading),
    ],
)
def test_every_field_is_described(record: type[msgspec.Struct]) -> None:
    assert [name for name in record.__struct_fields__ if f"`{name}`" not in DOCUMENT] == []


def test_every_error_code_and_feature_is_described() -> None:
    constants = [value for value in vars(problems).values() if isinstance(value, ErrorMessage)]
    codes = {constant.code for constant in constants} | problems.LOCAL_CLASSES.keys() | {"unsupported_feature"}
    described = dict(re.findall(r"^\| `(\w+)` \| .* \| (yes|no) \|$", DOCUMENT, re.MULTILINE))
    assert described.keys() == codes
    assert {constant.code for constant in constants if constant.retryable} <= {
        code for code, retryable in described.items() if retryable == "yes"
    }
    assert all(f"`{feature}`" in DOCUMENT for feature in FEATURES)
