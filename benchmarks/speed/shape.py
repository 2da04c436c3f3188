"""Reads the sizes of a model that its limits follow from."""

from __future__ import annotations

from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.profiling.roofline import weight_bytes_per_token
from speed.results import Shape


def read_shape(name: str, checkpoint: Checkpoint) -> Shape:
    """Return the sizes that limits follow from."""
    matrices = (
        tensor.num_rows * tensor.num_columns
        for tensor_name, tensor in checkpoint.tensors.items()
        if tensor.num_rows > 1 and tensor_name not in ("token_embd.weight", "output.weight")
    )
    return Shape(
        name=name,
        file_bytes=checkpoint.num_bytes,
        weight_bytes=weight_bytes_per_token(checkpoint),
        kv_bytes=checkpoint.spec.kv_bytes_per_token(),
        prompt_macs=sum(matrices),
    )
