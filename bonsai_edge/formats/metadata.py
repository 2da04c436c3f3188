"""Typed access to GGUF metadata, with errors that name the key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from bonsai_edge.errors import MalformedModelError
from bonsai_edge.formats.gguf import MetadataValue

_CONVERT_AGAIN = "Convert the model again with a current converter."


def require_string(metadata: Mapping[str, MetadataValue], key: str, path: Path) -> str:
    """Return a text value; raise MalformedModelError if it is absent or not text."""
    value = metadata.get(key)
    if not isinstance(value, str):
        raise _wrong(path, key, "text", value)
    return value


def require_int(metadata: Mapping[str, MetadataValue], key: str, path: Path, least: int, most: int) -> int:
    """Return an integer within bounds; raise MalformedModelError otherwise."""
    value = metadata.get(key)
    if type(value) is not int or not least <= value <= most:
        raise _wrong(path, key, f"an integer from {least} to {most}", value)
    return value


def require_float(metadata: Mapping[str, MetadataValue], key: str, path: Path, least: float, most: float) -> float:
    """Return a finite number within bounds; raise MalformedModelError otherwise."""
    value = metadata.get(key)
    if not isinstance(value, float) or not math.isfinite(value) or not least <= value <= most:
        raise _wrong(path, key, f"a number from {least:g} to {most:g}", value)
    return value


def require_strings(metadata: Mapping[str, MetadataValue], key: str, path: Path) -> list[str]:
    """Return a list of texts; raise MalformedModelError if it is absent or something else."""
    value = metadata.get(key)
    if not isinstance(value, list):
        raise _wrong(path, key, "a list of texts", value)
    return value


def _wrong(path: Path, key: str, expected: str, found: MetadataValue | None) -> MalformedModelError:
    shown = "nothing" if found is None else repr(found)[:80]
    return MalformedModelError(f"Key {key!r} of {path} should hold {expected}; found {shown}.", _CONVERT_AGAIN)
