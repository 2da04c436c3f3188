"""The alphabet of byte-level BPE: every byte as one printable character, so that a vocabulary is plain text.

Defined by GPT-2's `bytes_to_unicode`: printable Latin-1 stands for itself, the other bytes follow from U+0100 on.
"""

from __future__ import annotations


def _byte_of_character() -> dict[str, int]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


BYTE_OF_CHARACTER = _byte_of_character()


def to_bytes(token: str) -> bytes:
    """Return the bytes that a token of a byte-level vocabulary stands for; all its characters are of the alphabet."""
    return bytes(map(BYTE_OF_CHARACTER.__getitem__, token))
