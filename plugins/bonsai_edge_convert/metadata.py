"""GGUF metadata with the types that it is stored in, and the file `gguf.json` that keeps it beside an MLX pack."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from gguf import GGUFValueType

from bonsai_edge.errors import MalformedModelError, UnsupportedModelError
from bonsai_edge.formats.gguf import MetadataValue

SIDECAR = "gguf.json"

_INTEGER_BITS = {
    GGUFValueType.UINT8: (False, 8),
    GGUFValueType.INT8: (True, 8),
    GGUFValueType.UINT16: (False, 16),
    GGUFValueType.INT16: (True, 16),
    GGUFValueType.UINT32: (False, 32),
    GGUFValueType.INT32: (True, 32),
    GGUFValueType.UINT64: (False, 64),
    GGUFValueType.INT64: (True, 64),
}


@dataclass(frozen=True)
class TypedValue:
    """A metadata value: bool, int, float, str, or a list of one of them, whose type is `element_type`."""

    type: GGUFValueType
    value: Any
    element_type: GGUFValueType | None = None


Metadata: TypeAlias = dict[str, TypedValue]
"""Keys in the order of the file."""


def string(value: str) -> TypedValue:
    """Return a text."""
    return TypedValue(GGUFValueType.STRING, value)


def uint32(value: int) -> TypedValue:
    """Return an unsigned integer."""
    return TypedValue(GGUFValueType.UINT32, value)


def float32(value: float) -> TypedValue:
    """Return a number, rounded to float32."""
    return TypedValue(GGUFValueType.FLOAT32, float(np.float32(value)))


def boolean(value: bool) -> TypedValue:
    """Return true or false."""
    return TypedValue(GGUFValueType.BOOL, value)


def array(value: list[Any], element_type: GGUFValueType) -> TypedValue:
    """Return a list."""
    return TypedValue(GGUFValueType.ARRAY, value, element_type)


def shortest(value: float) -> float:
    """Return the number of fewest digits that is the same in float32: 1e-06 rather than 9.999999974752427e-07."""
    return float(str(np.float32(value)))


def untyped(metadata: Metadata) -> dict[str, MetadataValue]:
    """Return the values as core's GGUF reader returns them."""
    return {
        key: np.array(typed.value) if isinstance(typed.value, list) and _is_numeric(typed) else typed.value
        for key, typed in metadata.items()
    }


def _is_numeric(typed: TypedValue) -> bool:
    return typed.element_type is not GGUFValueType.STRING


class _Entry(msgspec.Struct, omit_defaults=True):
    key: str
    type: str = ""
    element_type: str | None = None
    value: Any = msgspec.UNSET


class _Sidecar(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[_Entry]
    tensors: list[str]


def write_sidecar(path: Path, metadata: Metadata, tensor_names: list[str], derived: Metadata) -> None:
    """Write what the other files of a pack do not say: order and types of the keys, and the values not in `derived`.

    `derived` is what the other files give; so nothing stands in two places. Raises UnsupportedModelError for numbers
    that JSON does not have.
    """
    entries = []
    for key, typed in metadata.items():
        for value in typed.value if isinstance(typed.value, list) else [typed.value]:
            if isinstance(value, float) and not math.isfinite(value):
                raise UnsupportedModelError(
                    f"Key {key!r} holds {value}, which JSON cannot hold.", "Remove the key from the GGUF file."
                )
        if derived.get(key) == typed:
            entries.append(_Entry(key))
        else:
            element_type = None if typed.element_type is None else typed.element_type.name
            entries.append(_Entry(key, typed.type.name, element_type, typed.value))
    encoded = msgspec.json.encode(_Sidecar(entries, tensor_names))
    path.write_bytes(msgspec.json.format(encoded, indent=1))


def read_sidecar(path: Path, derived: Metadata) -> tuple[Metadata, list[str]]:
    """Return metadata and tensor names as they were in the GGUF file that `path` was written for.

    Raises MalformedModelError for anything that `write_sidecar` would not write.
    """
    try:
        sidecar = msgspec.json.decode(path.read_bytes(), type=_Sidecar)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _malformed(path, str(exc)) from exc
    metadata: Metadata = {}
    for entry in sidecar.keys:
        if entry.key in metadata:
            raise _malformed(path, f"the key {entry.key!r} is repeated")
        metadata[entry.key] = _typed(path, entry, derived)
    return metadata, sidecar.tensors


def _typed(path: Path, entry: _Entry, derived: Mapping[str, TypedValue]) -> TypedValue:
    if entry.value is msgspec.UNSET:
        if entry.key not in derived:
            raise _malformed(path, f"the key {entry.key!r} has no value here nor in the pack's other files")
        return derived[entry.key]
    names = GGUFValueType.__members__
    if entry.type not in names or (entry.element_type is not None and entry.element_type not in names):
        raise _malformed(path, f"the key {entry.key!r} has an unknown type")
    element_type = None if entry.element_type is None else GGUFValueType[entry.element_type]
    typed = TypedValue(GGUFValueType[entry.type], entry.value, element_type)
    if not _is_sound(typed):
        raise _malformed(path, f"the value of {entry.key!r} is not of its type {entry.type}")
    return typed


def _is_sound(typed: TypedValue) -> bool:
    if typed.type is GGUFValueType.ARRAY:
        element_type = typed.element_type
        return (
            isinstance(typed.value, list)
            and element_type not in (None, GGUFValueType.ARRAY)
            and all(_is_sound(TypedValue(element_type, value)) for value in typed.value)
        )
    if typed.type is GGUFValueType.STRING:
        return isinstance(typed.value, str)
    if typed.type is GGUFValueType.BOOL:
        return isinstance(typed.value, bool)
    if typed.type in (GGUFValueType.FLOAT32, GGUFValueType.FLOAT64):
        return isinstance(typed.value, float)
    signed, bits = _INTEGER_BITS[typed.type]
    least = -(1 << (bits - 1)) if signed else 0
    return type(typed.value) is int and least <= typed.value < least + (1 << bits)


def _malformed(path: Path, what: str) -> MalformedModelError:
    return MalformedModelError(
        f"{path} cannot be used: {what}.", "Delete it to convert without it, or convert the GGUF file again."
    )
