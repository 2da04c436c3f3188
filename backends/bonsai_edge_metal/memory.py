"""What the backend takes of unified memory, and what Metal recommends at most."""

from __future__ import annotations

import mlx.core as mx

from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.qwen3 import tensor_shapes
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.memory.size import MIB
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge.progress import progress

MAX_BATCH_ROWS = 256

_FLOAT_BYTES = 4  # of a value of the residual stream and of a norm's weight


def default_dtype() -> mx.Dtype:
    """Return float16 for a GPU; on a CPU MLX would also accumulate in it, so float32 there."""
    return mx.float16 if mx.metal.is_available() else mx.float32


def added_weight_bytes(spec: ModelSpec) -> int:
    """Return what MLX's form of a 1-bit model takes beyond the file's: wider scales, and a bias for each."""
    num_weights = sum(rows * columns for rows, columns in tensor_shapes(spec).values() if rows > 1)
    num_blocks = num_weights // GGMLType.Q1_0.block_elements
    return num_blocks * (2 * default_dtype().size - 2)


def step_bytes(spec: ModelSpec, sequences: int) -> int:
    """Return the bytes of the arrays that a step of the most rows makes: the widest are alive two at a time."""
    widest = max(2 * spec.intermediate_size, spec.attention_size + 2 * spec.kv_size, spec.hidden_size)
    row_values = 2 * widest + 2 * spec.hidden_size
    return (MAX_BATCH_ROWS * row_values + sequences * spec.vocab_size) * _FLOAT_BYTES


def warn_of_a_small_working_set(plan: MemoryPlan, name: str) -> None:
    """Say it if a model takes more than Metal recommends a process to use, beyond which macOS pages it out and in."""
    recommended = mx.device_info().get("max_recommended_working_set_size")  # absent where there is no GPU
    needed = plan.weight_bytes + plan.kv_cache_bytes + plan.scratch_bytes
    if isinstance(recommended, int) and needed > recommended:
        progress.warning(
            "%s needs %s MiB and Metal recommends %s MiB at most: it may be slow. Choose a smaller context, or raise "
            "the limit: sudo sysctl iogpu.wired_limit_mb=%d",
            name,
            f"{needed // MIB:,}",
            f"{recommended // MIB:,}",
            -(-needed // MIB) + 512,
        )
