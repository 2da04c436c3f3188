"""How the KV cache keeps keys and values: its pages, and its types with their arithmetic in plain NumPy.

The quantized types cost what llama.cpp's q8_0 and q4_0 cost: a float16 scale for every 32 values of a head.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bonsai_edge.errors import UnsupportedModelError

if TYPE_CHECKING:
    from bonsai_edge.model_spec import ModelSpec

PAGE_TOKENS = 32
"""Tokens in one page of the KV cache: small enough to waste little, large enough to stream."""

GROUP_VALUES = 32
"""Values of a head that share a scale in the quantized types."""

_SCALE_BITS = 16


class KVType(Enum):
    """What a key or value is stored as, from the most exact to the smallest.

    f16: float16. q8: round(x / s) in -127 … 127, where s is the largest magnitude of the group / 127, as float16.
    q4: s * (2n - 15), n in 0 … 15, where s is the largest magnitude of the group / 15, as float16.
    """

    F16 = "f16"
    Q8 = "q8"
    Q4 = "q4"

    @property
    def bits(self) -> int:
        """Bits of one value without its share of a scale."""
        return {KVType.F16: 16, KVType.Q8: 8, KVType.Q4: 4}[self]

    def num_bytes(self, num_values: int) -> int:
        """Bytes of that many values, whole groups of them, scales included."""
        num_scales = 0 if self is KVType.F16 else num_values // GROUP_VALUES
        return (num_values * self.bits + num_scales * _SCALE_BITS) // 8


def require_whole_groups(kv_type: KVType, spec: ModelSpec) -> None:
    """Raise UnsupportedModelError if the heads of a model do not divide into the groups of a quantized type."""
    if kv_type is not KVType.F16 and spec.head_dim % GROUP_VALUES:
        raise UnsupportedModelError(
            f"The heads of {spec.name} have {spec.head_dim} values, not a multiple of {GROUP_VALUES} as KV type "
            f"{kv_type.value} needs.",
            "Use the KV type f16.",
        )


def quantize(kv_type: KVType, x: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """Return codes int8 (..., head_dim) and scales float16 (..., head_dim / 32) of float32 x (..., head_dim).

    For the quantized types only. The code of q4 is n.
    """
    groups = x.reshape(*x.shape[:-1], -1, GROUP_VALUES)
    largest = np.float32(127 if kv_type is KVType.Q8 else 15)
    scales = (np.abs(groups).max(axis=-1) / largest).astype(np.float16)
    steps = groups / np.where(scales == 0, np.float32(1), scales.astype(np.float32))[..., None]
    levels, least, most = (steps, -127, 127) if kv_type is KVType.Q8 else ((steps + 15) / 2, 0, 15)
    codes = np.clip(np.rint(levels), least, most)
    return codes.astype(np.int8).reshape(x.shape), scales


def dequantize(
    kv_type: KVType, codes: npt.NDArray[np.int8], scales: npt.NDArray[np.float16]
) -> npt.NDArray[np.float32]:
    """Return float32 (..., head_dim) from what `quantize` returned."""
    steps = codes.astype(np.float32) if kv_type is KVType.Q8 else 2 * codes.astype(np.float32) - 15
    return steps * np.repeat(scales.astype(np.float32), GROUP_VALUES, axis=-1)


def round_to(kv_type: KVType, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what reading back gives after float32 x (..., head_dim) was stored; the oracle of the kernels."""
    if kv_type is KVType.F16:
        return x.astype(np.float16).astype(np.float32)
    return dequantize(kv_type, *quantize(kv_type, x))
