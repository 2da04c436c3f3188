"""Amounts of memory as people write them."""

from __future__ import annotations

import re

from bonsai_edge.errors import InvalidRequestError

MIB = 1 << 20

_SIZE = re.compile(r"(\d{1,18}|\d{0,18}\.\d{1,18})\s*(?:([kmgt])(i?b)?|b)?", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(size: str | int) -> int:
    """Return bytes: "1.5GiB" and "1.5G" are 1.5 * 1024³, "800MB" is 800 * 1000², a plain number is bytes.

    Upper and lower case are alike. Raises InvalidRequestError.
    """
    match = _SIZE.fullmatch(str(size).strip())
    num_bytes = 0
    if match:
        number, prefix, suffix = match.groups()
        base = 1000 if (suffix or "").lower() == "b" else 1024
        num_bytes = int(float(number) * base ** _POWERS[prefix.lower()]) if prefix else int(float(number))
    if num_bytes < 1:
        raise InvalidRequestError(
            f"{str(size)[:40]!r} is not an amount of memory.", "Write it as 1.5GiB, 1.5G, 800MB, or a number of bytes."
        )
    return num_bytes
