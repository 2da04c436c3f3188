"""Reads the undefined symbols of Mach-O files for Arm, and of archives of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_MAGIC_64 = 0xFEEDFACF
_CPU_ARM64 = 0x0100000C
_LC_SYMTAB = 2
_N_TYPE, _N_EXT = 0x0E, 0x01  # of nlist's n_type, from <mach-o/nlist.h>


def defined_and_undefined(path: Path) -> tuple[set[str], set[str]]:
    """Return the external symbols that a file or the members of an archive define, and those that remain undefined."""
    defined: set[str] = set()
    wanted: set[str] = set()
    for content in _members(path.read_bytes()):
        for name, is_defined in _external_symbols(content):
            (defined if is_defined else wanted).add(name)
    return defined, wanted - defined


def _members(content: bytes) -> Iterator[bytes]:
    if not content.startswith(b"!<arch>\n"):
        yield content
        return
    at = 8
    while at < len(content):
        header, size = content[at : at + 60], int(content[at + 48 : at + 58])
        member = content[at + 60 : at + 60 + size]
        if header.startswith(b"#1/"):  # a long name stands before the content
            member = member[int(header[3:16]) :]
        if member[:4] == struct.pack("<I", _MAGIC_64):
            yield member
        at += 60 + size + size % 2


def _external_symbols(content: bytes) -> Iterator[tuple[str, bool]]:
    magic, cpu, _, _, num_commands = struct.unpack_from("<5I", content)
    assert (magic, cpu) == (_MAGIC_64, _CPU_ARM64)
    at = 32
    for _ in range(num_commands):
        command, size = struct.unpack_from("<2I", content, at)
        if command == _LC_SYMTAB:
            symbols, count, strings, _ = struct.unpack_from("<4I", content, at + 8)
            for index in range(count):
                name_at, kind = struct.unpack_from("<IB", content, symbols + 16 * index)
                if kind & _N_EXT:
                    start = strings + name_at
                    yield content[start : content.index(b"\0", start)].decode(), bool(kind & _N_TYPE)
        at += size
