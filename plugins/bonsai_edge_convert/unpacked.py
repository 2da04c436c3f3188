"""Unpacked Hugging Face checkpoints: packed without loss if they hold 1-bit weights, else quantized on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.ggml_types import GGMLType, dequantize
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_convert.q1_0 import BadGroupError, Packed, pack_signs, pack_two_valued
from bonsai_edge_convert.safetensors_files import StoredTensor
from bonsai_edge_convert.tensor_source import Expected, TensorSource, bad_group

_CHUNK_ELEMENTS = 1 << 23  # weights that are expanded to float32 at a time: 32 MiB
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


@dataclass(frozen=True)
class TensorError:
    """What quantization cost one tensor: the Frobenius norm of the difference, relative to the tensor's own."""

    name: str
    relative_error: float


class UnpackedSource(TensorSource):
    """Weights in F16, BF16 or F32 whose groups of 128 hold +s and -s only."""

    conversion: ClassVar[str] = "unpacked checkpoint to GGUF"
    norm_dtypes: ClassVar[tuple[str, ...]] = ("F16", "BF16", "F32")

    def __init__(self, directory: Path, spec: ModelSpec, stored: Mapping[str, StoredTensor]) -> None:
        if spec.tied_embeddings and _HEAD in stored:
            stored = _without_tied_head(stored)
        super().__init__(directory, spec, stored)

    def expected_matrix(self, module: str, num_rows: int, num_columns: int) -> dict[str, Expected]:
        """Expect one tensor."""
        return {f"{module}.weight": Expected((num_rows, num_columns), ("F16", "BF16", "F32"))}

    def read_matrix(self, module: str) -> Packed:
        """Pack without loss; raises UnsupportedModelError naming the first group that holds anything else."""
        return _pack(
            self.stored[f"{module}.weight"],
            pack_two_valued,
            "Use the weights of a 1-bit model, or --quantize to round them to 1 bit, at a high cost in quality.",
        )


class QuantizedSource(UnpackedSource):
    """Any weights, rounded to signs; `errors` has one entry for each matrix that was read."""

    conversion: ClassVar[str] = "checkpoint quantized to GGUF"

    def __init__(self, directory: Path, spec: ModelSpec, stored: Mapping[str, StoredTensor]) -> None:
        super().__init__(directory, spec, stored)
        self.errors: list[TensorError] = []

    def read_matrix(self, module: str) -> Packed:
        """Quantize, and note what it cost."""
        tensor = self.stored[f"{module}.weight"]
        difference, norm = 0.0, 0.0

        def quantize(weights: npt.NDArray[np.float32]) -> Packed:
            nonlocal difference, norm
            packed = pack_signs(weights)
            difference += _sum_of_squares(weights - dequantize(packed, GGMLType.Q1_0))
            norm += _sum_of_squares(weights)
            return packed

        packed = _pack(tensor, quantize, "Use a checkpoint whose weights are finite and within the range of float16.")
        self.errors.append(TensorError(tensor.name, float(np.sqrt(difference / norm)) if norm else 0.0))
        return packed


def _pack(tensor: StoredTensor, pack: Callable[[npt.NDArray[np.float32]], Packed], remedy: str) -> Packed:
    num_rows, num_columns = tensor.shape
    rows_at_once = max(1, _CHUNK_ELEMENTS // num_columns)
    packed = np.empty((num_rows, GGMLType.Q1_0.row_bytes(num_columns)), np.uint8)
    for start in range(0, num_rows, rows_at_once):
        stop = min(start + rows_at_once, num_rows)
        try:
            packed[start:stop] = pack(tensor.read_float32(start, stop))
        except BadGroupError as exc:
            raise bad_group(tensor, exc, start, remedy) from exc
    return packed


def _sum_of_squares(values: npt.NDArray[np.float32]) -> float:
    return float(np.square(values, dtype=np.float64).sum())


def _without_tied_head(stored: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Drop an output matrix that repeats the embedding, as some published checkpoints with tied embeddings have it."""
    others = dict(stored)
    head = others.pop(_HEAD)
    embedding = stored.get(_EMBEDDING)
    if embedding is None or (head.shape, head.dtype) != (embedding.shape, embedding.dtype) or len(head.shape) != 2:
        raise _untied(head)
    rows_at_once = max(1, _CHUNK_ELEMENTS // head.shape[1])
    for start in range(0, head.shape[0], rows_at_once):
        stop = min(start + rows_at_once, head.shape[0])
        if head.read_rows(start, stop).tobytes() != embedding.read_rows(start, stop).tobytes():
            raise _untied(head)
    return others


def _untied(head: StoredTensor) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"Tensor {head.name!r} of {head.path} differs from the embedding, although config.json ties them.",
        "Set tie_word_embeddings to false if the tensor is to be used, or remove it.",
    )
