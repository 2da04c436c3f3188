"""Builds GGUF files byte by byte, so that tests can get every detail of them wrong."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}


def text(value: str | bytes, length: int | None = None) -> bytes:
    """Return a string as GGUF writes it, if need be with a wrong length."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw) if length is None else length) + raw


def key(name: str | bytes, type_id: int, value: bytes | str | float) -> bytes:
    """Return a metadata entry; bytes are taken as they are."""
    if isinstance(value, str):
        value = text(value)
    elif not isinstance(value, bytes):
        value = struct.pack("<" + _FORMATS[type_id], value)
    return text(name) + struct.pack("<I", type_id) + value


def array(element_type: int, count: int, elements: bytes) -> bytes:
    """Return the value of a metadata entry of type ARRAY."""
    return struct.pack("<IQ", element_type, count) + elements


def tensor(name: str | bytes, dimensions: tuple[int, ...], type_id: int, offset: int) -> bytes:
    """Return the description of a tensor."""
    return (
        text(name)
        + struct.pack("<I", len(dimensions))
        + b"".join(struct.pack("<Q", size) for size in dimensions)
        + struct.pack("<IQ", type_id, offset)
    )


@dataclass
class GGUFBytes:
    """The parts of a file; counts are right unless given."""

    keys: list[bytes] = field(default_factory=list)
    tensors: list[bytes] = field(default_factory=list)
    data: bytes = b""
    magic: bytes = b"GGUF"
    version: int = 3
    num_tensors: int | None = None
    num_keys: int | None = None
    alignment: int = 32

    def build(self) -> bytes:
        """Return the file."""
        num_tensors = len(self.tensors) if self.num_tensors is None else self.num_tensors
        num_keys = len(self.keys) if self.num_keys is None else self.num_keys
        header = self.magic + struct.pack("<IQQ", self.version, num_tensors, num_keys)
        header += b"".join(self.keys) + b"".join(self.tensors)
        return header + bytes(-len(header) % self.alignment) + self.data
