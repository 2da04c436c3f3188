"""Rotary position embedding (RoPE, arXiv:2104.09864) with YaRN scaling (arXiv:2309.00071) as llama.cpp computes it.

The scaling is static: it depends on the model file alone, never on the context that is in use.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bonsai_edge.model_spec import ModelSpec

_BETA_FAST = 32.0  # rotations over the original context above which a frequency is kept (llama.cpp's default)
_BETA_SLOW = 1.0  # rotations below which it is divided by the factor


class Rope:
    """Cosines and sines of one model.

    inverse_frequencies: float64 (head_dim // 2,), radians a position. `magnitude` multiplies cosines and sines alike.
    """

    def __init__(self, spec: ModelSpec) -> None:
        head_dim = spec.head_dim
        self.inverse_frequencies = spec.rope_base ** (-2.0 * np.arange(head_dim // 2) / head_dim)
        self.magnitude = 1.0
        if spec.yarn is None:
            return
        yarn = spec.yarn
        low, high = correction_range(head_dim, spec.rope_base, yarn.original_context_length)
        progress = (np.arange(head_dim // 2) - low) / max(0.001, high - low)
        kept = 1.0 - np.clip(progress, 0.0, 1.0)
        self.inverse_frequencies *= (1.0 - kept) / yarn.factor + kept
        self.magnitude = yarn.attention_factor * (1.0 + 0.1 * math.log(yarn.factor))

    def cos_sin(self, positions: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return cosines and sines, float32 (num_rows, head_dim // 2) each, computed in float64 and rounded once."""
        angles = positions[:, None].astype(np.float64) * self.inverse_frequencies
        return (np.cos(angles) * self.magnitude).astype(np.float32), (np.sin(angles) * self.magnitude).astype(
            np.float32
        )

    def move(self, keys: npt.NDArray[np.float32], num_positions: int) -> npt.NDArray[np.float32]:
        """Return rotated keys, float32 (..., head_dim), as they are so many positions further on, or back if negative.

        Without the magnitude, which they have already.
        """
        return rotate(keys, *self.distance_cos_sin(num_positions))

    def distance_cos_sin(self, num_positions: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return cosines and sines, float32 (head_dim // 2,) each, that move keys so many positions; no magnitude."""
        angles = num_positions * self.inverse_frequencies
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rotate(
    x: npt.NDArray[np.float32], cos: npt.NDArray[np.float32], sin: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Rotate x (..., head_dim), pairing element i with i + head_dim / 2 as NeoX does; cos, sin (..., head_dim // 2)."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def correction_range(head_dim: int, base: float, original_context_length: int) -> tuple[float, float]:
    """Return the pair indices between which YaRN passes from kept to divided frequencies."""

    def pair_index(rotations: float) -> float:
        return head_dim * math.log(original_context_length / (rotations * 2 * math.pi)) / (2 * math.log(base))

    low = max(0.0, math.floor(pair_index(_BETA_FAST)))
    high = min(head_dim - 1.0, math.ceil(pair_index(_BETA_SLOW)))
    return low, high
