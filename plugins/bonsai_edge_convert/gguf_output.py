"""Writes a GGUF file tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter

from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge_convert.metadata import Metadata


@dataclass(frozen=True)
class TensorInfo:
    """A tensor to be written; a vector has one row."""

    name: str
    ggml_type: GGMLType
    num_rows: int
    num_columns: int

    @property
    def num_bytes(self) -> int:
        """Bytes in the file, without padding."""
        return self.num_rows * self.ggml_type.row_bytes(self.num_columns)


def write_gguf(
    path: Path, metadata: Metadata, infos: list[TensorInfo], tensors: Iterator[npt.NDArray[np.uint8]]
) -> None:
    """Write the metadata and then each tensor, uint8 (num_rows, row_bytes), as `tensors` yields it for its info.

    Raises UnsupportedModelError for empty lists, which the gguf library cannot write, and for odd alignments.
    """
    writer = GGUFWriter(path, "qwen3")
    for key, typed in metadata.items():
        if typed.value == []:
            raise UnsupportedModelError(f"Key {key!r} holds an empty list.", "Leave the key out of the source.")
        writer.kv_data[0].pop(key, None)  # the writer puts the architecture first by itself
        writer.add_key_value(key, typed.value, typed.type, typed.element_type)
    if "general.alignment" in metadata:
        writer.data_alignment = _alignment(metadata["general.alignment"].value)
    for info in infos:
        if info.num_rows == 1 and info.ggml_type is GGMLType.F32:
            writer.add_tensor_info(info.name, [info.num_columns], np.dtype(np.float32), info.num_bytes)
        else:
            shape = (info.num_rows, info.ggml_type.row_bytes(info.num_columns))
            kind = GGMLQuantizationType(info.ggml_type)
            writer.add_tensor_info(info.name, shape, np.dtype(np.uint8), info.num_bytes, kind)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors:
            writer.write_tensor_data(tensor)
    finally:
        writer.close()


def _alignment(value: Any) -> int:
    if type(value) is not int or not 8 <= value <= 1 << 16 or value & (value - 1):
        raise UnsupportedModelError(
            f"general.alignment is {value!r}; supported is a power of two from 8 to 65536.", "Leave the key out."
        )
    return value
