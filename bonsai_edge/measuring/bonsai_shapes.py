"""The shapes of the published Bonsai models, to tell how they would run where their files are not.

Hyper-parameters as the headers of the files in the repositories `prism-ml/Bonsai-*-gguf` have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.model_spec import ModelSpec, YarnScaling

VOCAB_SIZE = 151669  # rows of the published files; their model cards say 151,936, which is the padded size of Qwen3


@dataclass(frozen=True)
class BonsaiShape:
    """A published model and the size of its file."""

    spec: ModelSpec
    file_bytes: int

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint without tensors, enough to plan its memory."""
        return Checkpoint(Path(f"{self.spec.name}.gguf"), self.file_bytes, self.spec, {}, {})


def _shape(
    name: str,
    file_bytes: int,
    *,
    layers: int,
    hidden: int,
    intermediate: int,
    heads: int,
    context: int,
    rope_base: float = 1e6,
    tied: bool = True,
) -> BonsaiShape:
    spec = ModelSpec(
        name=name,
        architecture="qwen3",
        num_layers=layers,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_heads=heads,
        num_kv_heads=8,
        head_dim=128,
        vocab_size=VOCAB_SIZE,
        context_length=context,
        rms_norm_eps=1e-6,
        rope_base=rope_base,
        yarn=YarnScaling(factor=4.0, original_context_length=context // 4),
        tied_embeddings=tied,
    )
    return BonsaiShape(spec, file_bytes)


BONSAI_1_7B = _shape("bonsai-1.7b", 248_302_272, layers=28, hidden=2048, intermediate=6144, heads=16, context=32768)
BONSAI_4B = _shape(
    "bonsai-4b", 572_270_624, layers=36, hidden=2560, intermediate=9728, heads=32, context=32768, rope_base=5e6
)
BONSAI_8B = _shape(
    "bonsai-8b", 1_158_654_496, layers=36, hidden=4096, intermediate=12288, heads=32, context=65536, tied=False
)
BONSAI_SHAPES = (BONSAI_1_7B, BONSAI_4B, BONSAI_8B)
