"""Finds the pages that hold the beginning of a text: a tree with a page of tokens at every node.

It compares the tokens themselves, so that no two texts can be mistaken for each other. It knows no memory and no
counts: which pages may be forgotten is the pool's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bonsai_edge.kv_cache import PAGE_TOKENS


class CachedPage:
    """A page whose first tokens are known, after those of its parent; if not all PAGE_TOKENS, it has no children.

    Whoever alone holds a page may write after its known tokens.
    """

    __slots__ = ("children", "depth", "page", "parent", "token_ids")

    def __init__(self, parent: CachedPage | None, token_ids: tuple[int, ...], page: int) -> None:
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.token_ids = token_ids
        self.page = page
        self.children: dict[tuple[int, ...], CachedPage] = {}


@dataclass(frozen=True)
class Match:
    """What is cached of a text: whole pages, and after them the first `tail_length` tokens of another page."""

    last: CachedPage
    """The last whole page, or the root."""
    pages: list[int]
    tail: CachedPage | None
    tail_length: int

    @property
    def num_tokens(self) -> int:
        """Tokens that need not be computed."""
        return len(self.pages) * PAGE_TOKENS + self.tail_length


class PrefixCache:
    """The tree of all cached pages."""

    def __init__(self) -> None:
        self.root = CachedPage(None, (), -1)
        self._nodes: dict[int, CachedPage] = {}

    def match(self, token_ids: Sequence[int]) -> Match:
        """Find the longest cached beginning of a text."""
        last = self.root
        pages: list[int] = []
        while True:
            start = len(pages) * PAGE_TOKENS
            token_page = tuple(token_ids[start : start + PAGE_TOKENS])
            child = last.children.get(token_page)
            if child is None or len(token_page) < PAGE_TOKENS:
                break
            last = child
            pages.append(child.page)
        tail, tail_length = None, 0
        for child in last.children.values():
            length = _common_length(child.token_ids, token_page)
            if length > tail_length:
                tail, tail_length = child, length
        return Match(last, pages, tail, tail_length)

    def insert(self, parent: CachedPage, token_ids: tuple[int, ...], page: int) -> CachedPage:
        """Add a page after its parent, which has no child with these tokens."""
        self.forget(page)
        node = CachedPage(parent, token_ids, page)
        self._nodes[page] = node
        parent.children[token_ids] = node
        return node

    def forget(self, page: int) -> None:
        """Remove a page, which has no children, if it is here."""
        node = self._nodes.get(page)
        if node is not None and node.parent is not None:
            if node.parent.children.get(node.token_ids) is node:
                del node.parent.children[node.token_ids]
            del self._nodes[page]

    def reachable_pages(self) -> list[int]:
        """Return the pages of the tree, children before their parents, and forget those that an interrupt cut off."""
        found = [self.root]
        for node in found:
            found.extend(node.children.values())
        self._nodes = {node.page: node for node in found[1:]}
        return [node.page for node in reversed(found[1:])]


def _common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two texts begin with alike."""
    length = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        length += 1
    return length
