"""Where things lie in a GGUF file and in which types: what core's reader, which wants values only, does not keep.

Reads a file that core has checked already, and therefore checks nothing itself. The weights are then read with plain
reads, because touched pages of a memory map count as this process's memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from gguf import GGUFValueType

from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge_convert.metadata import Metadata, TypedValue

_SCALAR_BYTES = {
    GGUFValueType.UINT8: 1,
    GGUFValueType.INT8: 1,
    GGUFValueType.BOOL: 1,
    GGUFValueType.UINT16: 2,
    GGUFValueType.INT16: 2,
    GGUFValueType.UINT32: 4,
    GGUFValueType.INT32: 4,
    GGUFValueType.FLOAT32: 4,
    GGUFValueType.UINT64: 8,
    GGUFValueType.INT64: 8,
    GGUFValueType.FLOAT64: 8,
}


@dataclass(frozen=True)
class GGUFLayout:
    """The metadata with its types, and where each tensor begins in the file, in the order of the file."""

    path: Path
    metadata: Metadata
    offsets: dict[str, int]

    def read(self, tensor: QuantizedTensor) -> npt.NDArray[np.uint8]:
        """Return a tensor's bytes as a new array, uint8 (num_rows, row_bytes)."""
        flat = np.fromfile(self.path, np.uint8, tensor.num_bytes, offset=self.offsets[tensor.name])
        return flat.reshape(tensor.packed.shape)


def read_layout(checkpoint: Checkpoint) -> GGUFLayout:
    """Walk through the header of the checkpoint's file."""
    metadata: Metadata = {}
    offsets: dict[str, int] = {}
    with checkpoint.path.open("rb") as file:
        file.seek(8)  # magic, version
        num_tensors, num_keys = struct.unpack("<QQ", file.read(16))
        for _ in range(num_keys):
            key = _string(file).decode()
            value_type, element_type = _skip_value(file)
            value = checkpoint.metadata[key]
            if isinstance(value, np.ndarray):
                value = value.tolist()
            metadata[key] = TypedValue(value_type, value, element_type)
        for _ in range(num_tensors):
            name = _string(file).decode()
            (num_dimensions,) = struct.unpack("<I", file.read(4))
            file.seek(8 * num_dimensions + 4, 1)  # dimensions, type
            (offsets[name],) = struct.unpack("<Q", file.read(8))
        alignment: Any = checkpoint.metadata.get("general.alignment", 32)  # checked by core
        data_start = file.tell() + -file.tell() % alignment
    return GGUFLayout(checkpoint.path, metadata, {name: data_start + offset for name, offset in offsets.items()})


def _string(file: BinaryIO) -> bytes:
    (length,) = struct.unpack("<Q", file.read(8))
    return file.read(length)


def _skip_value(file: BinaryIO) -> tuple[GGUFValueType, GGUFValueType | None]:
    value_type = GGUFValueType(*struct.unpack("<I", file.read(4)))
    if value_type is not GGUFValueType.ARRAY:
        _skip(file, value_type, 1)
        return value_type, None
    element_type, count = struct.unpack("<IQ", file.read(12))
    _skip(file, GGUFValueType(element_type), count)
    return value_type, GGUFValueType(element_type)


def _skip(file: BinaryIO, value_type: GGUFValueType, count: int) -> None:
    if value_type is not GGUFValueType.STRING:
        file.seek(_SCALAR_BYTES[value_type] * count, 1)
        return
    for _ in range(count):
        _string(file)
