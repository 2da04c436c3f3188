"""A model file as the rest of the package sees it: a checked `ModelSpec`, named tensors, and the raw metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats import qwen3
from bonsai_edge.formats.gguf import GGUFFile, MetadataValue
from bonsai_edge.formats.metadata import require_string
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.model_spec import ModelSpec

_ARCHITECTURES = {"qwen3": qwen3.read_spec}


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a backend needs to run a model.

    Tensor names are GGUF's (`blk.0.attn_q.weight`); every tensor that the spec implies is present with its shape.
    """

    path: Path
    num_bytes: int
    spec: ModelSpec
    metadata: Mapping[str, MetadataValue]
    tensors: Mapping[str, QuantizedTensor]


def open_checkpoint(path: Path, *, in_memory: bool = False) -> Checkpoint:
    """Map a GGUF file, or copy it into memory, and check that this package can run it.

    Raises ModelNotFoundError, MalformedModelError or UnsupportedModelError; maps a file without reading its weights.
    """
    file = GGUFFile(path, in_memory=in_memory)
    architecture = require_string(file.metadata, "general.architecture", path)
    if architecture not in _ARCHITECTURES:
        raise UnsupportedModelError(
            f"{path} has the architecture {architecture!r}; supported is {', '.join(_ARCHITECTURES)}.",
            "Use a Qwen3-based model, such as Bonsai 1.7B, 4B or 8B.",
        )
    spec = _ARCHITECTURES[architecture](file)
    return Checkpoint(path, file.num_bytes, spec, file.metadata, file.tensors)
