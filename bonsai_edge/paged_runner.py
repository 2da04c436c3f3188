"""A model runner whose KV pages are an object of their own, as those of all compiled backends are."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import ModelRunner
from bonsai_edge.rope import Rope


class Pages(Protocol):
    """The memory of the KV pages of a model, all layers of a page together."""

    def read(self, page: int) -> npt.NDArray[np.uint8]:
        """Return a copy of a page, uint8 (page_bytes,), in a layout of its own."""

    def write(self, page: int, content: npt.NDArray[np.uint8]) -> None:
        """Fill a page with what `read` returned."""

    def copy(self, source: int, destination: int) -> None:
        """Copy one page over another."""

    def load_keys(self, page: int) -> npt.NDArray[np.float32]:
        """Return the keys of a page, float32 (num_layers, PAGE_TOKENS, num_kv_heads, head_dim)."""

    def store_keys(self, page: int, keys: npt.NDArray[np.float32]) -> None:
        """Round keys in the shape of `load_keys` to the KV type and store them."""


class PagedRunner(ModelRunner):
    """Leaves pages to `kv_pages`, and turns keys as `rope` does."""

    kv_pages: Pages
    rope: Rope

    def read_page(self, page: int) -> npt.NDArray[np.uint8]:
        """Return a copy of a page; see `ModelRunner.read_page`."""
        return self.kv_pages.read(page)

    def write_page(self, page: int, content: npt.NDArray[np.uint8]) -> None:
        """Fill a page; see `ModelRunner.write_page`."""
        self.kv_pages.write(page, content)

    def copy_page(self, source: int, destination: int) -> None:
        """Copy one page over another."""
        self.kv_pages.copy(source, destination)

    def rotate_keys(self, page: int, num_positions: int) -> None:
        """Turn the keys of a page; see `ModelRunner.rotate_keys`."""
        self.kv_pages.store_keys(page, self.rope.move(self.kv_pages.load_keys(page), num_positions))
