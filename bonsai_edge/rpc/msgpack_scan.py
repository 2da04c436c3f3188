"""What a frame of MessagePack may look like, checked byte by byte before anything is made of it.

One pass that builds no values: texts are skipped by their length, so the work grows with the number of items, which is
limited, and not with the number of bytes. Types and ranges of fields, and UTF-8, are the decoder's business.
"""

from __future__ import annotations

MAX_DEPTH = 16
MAX_MAP_ENTRIES = 256
MAX_ARRAY_ITEMS = 1 << 16
MAX_ITEMS = MAX_ARRAY_ITEMS + (1 << 14)
MAX_CONTAINERS = 1 << 13
"""Maps and arrays; together with the items, which all of them have together, this bounds the time of a scan."""
MAX_KEY_BYTES = 256

_EXTENSIONS = frozenset([*range(0xC7, 0xCA), *range(0xD4, 0xD9)])
_NEVER_USED = 0xC1
_SIGNED = range(0xD0, 0xD4)
_INTEGER_BYTES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_LENGTH_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}  # bin 8, 16, 32 and str 8, 16, 32
_STRING_LENGTH_BYTES = {lead: num_bytes for lead, num_bytes in _LENGTH_BYTES.items() if lead >= 0xD9}
_COUNT_BYTES = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}  # array 16, 32 and map 16, 32
_MAPS = frozenset([*range(0x80, 0x90), 0xDE, 0xDF])


def _whole_size(lead: int) -> int:
    """Return the bytes of a value that its first byte decides, that byte included; 0 if there is more to look at."""
    if lead <= 0x7F or lead >= 0xE0 or lead in (0xC0, 0xC2, 0xC3):  # small integers, nil, false, true
        return 1
    if 0xA0 <= lead < 0xC0:  # a string of up to 31 bytes
        return 1 + lead - 0xA0
    return 1 + _INTEGER_BYTES[lead] if lead in _INTEGER_BYTES else {0xCA: 5, 0xCB: 9}.get(lead, 0)  # floats


_WHOLE_SIZES = tuple(map(_whole_size, range(256)))


class ScanError(ValueError):
    """The bytes are not one MessagePack value, or not one that is allowed; the text completes "The frame ..."."""


def scan(frame: bytes) -> None:
    """Check that a frame is exactly one MessagePack value within the limits. Raises ScanError and nothing else."""
    try:
        end = _Scan(frame).value(0, 0)
    except IndexError:
        end = len(frame) + 1
    if end > len(frame):
        raise ScanError("ends in the middle of a value")
    if end < len(frame):
        raise ScanError(f"has {len(frame) - end} bytes after its value")


class _Scan:
    """Each method is given a place in the frame and returns the one after what it checked.

    A place behind the end is found out by the next access, an IndexError, or by the last comparison.
    """

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self._num_items = 0
        self._num_containers = 0

    def value(self, at: int, depth: int) -> int:
        size = _WHOLE_SIZES[self._frame[at]]
        return at + size if size else self._sized(at, depth)

    def _sized(self, at: int, depth: int) -> int:
        lead = self._frame[at]
        if lead in _LENGTH_BYTES:
            return self._end_of_bytes(at, _LENGTH_BYTES[lead])
        if lead in _EXTENSIONS:
            raise ScanError("has an extension type; there are none")
        if lead == _NEVER_USED:
            raise ScanError("has the byte 0xc1, which begins nothing")
        if depth == MAX_DEPTH:
            raise ScanError(f"is nested too deeply; {MAX_DEPTH} levels are allowed")
        if lead in _COUNT_BYTES:
            items_at = at + 1 + _COUNT_BYTES[lead]
            count = self._unsigned(at + 1, items_at)
        else:
            items_at, count = at + 1, lead & 0x0F
        return (self._map if lead in _MAPS else self._array)(items_at, count, depth + 1)

    def _array(self, at: int, count: int, depth: int) -> int:
        if count > MAX_ARRAY_ITEMS:
            raise ScanError(f"has an array of {count} items; at most {MAX_ARRAY_ITEMS} are allowed")
        self._announce(at, count)
        frame, sizes = self._frame, _WHOLE_SIZES
        for _ in range(count):  # the loop that large messages spend their time in
            size = sizes[frame[at]]
            at = at + size if size else self._sized(at, depth)
        return at

    def _map(self, at: int, count: int, depth: int) -> int:
        if count > MAX_MAP_ENTRIES:
            raise ScanError(f"has a map of {count} entries; at most {MAX_MAP_ENTRIES} are allowed")
        self._announce(at, 2 * count)
        frame, sizes = self._frame, _WHOLE_SIZES
        keys: set[bytes | int] = set()
        for _ in range(count):
            lead = frame[at]
            if 0xA0 <= lead < 0xC0:  # nearly every key is a short string
                value_at = at + sizes[lead]
                key: bytes | int = frame[at + 1 : value_at]
            else:
                value_at = self.value(at, depth)
                key = self._unusual_key(at, value_at)
            if key in keys:
                raise ScanError("has the same key twice in a map")
            keys.add(key)
            size = sizes[frame[value_at]]
            at = value_at + size if size else self._sized(value_at, depth)
        return at

    def _announce(self, at: int, count: int) -> None:
        """Count a container and its items before these are looked at; each has a byte at least."""
        self._num_containers += 1
        if self._num_containers > MAX_CONTAINERS:
            raise ScanError(f"has more than {MAX_CONTAINERS} maps and arrays")
        self._num_items += count
        if self._num_items > MAX_ITEMS:
            raise ScanError(f"has more than {MAX_ITEMS} items in all")
        if count > len(self._frame) - at:
            raise IndexError

    def _unusual_key(self, at: int, end: int) -> bytes | int:
        """Return what a key says, however it is written."""
        lead = self._frame[at]
        if lead in _STRING_LENGTH_BYTES:
            text_at = at + 1 + _STRING_LENGTH_BYTES[lead]
            if end - text_at > MAX_KEY_BYTES:
                raise ScanError(f"has a key of {end - text_at} bytes; at most {MAX_KEY_BYTES} are allowed")
            return self._frame[text_at:end]
        if lead in _INTEGER_BYTES:
            return int.from_bytes(self._frame[at + 1 : end], "big", signed=lead in _SIGNED)
        if lead <= 0x7F:
            return lead
        if lead >= 0xE0:
            return lead - 0x100
        raise ScanError("has a map with a key that is neither a string nor an integer")

    def _end_of_bytes(self, at: int, num_length_bytes: int) -> int:
        start = at + 1 + num_length_bytes
        return start + self._unsigned(at + 1, start)

    def _unsigned(self, start: int, end: int) -> int:
        if end > len(self._frame):
            raise IndexError
        return int.from_bytes(self._frame[start:end], "big")
