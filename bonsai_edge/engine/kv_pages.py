"""The bookkeeping of KV-cache pages; their memory belongs to the model runner."""

from __future__ import annotations

from bonsai_edge.errors import KVCacheFullError
from bonsai_edge.kv_cache import PAGE_TOKENS


class PagePool:
    """A fixed number of pages, handed out and taken back. Nothing grows after load."""

    def __init__(self, num_pages: int) -> None:
        self.num_pages = num_pages
        self._free = list(range(num_pages - 1, -1, -1))

    @property
    def num_free(self) -> int:
        """Pages that nobody holds."""
        return len(self._free)

    def reserve(self, num_tokens: int) -> list[int]:
        """Take the pages for `num_tokens` tokens; raise KVCacheFullError, and take none, when too few are free."""
        needed = -(-num_tokens // PAGE_TOKENS)
        if needed > len(self._free):
            raise KVCacheFullError(
                f"{num_tokens} tokens need {needed} KV pages and {len(self._free)} of {self.num_pages} are free, "
                f"because other generations hold the rest.",
                "Finish or close the other generations, or load the model with a larger context.",
            )
        return [self._free.pop() for _ in range(needed)]

    def release(self, pages: list[int]) -> None:
        """Give pages back."""
        self._free.extend(reversed(pages))
