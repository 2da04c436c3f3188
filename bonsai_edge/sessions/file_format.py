"""The bytes of a session file: written as a stream, and believed only as far as its checksums reach.

    magic, version                8 + 4 bytes
    HEAD  SessionHeader           MessagePack
    TALK  messages                MessagePack
    TOKS  token ids               int32
    PAGE  one page of KV cache    as often as the tokens need
    DONE                          empty: nothing was cut off

Each record is its kind (4 bytes), the length of its content (8 bytes), the content, and the SHA-256 of the digest
before it and of all that. So a record is proven to stand where it stood, after the very tokens it was computed for, and
what comes before a damaged one may be used. Integers are little endian. docs/sessions.md has the reasons.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import RawIOBase
from typing import Annotated, TypeAlias, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from bonsai_edge.generation import Message
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.sessions.fingerprint import Fingerprint

FORMAT_VERSION = 1
"""Raised when older readers could not read a new file; magic, version and the form of HEAD stay for ever."""

MAX_MESSAGES_BYTES = 16 << 20
"""Most bytes of the encoded messages of one conversation."""

_MAGIC = b"\x89BESS\r\n\x1a"  # like PNG's: not text, and broken by whatever converts line ends
_PREAMBLE = struct.Struct("<8sI")
_FRAME = struct.Struct("<4sQ")
_DIGEST_BYTES = hashlib.sha256().digest_size
_MOST_HEADER_BYTES = 64 << 10
_MOST_TOKENS = 1 << 24
_TOKEN_BYTES = 4

Chunk: TypeAlias = bytes | memoryview
_Decoded = TypeVar("_Decoded")


class SessionHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What can be told of a session without reading the rest; `saved_s` in seconds since 1970, by the clock then.

    `model_name` is for people; the fingerprint is what counts.
    """

    fingerprint: Fingerprint
    model_name: str
    saved_s: int
    num_tokens: Annotated[int, msgspec.Meta(ge=0, le=_MOST_TOKENS)]
    num_messages: Annotated[int, msgspec.Meta(ge=0)]
    messages_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_MESSAGES_BYTES)]

    @property
    def num_pages(self) -> int:
        """Started pages."""
        return -(-self.num_tokens // PAGE_TOKENS)


@dataclass(frozen=True)
class SessionContent:
    """A session that is to be written; `pages` may be made while they are asked for, one for each started page."""

    fingerprint: Fingerprint
    model_name: str
    saved_s: int
    token_ids: Sequence[int]
    messages: Sequence[Message]
    pages: Iterable[npt.NDArray[np.uint8]]


class DamagedSessionError(ValueError):
    """A session file is not, or no longer, what was written; never leaves this package."""


class NewerSessionError(ValueError):
    """A session file was written by a version with another format; never leaves this package."""


class EncodedSession:
    """A session as bytes: their number is known before the first is made."""

    def __init__(self, content: SessionContent) -> None:
        self._messages = msgspec.msgpack.encode(list(content.messages))
        self._token_ids = np.asarray(content.token_ids, "<i4")
        self._pages = content.pages
        self.header = SessionHeader(
            fingerprint=content.fingerprint,
            model_name=content.model_name,
            saved_s=content.saved_s,
            num_tokens=len(content.token_ids),
            num_messages=len(content.messages),
            messages_bytes=len(self._messages),
        )
        self._encoded_header = msgspec.msgpack.encode(self.header)
        self.num_bytes = _file_bytes(self.header, len(self._encoded_header))

    def chunks(self) -> Iterator[Chunk]:
        """Yield the bytes; a page is yielded as it is, not copied. Can be asked for once."""
        preamble = _PREAMBLE.pack(_MAGIC, FORMAT_VERSION)
        yield preamble
        chain = _DigestChain(preamble)
        yield from chain.record(b"HEAD", self._encoded_header)
        yield from chain.record(b"TALK", self._messages)
        yield from chain.record(b"TOKS", self._token_ids.tobytes())
        num_pages = 0
        for page in self._pages:
            assert page.nbytes == self.header.fingerprint.page_bytes
            yield from chain.record(b"PAGE", page.data)
            num_pages += 1
        assert num_pages == self.header.num_pages
        yield from chain.record(b"DONE", b"")


class SessionReader:
    """Reads a session file from its beginning to its end, in the order of the methods.

    The constructor reads the header. `damage` says what was wrong where `pages` ended before its time. Raises
    DamagedSessionError, and NewerSessionError from the constructor; allocates no more than the file has bytes.
    """

    def __init__(self, file: RawIOBase, num_bytes: int) -> None:
        self._file = file
        self._position = 0
        self.num_bytes = num_bytes
        self.damage: str | None = None
        preamble = self._read(_PREAMBLE.size)
        magic, version = _PREAMBLE.unpack(preamble)
        if magic != _MAGIC:
            raise DamagedSessionError("it does not begin as a session file does")
        self._chain = _DigestChain(preamble)
        encoded_header = self._record(b"HEAD", None, _MOST_HEADER_BYTES)
        if version != FORMAT_VERSION:
            raise NewerSessionError(f"it has the format {version}, this version reads {FORMAT_VERSION}")
        self.header = _decode(encoded_header, SessionHeader)
        expected = _file_bytes(self.header, len(encoded_header))
        if num_bytes != expected:
            self.damage = f"it has {num_bytes} bytes, written were {expected}"

    def read_messages(self) -> tuple[Message, ...]:
        """Return the messages of the conversation, none if there was none."""
        encoded = self._record(b"TALK", self.header.messages_bytes)
        return _decode(encoded, tuple[Message, ...])

    def read_token_ids(self) -> tuple[int, ...]:
        """Return the token ids; they are not compared with any vocabulary."""
        content = self._record(b"TOKS", _TOKEN_BYTES * self.header.num_tokens)
        return tuple(np.frombuffer(content, "<i4").tolist())

    def pages(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield every page that is proven to be as it was written, up to the first that is not."""
        for number in range(self.header.num_pages):
            try:
                page = np.frombuffer(self._record(b"PAGE", self.header.fingerprint.page_bytes), np.uint8)
            except DamagedSessionError as exc:
                self.damage = str(exc)
                return
            if number == self.header.num_pages - 1:
                self._read_end()  # before the last page is taken: nobody may ask for more
            yield page

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_end(self) -> None:
        try:
            self._record(b"DONE", 0)
        except DamagedSessionError as exc:
            self.damage = str(exc)

    def _record(self, kind: bytes, num_bytes: int | None, most_bytes: int = 0) -> bytearray:
        """Read the record that must come next; `num_bytes` of content, or at most `most_bytes` where that is None."""
        start = self._position
        frame = self._read(_FRAME.size)
        found_kind, found_bytes = _FRAME.unpack(frame)
        is_sane = found_bytes <= most_bytes if num_bytes is None else found_bytes == num_bytes
        if found_kind != kind or not is_sane:
            raise DamagedSessionError(f"it is damaged at byte {start}")
        content = self._read(found_bytes)
        if self._read(_DIGEST_BYTES) != self._chain.next_digest(frame, content):
            raise DamagedSessionError(f"it is damaged between bytes {start} and {self._position}")
        return content

    def _read(self, num_bytes: int) -> bytearray:
        if num_bytes > self.num_bytes - self._position:
            raise DamagedSessionError(f"it ends at byte {self.num_bytes}, within its content")
        content = bytearray(num_bytes)
        view = memoryview(content)
        while view:
            try:
                num_read = self._file.readinto(view)
            except OSError as exc:  # a failing disk; a map of the file would end the process instead
                raise DamagedSessionError(f"it cannot be read at byte {self._position}: {exc.strerror}") from exc
            if not num_read:
                raise DamagedSessionError(f"it ends at byte {self._position}, within its content")
            self._position += num_read
            view = view[num_read:]
        return content


class _DigestChain:
    """Each digest covers all records before its own."""

    def __init__(self, preamble: bytes | bytearray) -> None:
        self._last = hashlib.sha256(preamble).digest()

    def next_digest(self, frame: bytes | bytearray, content: Chunk | bytearray) -> bytes:
        digest = hashlib.sha256(self._last)
        digest.update(frame)
        digest.update(content)
        self._last = digest.digest()
        return self._last

    def record(self, kind: bytes, content: Chunk) -> Iterator[Chunk]:
        frame = _FRAME.pack(kind, len(content))
        yield frame
        yield content
        yield self.next_digest(frame, content)


def _file_bytes(header: SessionHeader, header_bytes: int) -> int:
    contents = [header_bytes, header.messages_bytes, _TOKEN_BYTES * header.num_tokens, 0]
    records = sum(contents) + header.num_pages * header.fingerprint.page_bytes
    return _PREAMBLE.size + records + (len(contents) + header.num_pages) * (_FRAME.size + _DIGEST_BYTES)


def _decode(encoded: bytearray, kind: type[_Decoded]) -> _Decoded:
    try:
        return msgspec.msgpack.decode(encoded, type=kind)
    except msgspec.MsgspecError as exc:
        raise DamagedSessionError(f"it has a record that cannot be decoded: {exc}") from exc
