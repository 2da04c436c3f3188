"""The scan agrees with msgspec on what is MessagePack, and refuses what is meant to exhaust a server."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Any

import msgspec
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonsai_edge.errors import ProtocolError
from bonsai_edge.rpc.codec import decode_client_message
from bonsai_edge.rpc.messages import MAX_MESSAGE_BYTES
from bonsai_edge.rpc.msgpack_scan import (
    MAX_ARRAY_ITEMS,
    MAX_CONTAINERS,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_KEY_BYTES,
    MAX_MAP_ENTRIES,
    ScanError,
    scan,
)

ID = bytes(range(16))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=300)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(st.text(max_size=20) | st.integers(-(1 << 63), (1 << 64) - 1), inner, max_size=20)
    ),
    max_leaves=30,
)


def encode(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


def problem_of(frame: bytes) -> str:
    with pytest.raises(ScanError) as caught:
        scan(frame)
    return str(caught.value)


def nested(levels: int) -> bytes:
    return b"\x91" * levels + b"\x00"


@given(VALUES)
def test_what_fits_into_the_limits_is_accepted(value: Any) -> None:
    scan(encode(value))


@given(VALUES, st.integers(1, 8))
def test_what_is_cut_short_or_goes_on_is_refused(value: Any, num_bytes: int) -> None:
    frame = encode(value)
    assert problem_of(frame + bytes(num_bytes)) == f"has {num_bytes} bytes after its value"
    assert problem_of(frame[:-num_bytes])


@given(st.binary(max_size=200))
def test_what_the_scan_lets_pass_msgspec_can_read(frame: bytes) -> None:
    try:
        scan(frame)
    except ScanError:
        return
    with contextlib.suppress(UnicodeDecodeError):  # texts are left to msgspec
        msgspec.msgpack.decode(frame)


@given(VALUES, st.data())
def test_damage_raises_nothing_but_scan_errors(value: Any, data: st.DataObject) -> None:
    frame = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ScanError):
        scan(bytes(frame))


@pytest.mark.parametrize(
    "frame",
    [
        nested(MAX_DEPTH),
        encode({str(index): 0 for index in range(MAX_MAP_ENTRIES)}),
        encode([0] * MAX_ARRAY_ITEMS),
        encode([[0] * 40_000, [0] * 40_000]),
        encode([[]] * (MAX_CONTAINERS - 1)),
        encode({"k" * MAX_KEY_BYTES: 0}),
        encode({"text": "x" * MAX_MESSAGE_BYTES}),
        encode({1: 0, "1": 0, -1: 0, 255: 0}),
    ],
    ids=["depth", "map", "array", "items", "containers", "key", "text", "keys that differ"],
)
def test_limits_are_reached(frame: bytes) -> None:
    scan(frame)


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (b"", "ends in the middle of a value"),
        (nested(MAX_DEPTH + 1), "is nested too deeply; 16 levels are allowed"),
        (b"\x81\xa1x" * 10_000, "is nested too deeply; 16 levels are allowed"),
        (encode({str(i): 0 for i in range(257)}), "has a map of 257 entries; at most 256 are allowed"),
        (b"\xdf\xff\xff\xff\xff", "has a map of 4294967295 entries; at most 256 are allowed"),
        (encode([0] * 65_537), "has an array of 65537 items; at most 65536 are allowed"),
        (b"\xdd\x00\x00\xff\xff\x00", "ends in the middle of a value"),
        (encode([[0] * 65_536] * 2), f"has more than {MAX_ITEMS} items in all"),
        (encode([{}] * MAX_CONTAINERS), f"has more than {MAX_CONTAINERS} maps and arrays"),
        (encode({"k" * 257: 0}), "has a key of 257 bytes; at most 256 are allowed"),
        (b"\x82\xa1a\x00\xd9\x01a\x00", "has the same key twice in a map"),
        (b"\x82\x05\x00\xcd\x00\x05\x00", "has the same key twice in a map"),
        (b"\x82\xff\x00\xd1\xff\xff\x00", "has the same key twice in a map"),
        (b"\x81\xc0\x00", "has a map with a key that is neither a string nor an integer"),
        (b"\x81\xc4\x01a\x00", "has a map with a key that is neither a string nor an integer"),
        (b"\x81\x80\x00", "has a map with a key that is neither a string nor an integer"),
        (b"\xc1", "has the byte 0xc1, which begins nothing"),
        *((bytes([lead]) + bytes(20), "has an extension type; there are none") for lead in (0xC7, 0xC9, 0xD4, 0xD8)),
        (b"\xdb\xff\xff\xff\xffabc", "ends in the middle of a value"),
        (b"\xc6\xff", "ends in the middle of a value"),
    ],
)
def test_what_is_beyond_the_limits_is_refused(frame: bytes, problem: str) -> None:
    assert problem_of(frame) == problem


@pytest.mark.parametrize(
    "frame",
    [
        encode({"method": "generate", "prompt": "x" * (MAX_MESSAGE_BYTES - 100)}),
        encode([{f"{index}{'a' * 25}": 1 for index in range(5)}] * (MAX_ITEMS // 11)),
        b"\x91" * MAX_MESSAGE_BYTES,
        encode([0] * MAX_MESSAGE_BYTES),
        b"\xdd\x00\x01\x00\x00" * 800_000,
    ],
    ids=["text", "most keys", "depth", "items", "announced items"],
)
def test_no_message_keeps_the_network_thread_busy(frame: bytes) -> None:
    times = []
    for _ in range(5):
        begun_at = time.thread_time()  # whatever else the machine does
        with contextlib.suppress(ScanError):
            scan(frame)
        times.append(time.thread_time() - begun_at)
    assert min(times) < 0.1


@pytest.mark.slow
def test_a_million_damaged_messages_are_refused_or_read_and_leak_nothing() -> None:
    source = random.Random(20_261_124)
    bodies = [
        encode({"method": "generate", "prompt": "né" * 20, "options": {"max_tokens": 3, "logit_bias": {5: -1.5}}}),
        encode({"method": "chat", "messages": [{"role": "user", "content": "hello"}] * 4}),
        encode({"method": "detokenize", "token_ids": list(range(0, 90_000, 3_000))}),
    ]
    num_read = 0
    rss_bytes = 0
    for turn in range(1_000_000):
        body = bytearray(source.choice(bodies))
        for _ in range(source.randint(1, 3)):
            body[source.randrange(len(body))] = source.randrange(256)
        try:
            decode_client_message([b"BE/1", b"REQUEST", ID, b"\x80", bytes(body[: source.choice((None, -1, 20))])])
            num_read += 1
        except ProtocolError:
            pass
        if turn == 100_000:
            rss_bytes = psutil.Process().memory_info().rss
    assert 0 < num_read < 1_000_000
    assert psutil.Process().memory_info().rss - rss_bytes < 10_000_000
