"""The memory of the KV pages, and how a page is laid out for each KV type.

Memory is a (num_layers, num_pages, 2, num_kv_heads) array of planes: the keys, or the values, of one head in one page.
A plane is PAGE_TOKENS rows of codes, then float16 scales (head_dim / 32, PAGE_TOKENS) if the type has any. Codes are
float16, int8, or 4 bits: a byte holds column i of a group of 32 in its lower half and column i + 16 in its upper one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bonsai_edge.cpu_step.aligned import aligned_zeros
from bonsai_edge.kv_cache import GROUP_VALUES, PAGE_TOKENS, KVType, dequantize, quantize, require_whole_groups
from bonsai_edge.model_spec import ModelSpec

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class KVPlanes(NamedTuple):
    """Where kernels find the planes: an address, and distances in bytes. The class tells kernels the KV type."""

    address: int
    layer_bytes: int
    page_bytes: int
    value_offset: int
    head_bytes: int
    scales_offset: int


class F16Planes(KVPlanes):
    """Planes of float16."""


class Q8Planes(KVPlanes):
    """Planes of int8 and scales."""


class Q4Planes(KVPlanes):
    """Planes of 4-bit codes and scales."""


_CLASSES: dict[KVType, type[KVPlanes]] = {KVType.F16: F16Planes, KVType.Q8: Q8Planes, KVType.Q4: Q4Planes}


def planes_class(kv_type: KVType) -> type[KVPlanes]:
    """Return the class that stands for a KV type in the types of compiled code."""
    return _CLASSES[kv_type]


class KVPages:
    """All pages of a model: `planes` for the kernels, whole pages for core, numbers for rotating and for tests.

    The system hands the memory out when it is first written.
    Raises UnsupportedModelError if the heads of a model do not divide into groups of a quantized type.
    """

    def __init__(self, spec: ModelSpec, num_pages: int, kv_type: KVType) -> None:
        require_whole_groups(kv_type, spec)
        self.kv_type = kv_type
        self._head_dim = spec.head_dim
        self._code_bytes = PAGE_TOKENS * spec.head_dim * kv_type.bits // 8
        shape = (spec.num_layers, num_pages, 2, spec.num_kv_heads, PAGE_TOKENS * kv_type.num_bytes(spec.head_dim))
        self._memory: Bytes = aligned_zeros(shape, np.uint8)
        layer_bytes, page_bytes, value_offset, head_bytes, _ = self._memory.strides
        self.planes = planes_class(kv_type)(
            self._memory.ctypes.data, layer_bytes, page_bytes, value_offset, head_bytes, self._code_bytes
        )

    @property
    def page_bytes(self) -> int:
        """Bytes of one page in all layers."""
        return self._memory[:, 0].nbytes

    def read(self, page: int) -> Bytes:
        """Return a copy of a page, uint8 (page_bytes,): its planes by layer, then keys and values, then head."""
        return self._memory[:, page].reshape(-1)

    def write(self, page: int, content: Bytes) -> None:
        """Fill a page with what `read` returned."""
        self._memory[:, page] = content.reshape(self._memory[:, page].shape)

    def copy(self, source: int, destination: int) -> None:
        """Copy one page over another."""
        self._memory[:, destination] = self._memory[:, source]

    def load_keys(self, page: int) -> Floats:
        """Return the keys of a page, float32 (num_layers, num_kv_heads, PAGE_TOKENS, head_dim)."""
        return self.decode(self._memory[:, page, 0])

    def store_keys(self, page: int, keys: Floats) -> None:
        """Round keys in the shape of `load_keys` to the KV type and store them."""
        self._memory[:, page, 0] = self.encode(keys)

    def decode(self, planes: Bytes) -> Floats:
        """Return the numbers in planes, uint8 (..., plane bytes), as float32 (..., PAGE_TOKENS, head_dim)."""
        codes, scales = np.split(planes, [self._code_bytes], axis=-1)
        shape = (*planes.shape[:-1], PAGE_TOKENS, self._head_dim)
        if self.kv_type is KVType.F16:
            return codes.view(np.float16).reshape(shape).astype(np.float32)
        pairs = codes.reshape(*shape[:-1], -1, GROUP_VALUES // 2)
        if self.kv_type is KVType.Q4:
            codes = np.concatenate([pairs & 15, pairs >> 4], axis=-1)
        by_group = scales.view(np.float16).reshape(*shape[:-2], -1, PAGE_TOKENS).swapaxes(-1, -2)
        return dequantize(self.kv_type, codes.view(np.int8).reshape(shape), by_group)

    def encode(self, x: Floats) -> Bytes:
        """Return planes, uint8 (..., plane bytes), of float32 (..., PAGE_TOKENS, head_dim); see `KVType`."""
        leading = x.shape[:-2]
        if self.kv_type is KVType.F16:
            return x.astype(np.float16).view(np.uint8).reshape(*leading, -1)
        codes, scales = quantize(self.kv_type, x)
        if self.kv_type is KVType.Q4:
            low, high = np.split(codes.reshape(*x.shape[:-1], -1, GROUP_VALUES), 2, axis=-1)
            codes = low | high << 4
        by_group = np.ascontiguousarray(scales.swapaxes(-1, -2))
        planes = [part.view(np.uint8).reshape(*leading, -1) for part in (codes, by_group)]
        return np.concatenate(planes, axis=-1)
