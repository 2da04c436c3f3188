"""1-bit weights in a GPU's buffers: the signs as they stand in the file, the scales beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge_webgpu.gpu import Buffer, Gpu

_SIGN_BYTES = 16  # of a block, after its scale


@dataclass(frozen=True)
class SignMatrix:
    """A Q1_0 matrix: signs, 16 bytes a block, and its scales, float16; `num_blocks` of 128 columns in a row."""

    signs: Buffer
    scales: Buffer
    num_rows: int
    num_blocks: int


def upload_matrices(gpu: Gpu, tensors: Sequence[QuantizedTensor]) -> SignMatrix:
    """Copy matrices of equal width to the GPU as one, below one another, so that one product serves them all.

    Raises UnsupportedModelError for other types than Q1_0 and for what is too large for a buffer of this GPU.
    """
    for tensor in tensors:
        if tensor.ggml_type is not GGMLType.Q1_0:
            raise UnsupportedModelError(
                f"Tensor {tensor.name!r} is {tensor.ggml_type.name}; the backend 'webgpu' computes with Q1_0 alone.",
                "Use a Q1_0 file, such as the published Bonsai-*-Q1_0.gguf, or another backend.",
            )
    num_rows = sum(tensor.num_rows for tensor in tensors)
    num_blocks = tensors[0].num_columns // GGMLType.Q1_0.block_elements
    require_room(gpu, tensors[0].name, num_rows * num_blocks * _SIGN_BYTES)
    blocks = np.concatenate([tensor.packed for tensor in tensors]).reshape(num_rows * num_blocks, -1)
    scales = np.zeros(num_rows * num_blocks + num_rows * num_blocks % 2, "<f2")  # kernels read two at a time
    scales[: len(blocks)] = np.ascontiguousarray(blocks[:, :2]).view("<f2")[:, 0]
    signs = np.ascontiguousarray(blocks[:, 2:])
    return SignMatrix(gpu.upload(signs), gpu.upload(scales), num_rows, num_blocks)


def upload_vectors(gpu: Gpu, *tensors: QuantizedTensor) -> Buffer:
    """Copy tensors of one row to the GPU as float32, behind one another."""
    return gpu.upload(np.concatenate([tensor.dequantize()[0] for tensor in tensors]))


def require_room(gpu: Gpu, what: str, num_bytes: int) -> None:
    """Raise UnsupportedModelError if a buffer would be larger than this GPU's may be."""
    if num_bytes > gpu.most_buffer_bytes:
        raise UnsupportedModelError(
            f"{what} takes {num_bytes:,} bytes, and a buffer of this GPU holds {gpu.most_buffer_bytes:,}.",
            "Use a smaller model or context, or another backend.",
        )
