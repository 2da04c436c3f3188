"""Gives sequences their pages: promised when a sequence opens, taken when it first writes, shared where texts agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import ModelRunner
from bonsai_edge.engine.kv_pages import PagePool
from bonsai_edge.engine.prefix_cache import CachedPage, Match, PrefixCache
from bonsai_edge.errors import InvalidRequestError, KVCacheFullError
from bonsai_edge.kv_cache import PAGE_TOKENS


class PageTable:
    """The pages of one sequence, in order, and how many tokens are in them; made by `Paging`.

    One whose `token_ids` are None takes nothing from the prefix cache and adds nothing to it.
    """

    def __init__(self, most_pages: int, token_ids: list[int] | None, last_cached: CachedPage) -> None:
        self.pages: list[int] = []
        self.length = 0
        self.most_pages = most_pages
        self.token_ids = token_ids
        self.last_cached = last_cached

    @property
    def num_cached_pages(self) -> int:
        """Pages, from the first, that the prefix cache knows with all their tokens."""
        return self.last_cached.depth

    @property
    def num_started(self) -> int:
        """Pages that have tokens."""
        return -(-self.length // PAGE_TOKENS)

    @property
    def open_page(self) -> int | None:
        """The page that has tokens and room for more."""
        return self.pages[self.length // PAGE_TOKENS] if self.length % PAGE_TOKENS else None


class Paging:
    """All page tables of one runner, its page pool and its prefix cache.

    A sequence is admitted only if the free pages cover what it and all others may still need; so none that was admitted
    fails half-way. Not thread-safe, and no step may be under way: both are the engine's affair.
    """

    def __init__(self, runner: ModelRunner) -> None:
        self.cache = PrefixCache()
        self.pool = PagePool(runner.num_pages, self.cache.forget)
        self._runner = runner
        self._tables: WeakSet[PageTable] = WeakSet()

    @property
    def num_unpromised(self) -> int:
        """Free pages that no open sequence may still need."""
        promised = 0
        writers: Counter[int] = Counter()  # all but the last who writes to a page that forks share will copy it
        for table in self._tables:
            promised += table.most_pages - len(table.pages)
            if table.open_page is not None:
                writers[table.open_page] += 1
        return self.pool.num_free - promised - sum(count - 1 for count in writers.values())

    def open(self, num_tokens: int) -> PageTable:
        """Make a table with room for `num_tokens`, apart from the prefix cache; raises KVCacheFullError."""
        most_pages = -(-num_tokens // PAGE_TOKENS)
        self._admit(num_tokens, most_pages)
        return self._add(PageTable(most_pages, None, self.cache.root))

    def open_prompt(self, match: Match, token_ids: Sequence[int], num_tokens: int) -> PageTable:
        """Make a table that begins with what is cached of a prompt, and has room for `num_tokens` in all.

        `match` must leave at least one token of the prompt, `token_ids`, to compute. Raises KVCacheFullError.
        """
        most_pages = -(-num_tokens // PAGE_TOKENS)
        self._admit(num_tokens, most_pages, match.pages)
        table = self._add(PageTable(most_pages, list(token_ids[: match.num_tokens]), match.last))
        for page in match.pages:
            self.pool.retain(page)
            table.pages.append(page)
        table.length = len(match.pages) * PAGE_TOKENS
        if match.tail is not None and self.pool.num_free:
            self._begin_with(match.tail, match.tail_length, table)
        return table

    def fork(self, table: PageTable) -> PageTable:
        """Make a second table with the same tokens and the same room; raises KVCacheFullError."""
        num_to_copy = 0 if table.open_page is None else 1
        started = table.pages[: table.num_started]
        self._admit(table.most_pages * PAGE_TOKENS, table.most_pages + num_to_copy, started)
        token_ids = None if table.token_ids is None else list(table.token_ids)
        fork = self._add(PageTable(table.most_pages, token_ids, table.last_cached))
        for page in started:
            self.pool.retain(page)
            fork.pages.append(page)
        fork.length = table.length
        return fork

    def prepare(self, table: PageTable, num_tokens: int) -> None:
        """Before a step: give the table pages for so many more tokens, all of its own where they are written."""
        end = table.length + num_tokens
        assert end <= table.most_pages * PAGE_TOKENS, "a sequence has outgrown what it was promised"
        shared = table.open_page
        if shared is not None and self.pool.num_holders(shared) > 1 and self.pool.num_free == 0:
            self._recount()  # so the promised copy is not needed any more: an interrupt has left a holder too many
        if shared is not None and self.pool.num_holders(shared) > 1:
            page = self._allocate()
            self._runner.copy_page(shared, page)
            table.pages[table.length // PAGE_TOKENS] = page
            self.pool.release(shared)
        while len(table.pages) * PAGE_TOKENS < end:
            table.pages.append(self._allocate())

    def advance(self, table: PageTable, token_ids: Sequence[int]) -> None:
        """After a step: count its tokens, and let others find the pages that it has filled."""
        if table.token_ids is not None:
            table.token_ids[table.length :] = token_ids
        table.length += len(token_ids)
        self._cache_whole_pages(table)

    def cache_tail(self, table: PageTable) -> None:
        """Let others find the tokens of a last page that is not full; the table may not write to it afterwards."""
        self._cache_whole_pages(table)  # all of them are findable, unless `advance` was interrupted
        if table.token_ids is None or table.open_page is None:
            return
        tail = tuple(table.token_ids[table.num_cached_pages * PAGE_TOKENS : table.length])
        siblings = table.last_cached.children.values()
        self._cache_page(table, tail, next((page for page in siblings if page.token_ids[: len(tail)] == tail), None))

    def close(self, table: PageTable) -> None:
        """Give the pages back; those whose tokens are known stay findable until they are needed."""
        self.cache_tail(table)
        table.length = 0
        while table.pages:
            self.pool.release(table.pages.pop())
        self._tables.discard(table)

    def keep_whole_pages(self, table: PageTable) -> None:
        """Give back a last page that is not full, and the promise of more; its tokens stay findable for a while."""
        self.cache_tail(table)
        table.most_pages = table.length // PAGE_TOKENS
        table.length = table.most_pages * PAGE_TOKENS
        while len(table.pages) > table.most_pages:
            self.pool.release(table.pages.pop())

    def open_cached(self, token_ids: Sequence[int]) -> PageTable:
        """Make a table of what is cached of a text, with no room for more; raises KVCacheFullError."""
        match = self.cache.match(token_ids)
        pages = match.pages if match.tail is None else [*match.pages, match.tail.page]
        is_tail_held = match.tail is not None and self.pool.num_holders(match.tail.page) > 0
        num_to_copy = 1 if is_tail_held else 0  # by who holds it, if that is who writes to it
        self._admit(match.num_tokens, len(pages) + num_to_copy, pages)
        table = self._add(PageTable(len(pages), list(token_ids[: match.num_tokens]), match.last))
        for page in pages:
            self.pool.retain(page)
            table.pages.append(page)
        table.length = match.num_tokens
        return table

    def open_to_restore(self, num_tokens: int) -> PageTable:
        """Make a table for `fill_page`, with room for so many tokens or for as many as can be promised."""
        most_pages = min(-(-num_tokens // PAGE_TOKENS), max(0, self.num_unpromised))
        return self._add(PageTable(most_pages, [], self.cache.root))

    def fill_page(self, table: PageTable, token_ids: Sequence[int], content: npt.NDArray[np.uint8]) -> None:
        """Add a page of tokens to a table that ends at a page's end, with the keys and values that were read.

        Raises InvalidRequestError for a page that is not this runner's.
        """
        if content.nbytes != self._runner.page_bytes:
            raise InvalidRequestError(
                f"A page has {content.nbytes} bytes, those of this model have {self._runner.page_bytes}.",
                "Restore it with the model and the KV type that it was taken with.",
            )
        self.prepare(table, len(token_ids))
        self._runner.write_page(table.pages[-1], content)
        self.advance(table, token_ids)

    def _begin_with(self, tail: CachedPage, num_tokens: int, table: PageTable) -> None:
        """Reuse the first tokens of a page: in the page itself if nobody holds it and no more of it is known."""
        is_idle = self.pool.num_holders(tail.page) == 0
        self.pool.retain(tail.page)
        if is_idle and num_tokens == len(tail.token_ids):
            table.pages.append(tail.page)
        elif is_idle and self.pool.num_free == 0:  # the rest of it would be forgotten for the copy
            self.cache.forget(tail.page)
            self.pool.unkeep(tail.page)
            table.pages.append(tail.page)
        else:
            page = self.pool.allocate()
            self._runner.copy_page(tail.page, page)
            table.pages.append(page)
            self.pool.release(tail.page)
        table.length += num_tokens

    def _cache_whole_pages(self, table: PageTable) -> None:
        while table.token_ids is not None and (table.num_cached_pages + 1) * PAGE_TOKENS <= table.length:
            start = table.num_cached_pages * PAGE_TOKENS
            token_page = tuple(table.token_ids[start : start + PAGE_TOKENS])
            table.last_cached = self._cache_page(table, token_page, table.last_cached.children.get(token_page))

    def _cache_page(self, table: PageTable, token_ids: tuple[int, ...], cached: CachedPage | None) -> CachedPage:
        """Make the first page of a table that is not findable so, or share the page that has its tokens already."""
        index = table.num_cached_pages
        own = table.pages[index]
        if cached is None:
            self.pool.keep(own)
            return self.cache.insert(table.last_cached, token_ids, own)
        if cached.page != own:
            self.pool.retain(cached.page)
            table.pages[index] = cached.page
            self.pool.release(own)
        return cached

    def _admit(self, num_tokens: int, num_pages: int, shared: Sequence[int] = ()) -> None:
        """Refuse a sequence of so many pages, some of them shared, that could not be carried to its end."""

        def count() -> tuple[int, int]:
            return num_pages - sum(self.pool.num_holders(page) > 0 for page in shared), self.num_unpromised

        num_needed, num_left = count()
        if num_needed > num_left:
            self._recount()
            num_needed, num_left = count()
        if num_needed > num_left:
            raise KVCacheFullError(
                f"{num_tokens} tokens need {num_needed} KV pages and {num_left} of {self.pool.num_pages} are free, "
                f"because other generations or pinned prefixes hold the rest.",
                "Finish or close the other generations, unpin a prefix, or load the model with a larger context.",
            )

    def _allocate(self) -> int:
        """Take one of the pages that were promised."""
        if self.pool.num_free == 0:
            self._recount()
        return self.pool.allocate()

    def _recount(self) -> None:
        self.pool.recount([table.pages for table in self._tables], self.cache.reachable_pages())

    def _add(self, table: PageTable) -> PageTable:
        self._tables.add(table)
        return table
