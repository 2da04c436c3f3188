"""The bookkeeping of KV-cache pages: which are empty, held or idle. Their memory belongs to the model runner."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence


class PagePool:
    """A fixed number of pages, each with a count of those who hold it. Nothing grows after load.

    A page that nobody holds is empty, or idle if it is kept: idle pages are taken, the one given back longest ago
    first, when no page is empty; `on_evict` is then told. Whoever gives pages back gives a later page of a text back
    before an earlier one, so that a text is forgotten from its end.

    An exception of a signal handler, such as KeyboardInterrupt, may strike between any two lines of this package. Their
    order is such that it can lose a page but never give it to two; `recount` finds lost ones.
    """

    def __init__(self, num_pages: int, on_evict: Callable[[int], None]) -> None:
        self.num_pages = num_pages
        self._on_evict = on_evict
        self._num_holders = [0] * num_pages
        self._empty = list(range(num_pages - 1, -1, -1))
        self._idle: OrderedDict[int, None] = OrderedDict()  # in the order in which they are taken
        self._kept: set[int] = set()

    @property
    def num_free(self) -> int:
        """Pages that nobody holds."""
        return len(self._empty) + len(self._idle)

    def num_holders(self, page: int) -> int:
        """Return how many hold the page."""
        return self._num_holders[page]

    def allocate(self) -> int:
        """Return a page for one holder; there must be a free one."""
        if self._empty:
            page = self._empty.pop()
        else:
            page, _ = self._idle.popitem(last=False)
            self._on_evict(page)
            self._kept.discard(page)
        self._num_holders[page] = 1
        return page

    def retain(self, page: int) -> None:
        """Add a holder to a page that is held or idle."""
        self._num_holders[page] += 1
        self._idle.pop(page, None)

    def release(self, page: int) -> None:
        """Take a holder from a page."""
        self._num_holders[page] -= 1
        if self._num_holders[page] == 0:
            if page in self._kept:
                self._idle[page] = None
            else:
                self._empty.append(page)

    def keep(self, page: int) -> None:
        """Let a held page become idle, not empty, when its last holder releases it."""
        self._kept.add(page)

    def unkeep(self, page: int) -> None:
        """Let a held page become empty when its last holder releases it."""
        self._kept.discard(page)

    def recount(self, held: Iterable[Sequence[int]], kept: Sequence[int]) -> None:
        """Put right what an interrupt has torn, from the pages of each holder and those kept, later ones first."""
        counts = [0] * self.num_pages
        for pages in held:
            for page in pages:
                counts[page] += 1
        self._num_holders = counts
        self._kept = set(kept)
        idle = [page for page in kept if not counts[page]]
        if self._idle.keys() != set(idle):  # else nothing was torn, and they stay in the order of their use
            self._idle = OrderedDict.fromkeys(idle)
        self._empty = [page for page in range(self.num_pages) if page not in self._kept and not counts[page]]
