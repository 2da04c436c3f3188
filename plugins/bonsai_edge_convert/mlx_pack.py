"""MLX 1-bit packs: read as a source of GGUF tensors, and written from a GGUF file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge_convert.gguf_layout import GGUFLayout
from bonsai_edge_convert.names import in_file_order, module_name
from bonsai_edge_convert.q1_0 import AffineBits, BadGroupError, Packed, from_affine, to_affine
from bonsai_edge_convert.safetensors_files import SafetensorsWriter
from bonsai_edge_convert.tensor_source import Expected, TensorSource, bad_group, is_norm

_TensorTypes = dict[str, tuple[str, tuple[int, ...]]]


class PackSource(TensorSource):
    """Weights in MLX's affine form with 1 bit and groups of 128, scales in float16."""

    conversion: ClassVar[str] = "MLX pack to GGUF"
    norm_dtypes: ClassVar[tuple[str, ...]] = ("F16", "F32")

    def expected_matrix(self, module: str, num_rows: int, num_columns: int) -> dict[str, Expected]:
        """Expect words of bits, scales and biases."""
        groups = Expected((num_rows, num_columns // 128), ("F16",))
        words = Expected((num_rows, num_columns // 32), ("U32",))
        return {f"{module}.weight": words, f"{module}.scales": groups, f"{module}.biases": groups}

    def read_matrix(self, module: str) -> Packed:
        """Rearrange the same bits; raises UnsupportedModelError naming a group that has other than +s and -s."""
        words, scales, biases = (self.stored[f"{module}.{part}"] for part in ("weight", "scales", "biases"))
        try:
            return from_affine(AffineBits(words.read_rows(), scales.read_rows(), biases.read_rows()))
        except BadGroupError as exc:
            raise bad_group(scales, exc, 0, "Use a pack of a 1-bit model, such as Bonsai-*-mlx-1bit.") from exc


def require_q1_0(checkpoint: Checkpoint) -> None:
    """Raise UnsupportedModelError unless all matrices are Q1_0 and all norms F32, as in Bonsai files."""
    for name, tensor in checkpoint.tensors.items():
        expected = GGMLType.F32 if is_norm(name) else GGMLType.Q1_0
        if tensor.ggml_type is not expected:
            raise UnsupportedModelError(
                f"Tensor {name!r} of {checkpoint.path} is {tensor.ggml_type.name}; a 1-bit MLX pack needs "
                f"{expected.name}.",
                "Use a Q1_0 file, such as the published Bonsai-*-Q1_0.gguf.",
            )


def write_pack_tensors(
    path: Path, checkpoint: Checkpoint, layout: GGUFLayout, progress: Callable[[int, int], None]
) -> None:
    """Write `model.safetensors`; norms become float16 where that holds them exactly, as in published packs."""
    tensors = checkpoint.tensors
    types: _TensorTypes = {}
    for name, tensor in tensors.items():
        types |= _norm_type(tensor) if is_norm(name) else _matrix_types(tensor)
    done_bytes, total_bytes = 0, sum(tensor.num_bytes for tensor in tensors.values())
    with SafetensorsWriter(path, types, {"format": "mlx"}) as writer:
        for name in in_file_order(tensors):
            if is_norm(name):
                _write_norm(writer, tensors[name], types)
            else:
                _write_matrix(writer, tensors[name], layout)
            done_bytes += tensors[name].num_bytes
            progress(done_bytes, total_bytes)


def _norm_type(tensor: QuantizedTensor) -> _TensorTypes:
    values = tensor.dequantize()[0]
    with np.errstate(over="ignore"):
        is_exact = np.array_equal(values.astype(np.float16).astype(np.float32), values)
    return {f"{module_name(tensor.name)}.weight": ("F16" if is_exact else "F32", (tensor.num_columns,))}


def _matrix_types(tensor: QuantizedTensor) -> _TensorTypes:
    module, num_rows, num_columns = module_name(tensor.name), tensor.num_rows, tensor.num_columns
    return {
        f"{module}.weight": ("U32", (num_rows, num_columns // 32)),
        f"{module}.scales": ("F16", (num_rows, num_columns // 128)),
        f"{module}.biases": ("F16", (num_rows, num_columns // 128)),
    }


def _write_norm(writer: SafetensorsWriter, tensor: QuantizedTensor, types: _TensorTypes) -> None:
    name = f"{module_name(tensor.name)}.weight"
    values = tensor.dequantize()[0]
    writer.write(name, values.astype("<f2" if types[name][0] == "F16" else "<f4"))


def _write_matrix(writer: SafetensorsWriter, tensor: QuantizedTensor, layout: GGUFLayout) -> None:
    module = module_name(tensor.name)
    try:
        bits = to_affine(layout.read(tensor))
    except BadGroupError as exc:
        raise UnsupportedModelError(
            f"Tensor {tensor.name!r} of {layout.path}, row {exc.row}, group {exc.group} {exc.what}.",
            "Use a file whose scales are below 32768.",
        ) from exc
    writer.write(f"{module}.weight", bits.words)
    writer.write(f"{module}.scales", bits.scales)
    writer.write(f"{module}.biases", bits.biases)
