"""The bytes of a session file: what is written is read, and nothing else is."""

from __future__ import annotations

import errno
import hashlib
import struct
from io import BytesIO, RawIOBase
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonsai_edge.generation import Message
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.sessions.file_format import (
    DamagedSessionError,
    EncodedSession,
    NewerSessionError,
    SessionReader,
)
from session_content import FINGERPRINT, content, encode, is_prefix, is_whole, proven

messages = st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), st.text(max_size=20))


@given(
    num_tokens=st.integers(0, 3 * PAGE_TOKENS + 1),
    talk=st.lists(messages, max_size=4),
    seed=st.integers(0, 1 << 32),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(num_tokens: int, talk: list[Message], seed: int, data: Any) -> None:
    ids = data.draw(st.lists(st.integers(0, (1 << 31) - 1), min_size=num_tokens, max_size=num_tokens))
    session = content(seed, num_tokens, messages=talk, token_ids=ids)
    encoded = encode(session)
    assert len(encoded) == EncodedSession(session).num_bytes
    assert is_whole(proven(encoded), session)


def test_a_bit_flipped_anywhere_is_noticed_and_what_comes_after_is_not_used() -> None:
    session = content()
    encoded = encode(session)
    pages_read = set()
    for bit in range(8 * len(encoded)):
        flipped = bytearray(encoded)
        flipped[bit // 8] ^= 1 << bit % 8
        found = proven(bytes(flipped))
        assert is_prefix(found, session), f"bit {bit} of {8 * len(encoded)}"
        pages_read.add(len(found.pages))
    assert pages_read == {0, 1, 2, 3}


def test_a_file_cut_off_anywhere_gives_its_proven_beginning() -> None:
    session = content()
    encoded = encode(session)
    for length in range(len(encoded)):
        assert is_prefix(proven(encoded[:length]), session), f"{length} of {len(encoded)} bytes"


def test_the_beginning_before_a_damaged_page_is_used() -> None:
    session = content(num_tokens=4 * PAGE_TOKENS)
    encoded = bytearray(encode(session))
    third_page = encoded.index(list(session.pages)[2].tobytes())
    encoded[third_page] ^= 1
    found = proven(bytes(encoded))
    assert len(found.pages) == 2
    assert found.damage is not None
    assert found.damage.startswith(f"it is damaged between bytes {third_page - 12} and ")


def test_bytes_after_the_end_are_told() -> None:
    session = content()
    found = proven(encode(session) + b"x")
    assert is_prefix(found, session)
    assert found.damage == f"it has {len(encode(session)) + 1} bytes, written were {len(encode(session))}"


def test_a_missing_end_is_known_with_the_last_page() -> None:
    """Whoever takes as many pages as there are tokens for asks for no more."""
    session = content(num_tokens=PAGE_TOKENS)
    encoded = encode(session)
    reader = SessionReader(BytesIO(encoded[:-1] + bytes(1)), len(encoded))  # type: ignore[arg-type]
    reader.read_messages()
    reader.read_token_ids()
    assert next(reader.pages()).tobytes() == next(iter(session.pages)).tobytes()
    assert reader.damage == f"it is damaged between bytes {len(encoded) - 44} and {len(encoded)}"


def test_a_page_of_another_session_in_the_same_place_is_not_taken() -> None:
    """Its own checksum would be right; only the chain knows for which tokens it was computed."""
    ours, other = content(seed=1), content(seed=2)
    page_record = 12 + FINGERPRINT.page_bytes + 32
    start = encode(ours).index(list(ours.pages)[1].tobytes()) - 12
    forged = encode(ours)[:start] + encode(other)[start : start + page_record] + encode(ours)[start + page_record :]
    assert len(proven(forged).pages) == 1


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_other_bytes_are_no_session(noise: bytes) -> None:
    assert proven(noise).header is None
    assert proven(encode(content())[:12] + noise).header is None


def test_the_content_of_another_file_says_so() -> None:
    assert proven(b"GGUF" + bytes(100)).damage == "it does not begin as a session file does"
    assert proven(b"").damage == "it ends at byte 0, within its content"


def chained(version: int, *records: tuple[bytes, bytes]) -> bytes:
    """Return records with right checksums, as someone may write who means harm."""
    file = struct.pack("<8sI", b"\x89BESS\r\n\x1a", version)
    last = hashlib.sha256(file).digest()
    for kind, payload in records:
        record = struct.pack("<4sQ", kind, len(payload)) + payload
        last = hashlib.sha256(last + record).digest()
        file += record + last
    return file


def header_bytes(**changes: object) -> bytes:
    header = msgspec.to_builtins(EncodedSession(content()).header)
    return msgspec.msgpack.encode(header | changes)


def test_the_format_is_what_its_description_says() -> None:
    session = content()
    records = [
        (b"HEAD", header_bytes()),
        (b"TALK", msgspec.msgpack.encode([msgspec.to_builtins(message) for message in session.messages])),
        (b"TOKS", struct.pack(f"<{len(session.token_ids)}i", *session.token_ids)),
        *((b"PAGE", page.tobytes()) for page in session.pages),
        (b"DONE", b""),
    ]
    assert chained(1, *records) == encode(session)


@pytest.mark.parametrize(
    "header",
    [
        header_bytes(num_tokens=-1),
        header_bytes(num_tokens=1 << 30),
        header_bytes(messages_bytes=1 << 40),
        header_bytes(fingerprint=msgspec.to_builtins(FINGERPRINT) | {"page_bytes": 1 << 40}),
        header_bytes(surprise=1),
        msgspec.msgpack.encode([1, 2]),
        b"\xc1",
        b"",
    ],
)
def test_a_header_with_right_checksum_and_wrong_content_is_damage(header: bytes) -> None:
    with pytest.raises(DamagedSessionError, match=r"^it has a record that cannot be decoded: "):
        SessionReader(BytesIO(chained(1, (b"HEAD", header))), 1 << 50)  # type: ignore[arg-type]


def test_a_newer_format_is_told_from_damage() -> None:
    file = chained(2, (b"HEAD", b"whatever it may mean then"))
    with pytest.raises(NewerSessionError, match=r"^it has the format 2, this version reads 1$"):
        SessionReader(BytesIO(file), len(file))  # type: ignore[arg-type]


@pytest.mark.parametrize("claimed", [1 << 20, 1 << 62, (1 << 64) - 1])
def test_a_record_that_claims_more_than_its_kind_may_have_is_damage_before_memory_is_taken(claimed: int) -> None:
    file = bytearray(encode(content()))
    file[16:24] = struct.pack("<Q", claimed)
    assert proven(bytes(file)).damage == "it is damaged at byte 12"


def test_claimed_tokens_that_the_file_cannot_hold_take_no_memory() -> None:
    file = chained(1, (b"HEAD", header_bytes(num_tokens=1 << 24)), (b"TALK", msgspec.msgpack.encode([])))
    found = proven(file)
    assert found.token_ids is None
    assert found.damage is not None


def test_a_disk_that_cannot_be_read_is_damage_from_there_on() -> None:
    class FailingDisk(RawIOBase):
        def __init__(self, file: bytes, good_bytes: int) -> None:
            self._file = BytesIO(file[:good_bytes])

        def readinto(self, buffer: Any) -> int:
            if num_read := self._file.readinto(buffer):
                return num_read
            raise OSError(errno.EIO, "Input/output error")

    session = content()
    file = encode(session)
    second_page = file.index(list(session.pages)[1].tobytes())
    reader = SessionReader(FailingDisk(file, second_page + 3), len(file))
    reader.read_messages()
    reader.read_token_ids()
    assert [page.tobytes() for page in reader.pages()] == [next(iter(session.pages)).tobytes()]
    assert reader.damage == f"it cannot be read at byte {second_page + 3}: Input/output error"
