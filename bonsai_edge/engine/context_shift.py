"""Endless generation: when the context is full, a sequence forgets the older half of it and the rest moves up.

The beginning stays: attention leans on the first tokens whatever they say (attention sinks, arXiv:2309.17453). Keys
are turned to the positions of the shorter text, as in that paper, where a position is a place in the cache. Half is
dropped at a time, so that a page is turned, and if it is quantized rounded anew, once or twice before it goes itself.

What stays is not what the shorter text alone would have: it was computed when the dropped tokens were still seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bonsai_edge.backend import ModelRunner
from bonsai_edge.engine.paging import PageTable, Paging
from bonsai_edge.errors import KVCacheFullError
from bonsai_edge.kv_cache import PAGE_TOKENS


@dataclass(frozen=True)
class ShiftedContext:
    """A context of `length` tokens that is shifted whenever it is full, and keeps its first `num_sink_tokens`.

    Whole pages are kept, at least one.
    """

    length: int
    num_sink_tokens: int = 0

    @property
    def num_sink_pages(self) -> int:
        """Pages at the beginning that stay."""
        return max(1, -(-self.num_sink_tokens // PAGE_TOKENS))

    @property
    def least_length(self) -> int:
        """What `length` must be at least: then one page can be dropped, and one stays beside the sinks."""
        return (self.num_sink_pages + 2) * PAGE_TOKENS


def shift(
    table: PageTable, num_sink_pages: int, paging: Paging, runner: ModelRunner, cancelled: Callable[[], bool]
) -> int | None:
    """Drop the older half of the pages after the sinks, and return how many tokens they had.

    The table has two full pages at least after the sinks. Its tokens are not cached any more: the prefix cache would
    take its pages for what they no longer are. Pages that are shared are copied before they are changed; raises
    KVCacheFullError, and changes nothing, if there are too few for that. `cancelled` is asked before every page, since
    turning those of a large model may take a second; None if it was, and then the table can only be closed.
    """
    num_dropped = (table.length // PAGE_TOKENS - num_sink_pages) // 2
    assert num_dropped > 0, "too few tokens to drop a page of them"
    _copy_shared(table, num_sink_pages, paging, runner)
    table.token_ids = None
    stay = slice(num_sink_pages + num_dropped, table.num_started)
    for page in table.pages[stay]:
        if cancelled():
            return None
        runner.rotate_keys(page, -num_dropped * PAGE_TOKENS)
    # The dropped pages go to the end, where the next tokens overwrite them.
    dropped = table.pages[num_sink_pages : stay.start]
    table.pages = [*table.pages[:num_sink_pages], *table.pages[stay], *dropped, *table.pages[stay.stop :]]
    table.length -= num_dropped * PAGE_TOKENS
    return num_dropped * PAGE_TOKENS


def _copy_shared(table: PageTable, first: int, paging: Paging, runner: ModelRunner) -> None:
    shared = [index for index in range(first, len(table.pages)) if paging.pool.is_shared(table.pages[index])]
    num_left = paging.num_unpromised
    if len(shared) > num_left:
        raise KVCacheFullError(
            f"Shifting the context needs {len(shared)} KV pages and {num_left} of {paging.pool.num_pages} are free, "
            f"because other sequences hold the rest.",
            "Close the others, or load the model with a larger context.",
        )
    for index in reversed(shared):
        page, own = table.pages[index], paging.pool.allocate()
        runner.copy_page(page, own)
        table.pages[index] = own
        paging.pool.release(page)
