"""The memory of the KV pages in MLX arrays: one plane for the keys and one for the values of each layer.

A plane has a slot for each token, slot = page * PAGE_TOKENS + position within the page, so that pages that follow one
another can be attended to where they lie. A slot holds all KV heads: as float16, or as codes and scales as
`bonsai_edge.kv_cache.KVType` defines them; a byte of q4 holds column i of a group in its lower half and column i + 16
in its upper one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from bonsai_edge.kv_cache import GROUP_VALUES, PAGE_TOKENS, KVType, require_whole_groups
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_metal.compilation import fused

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Slots = slice | mx.array


class Plane(ABC):
    """Keys or values of one layer; MLX writes into `arrays`, whose first axis is the slot, where they lie."""

    arrays: list[mx.array]

    @abstractmethod
    def store(self, slots: Slots, x: mx.array) -> None:
        """Round x (num_slots, num_kv_heads, head_dim) to the KV type and keep it."""

    @abstractmethod
    def load(self, slots: Slots, dtype: mx.Dtype) -> mx.array:
        """Return (num_slots, num_kv_heads, head_dim)."""


class HalfPlane(Plane):
    """A plane of float16."""

    def __init__(self, num_slots: int, spec: ModelSpec) -> None:
        self.arrays = [mx.zeros((num_slots, spec.num_kv_heads, spec.head_dim), mx.float16)]

    def store(self, slots: Slots, x: mx.array) -> None:
        """Keep float16; see `Plane.store`."""
        self.arrays[0][slots] = x.astype(mx.float16)

    def load(self, slots: Slots, dtype: mx.Dtype) -> mx.array:
        """Return the values, not copied where slots are a slice and the dtype is float16; see `Plane.load`."""
        return self.arrays[0][slots].astype(dtype)


class Q8Plane(Plane):
    """A plane of int8 codes and float16 scales."""

    def __init__(self, num_slots: int, spec: ModelSpec) -> None:
        shape = (num_slots, spec.num_kv_heads)
        self.arrays = [
            mx.zeros((*shape, spec.head_dim), mx.int8),
            mx.zeros((*shape, spec.head_dim // GROUP_VALUES), mx.float16),
        ]

    def store(self, slots: Slots, x: mx.array) -> None:
        """Quantize; see `Plane.store`."""
        codes, scales = quantize_q8(_groups(x))
        self.arrays[0][slots] = codes.reshape(x.shape)
        self.arrays[1][slots] = scales

    def load(self, slots: Slots, dtype: mx.Dtype) -> mx.array:
        """Dequantize; see `Plane.load`."""
        codes, scales = (array[slots] for array in self.arrays)
        return dequantize_q8(_groups(codes), scales).astype(dtype).reshape(codes.shape)


class Q4Plane(Plane):
    """A plane of 4-bit codes and float16 scales."""

    def __init__(self, num_slots: int, spec: ModelSpec) -> None:
        shape = (num_slots, spec.num_kv_heads)
        self.arrays = [
            mx.zeros((*shape, spec.head_dim // 2), mx.uint8),
            mx.zeros((*shape, spec.head_dim // GROUP_VALUES), mx.float16),
        ]

    def store(self, slots: Slots, x: mx.array) -> None:
        """Quantize; see `Plane.store`."""
        codes, scales = quantize_q4(_groups(x))
        low, high = mx.split(codes, 2, axis=-1)
        self.arrays[0][slots] = (low | high << 4).reshape(*x.shape[:-1], -1)
        self.arrays[1][slots] = scales

    def load(self, slots: Slots, dtype: mx.Dtype) -> mx.array:
        """Dequantize; see `Plane.load`."""
        pairs, scales = (array[slots] for array in self.arrays)
        pairs = pairs.reshape(*scales.shape, GROUP_VALUES // 2)
        codes = mx.concatenate([pairs & 15, pairs >> 4], axis=-1)
        return dequantize_q4(codes, scales).astype(dtype).reshape(*scales.shape[:-1], -1)


@fused
def quantize_q8(groups: mx.array) -> tuple[mx.array, mx.array]:
    """Return int8 codes of groups (..., 32) and their float16 scales (...); see `KVType`."""
    scales, steps = _steps(groups, 127)
    return mx.clip(mx.round(steps), -127, 127).astype(mx.int8), scales


@fused
def quantize_q4(groups: mx.array) -> tuple[mx.array, mx.array]:
    """Return uint8 codes 0 … 15 of groups (..., 32) and their float16 scales (...); see `KVType`."""
    scales, steps = _steps(groups, 15)
    return mx.clip(mx.round((steps + 15) / 2), 0, 15).astype(mx.uint8), scales


@fused
def dequantize_q8(codes: mx.array, scales: mx.array) -> mx.array:
    """Return float32 groups (..., 32)."""
    return codes.astype(mx.float32) * scales.astype(mx.float32)[..., None]


@fused
def dequantize_q4(codes: mx.array, scales: mx.array) -> mx.array:
    """Return float32 groups (..., 32)."""
    return (2 * codes.astype(mx.float32) - 15) * scales.astype(mx.float32)[..., None]


def _steps(groups: mx.array, largest: int) -> tuple[mx.array, mx.array]:
    groups = groups.astype(mx.float32)
    scales = (mx.abs(groups).max(axis=-1) / largest).astype(mx.float16)
    exact = scales.astype(mx.float32)
    return scales, groups / mx.where(exact == 0, 1, exact)[..., None]


def _groups(x: mx.array) -> mx.array:
    return x.reshape(*x.shape[:-1], -1, GROUP_VALUES)


_PLANES: dict[KVType, type[HalfPlane | Q8Plane | Q4Plane]] = {
    KVType.F16: HalfPlane,
    KVType.Q8: Q8Plane,
    KVType.Q4: Q4Plane,
}


class KVPages:
    """All pages of a model; `planes` are those of the keys and of the values, one each a layer.

    Raises UnsupportedModelError if the heads of a model do not divide into groups of a quantized type.
    """

    def __init__(self, spec: ModelSpec, num_pages: int, kv_type: KVType) -> None:
        require_whole_groups(kv_type, spec)
        plane = _PLANES[kv_type]
        num_slots = num_pages * PAGE_TOKENS
        self.planes = [(plane(num_slots, spec), plane(num_slots, spec)) for _ in range(spec.num_layers)]
        self.evaluate()

    @property
    def arrays(self) -> list[mx.array]:
        """All memory: by layer, then keys and values, then codes and scales."""
        return [array for planes in self.planes for plane in planes for array in plane.arrays]

    def evaluate(self) -> None:
        """Let MLX do the writes that it has put off."""
        mx.eval(*self.arrays)

    def read(self, page: int) -> Bytes:
        """Return a copy of a page, uint8 (page_bytes,), in the order of `arrays`."""
        slots = page_slots(page)
        return np.concatenate([np.array(array[slots]).reshape(-1).view(np.uint8) for array in self.arrays])

    def write(self, page: int, content: Bytes) -> None:
        """Fill a page with what `read` returned."""
        slots = page_slots(page)
        start = 0
        for array in self.arrays:
            num_bytes = array[slots].nbytes
            part = mx.array(content[start : start + num_bytes]).view(array.dtype)
            array[slots] = part.reshape(PAGE_TOKENS, *array.shape[1:])
            start += num_bytes
        self.evaluate()

    def copy(self, source: int, destination: int) -> None:
        """Copy one page over another."""
        for array in self.arrays:
            array[page_slots(destination)] = array[page_slots(source)]
        self.evaluate()

    def load_keys(self, page: int) -> Floats:
        """Return the keys of a page, float32 (num_layers, PAGE_TOKENS, num_kv_heads, head_dim)."""
        return np.stack([np.array(keys.load(page_slots(page), mx.float32)) for keys, _ in self.planes])

    def store_keys(self, page: int, all_keys: Floats) -> None:
        """Round keys in the shape of `load_keys` to the KV type and store them."""
        for (plane, _), keys in zip(self.planes, all_keys, strict=True):
            plane.store(page_slots(page), mx.array(keys))
        self.evaluate()


def page_slots(page: int) -> slice:
    """Return the slots of a page."""
    return slice(page * PAGE_TOKENS, (page + 1) * PAGE_TOKENS)
