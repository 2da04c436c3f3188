"""The pages of the KV cache on the device, and their bytes as NumPy reads them.

A page is contiguous, uint8 (num_layers, 2, num_kv_heads, plane_bytes), keys before values. A plane holds PAGE_TOKENS
rows of codes, and for the quantized types float16 scales (head_dim / 32, PAGE_TOKENS) behind them. A byte of q4 holds
column i of a group of 32 in its low half and column i + 16 in its high half.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bonsai_edge.kv_cache import GROUP_VALUES, PAGE_TOKENS, KVType, dequantize, quantize
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_cuda.driver import Driver


class KVPages:
    """A pool of pages in the memory of a device."""

    def __init__(self, driver: Driver, spec: ModelSpec, num_pages: int, kv_type: KVType) -> None:
        self.kv_type = kv_type
        self.page_bytes = PAGE_TOKENS * spec.kv_bytes_per_token(kv_type)
        self.address = driver.allocate(num_pages * self.page_bytes)
        self._driver = driver
        self._planes_shape = (spec.num_layers, 2, spec.num_kv_heads, -1)
        self._head_dim = spec.head_dim

    def read(self, page: int) -> npt.NDArray[np.uint8]:
        """Return a copy of a page, uint8 (page_bytes,)."""
        return self._driver.download(self._page(page), self.page_bytes)

    def write(self, page: int, content: npt.NDArray[np.uint8]) -> None:
        """Fill a page."""
        self._driver.upload(self._page(page), np.ascontiguousarray(content))

    def copy(self, source: int, destination: int) -> None:
        """Copy one page over another, on the device."""
        self._driver.copy(self._page(source), self._page(destination), self.page_bytes)
        self._driver.synchronize()

    def load_keys(self, page: int) -> npt.NDArray[np.float32]:
        """Return the keys of a page, float32 (num_layers, num_kv_heads, PAGE_TOKENS, head_dim)."""
        return self.decode(self.read(page).reshape(self._planes_shape)[:, 0])

    def store_keys(self, page: int, keys: npt.NDArray[np.float32]) -> None:
        """Replace the keys of a page."""
        content = self.read(page)
        content.reshape(self._planes_shape)[:, 0] = self.encode(keys)
        self.write(page, content)

    def decode(self, planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the values of planes, uint8 (..., plane_bytes), as float32 (..., PAGE_TOKENS, head_dim)."""
        if self.kv_type is KVType.F16:
            halves = np.ascontiguousarray(planes).view(np.float16)
            return halves.reshape(*planes.shape[:-1], PAGE_TOKENS, self._head_dim).astype(np.float32)
        num_code_bytes = PAGE_TOKENS * self._head_dim * self.kv_type.bits // 8
        codes, scale_bytes = np.split(planes, [num_code_bytes], axis=-1)
        scales = np.ascontiguousarray(scale_bytes).view(np.float16).reshape(*planes.shape[:-1], -1, PAGE_TOKENS)
        return dequantize(self.kv_type, self._unpack(codes), scales.swapaxes(-1, -2))

    def encode(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Return planes, uint8 (..., plane_bytes), of float32 (..., PAGE_TOKENS, head_dim)."""
        shape = (*values.shape[:-2], -1)
        if self.kv_type is KVType.F16:
            return values.astype(np.float16).reshape(shape).view(np.uint8)
        codes, scales = quantize(self.kv_type, values)
        ordered = np.ascontiguousarray(scales.swapaxes(-1, -2)).reshape(shape).view(np.uint8)
        return np.concatenate([self._pack(codes).reshape(shape), ordered], axis=-1)

    def _page(self, page: int) -> int:
        return self.address + page * self.page_bytes

    def _unpack(self, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
        shape = (*codes.shape[:-1], PAGE_TOKENS, self._head_dim)
        if self.kv_type is KVType.Q4:
            halves = codes.reshape(*codes.shape[:-1], -1, GROUP_VALUES // 2)
            codes = np.concatenate([halves & 15, halves >> 4], axis=-1)
        return np.ascontiguousarray(codes).view(np.int8).reshape(shape)

    def _pack(self, codes: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
        if self.kv_type is KVType.Q8:
            return codes.view(np.uint8)
        groups = codes.view(np.uint8).reshape(*codes.shape[:-1], -1, GROUP_VALUES)
        return np.bitwise_or(groups[..., : GROUP_VALUES // 2], groups[..., GROUP_VALUES // 2 :] << 4, dtype=np.uint8)
