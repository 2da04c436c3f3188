"""The memory of the KV pages: for each layer a buffer of keys and one of values, float16.

A buffer has a slot for each token, slot = page * PAGE_TOKENS + position within the page, with all KV heads in it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_webgpu.gpu import Gpu
from bonsai_edge_webgpu.weights import require_room


class KVPages:
    """All pages of a model; `keys` and `values` are the buffers, by layer.

    Raises UnsupportedModelError if a layer's do not fit into a buffer of the GPU.
    """

    def __init__(self, gpu: Gpu, spec: ModelSpec, num_pages: int) -> None:
        self._gpu = gpu
        self._plane_bytes = PAGE_TOKENS * spec.kv_size * 2
        self._keys_shape = (spec.num_layers, PAGE_TOKENS, spec.num_kv_heads, spec.head_dim)
        self.page_bytes = 2 * spec.num_layers * self._plane_bytes
        require_room(gpu, f"A KV cache of {num_pages * PAGE_TOKENS} tokens", num_pages * self._plane_bytes)
        self.keys, self.values = (
            [gpu.buffer(num_pages * self._plane_bytes) for _ in range(spec.num_layers)] for _ in range(2)
        )
        self._staging = gpu.buffer(self.page_bytes)

    def read(self, page: int) -> npt.NDArray[np.uint8]:
        """Return a copy of a page, uint8 (page_bytes,): the keys of all layers, then the values."""
        self._gather(page)
        return self._gpu.read(self._staging, self.page_bytes)

    def write(self, page: int, content: npt.NDArray[np.uint8]) -> None:
        """Fill a page with what `read` returned."""
        self._gpu.write(self._staging, content)
        self._scatter(page)

    def copy(self, source: int, destination: int) -> None:
        """Copy one page over another, by way of a third place: within a buffer a GPU may not copy."""
        self._gather(source)
        self._scatter(destination)

    def load_keys(self, page: int) -> npt.NDArray[np.float32]:
        """Return the keys of a page, float32 (num_layers, PAGE_TOKENS, num_kv_heads, head_dim)."""
        keys = self.read(page)[: self.page_bytes // 2]
        return keys.view(np.float16).reshape(self._keys_shape).astype(np.float32)

    def store_keys(self, page: int, keys: npt.NDArray[np.float32]) -> None:
        """Round keys in the shape of `load_keys` to float16 and store them."""
        content = self.read(page)
        content[: self.page_bytes // 2] = keys.astype(np.float16).reshape(-1).view(np.uint8)
        self.write(page, content)

    def _gather(self, page: int) -> None:
        size = self._plane_bytes
        self._gpu.copy(
            (plane, page * size, self._staging, i * size, size) for i, plane in enumerate([*self.keys, *self.values])
        )

    def _scatter(self, page: int) -> None:
        size = self._plane_bytes
        self._gpu.copy(
            (self._staging, i * size, plane, page * size, size) for i, plane in enumerate([*self.keys, *self.values])
        )
