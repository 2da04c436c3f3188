"""Writes a model again with its weights expanded to float32, so that llama.cpp runs it without quantized kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from bonsai_edge.formats.gguf import GGUFFile

_ALL_F32 = 0  # llama.cpp's LLAMA_FTYPE_ALL_F32


def write_dequantized(source: Path, path: Path) -> Path:
    """Write `source` with float32 weights to `path`, metadata carried over; holds one tensor in memory at a time."""
    fields = GGUFReader(source).fields
    tensors = GGUFFile(source).tensors.values()
    writer = GGUFWriter(path, fields["general.architecture"].contents())
    for name, field in fields.items():
        if not name.startswith("GGUF.") and name not in ("general.architecture", "general.file_type"):
            element_type = field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], element_type)
    writer.add_file_type(_ALL_F32)
    for tensor in tensors:
        shape = [tensor.num_columns] if tensor.num_rows == 1 else [tensor.num_rows, tensor.num_columns]
        num_bytes = 4 * tensor.num_rows * tensor.num_columns
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), num_bytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(tensor.dequantize())
    writer.close()
    return path
