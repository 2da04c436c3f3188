"""What must be true of pages, tables and cached prefixes at any time, checked against what a fake runner stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.prefix_cache import CachedPage
from bonsai_edge.engine.sequence import TokenSequence
from bonsai_edge.engine.snapshot import PrefixSnapshot
from bonsai_edge.kv_cache import PAGE_TOKENS
from fake_runner import CountingRunner


def check_pages(engine: Engine, runner: CountingRunner, texts: Mapping[TokenSequence, Sequence[int]]) -> None:
    """Check all books of an engine; `texts` are the tokens of every open sequence, pins included."""
    assert engine.num_free_pages >= 0
    paging, pool = engine._paging, engine._paging.pool
    tables = {sequence._table for sequence in texts}
    assert set(paging._tables) == tables

    nodes = list(_nodes(paging.cache.root))
    kept = {node.page for node in nodes}
    assert len(kept) == len(nodes), "two texts claim a page"
    assert pool._kept == kept == set(paging.cache._nodes)

    holders = Counter(page for table in tables for page in table.pages)
    assert [holders[page] for page in range(pool.num_pages)] == pool._num_holders, "a page leaked, or was freed twice"
    assert sorted([*pool._empty, *pool._idle, *holders]) == list(range(pool.num_pages)), "no page is in two places"
    assert set(pool._idle) == kept - set(holders)

    for sequence, text in texts.items():
        assert sequence.length == len(text)
        assert _stored(runner, sequence._table.pages, len(text)) == list(text), "another sequence wrote into a page"
    for node in nodes:
        assert _stored(runner, [node.page], len(node.token_ids)) == list(node.token_ids), "a cached page was changed"

    places = {page: place for place, page in enumerate(pool._idle)}
    for node in nodes:
        for child in node.children.values():
            assert node.page not in places or places[child.page] < places[node.page], "a text is forgotten from its end"


def longest_cached(engine: Engine, token_ids: Sequence[int]) -> int:
    """Return how many tokens of a text are cached, found by comparing it with every cached text."""
    return max((_common(text, token_ids) for text in _texts(engine._paging.cache.root, [])), default=0)


def taken_snapshot(engine: Engine, token_ids: Sequence[int]) -> PrefixSnapshot:
    """Return what is cached of a text with its pages read, so that it outlives the engine."""
    with engine.snapshot(token_ids) as snapshot:
        return PrefixSnapshot(snapshot.token_ids, list(snapshot.pages))


def _nodes(node: CachedPage) -> Iterator[CachedPage]:
    for child in node.children.values():
        assert child.parent is node
        yield child
        yield from _nodes(child)


def _texts(node: CachedPage, before: list[int]) -> Iterator[list[int]]:
    for child in node.children.values():
        text = [*before, *child.token_ids]
        yield text
        yield from _texts(child, text)


def _stored(runner: CountingRunner, pages: Sequence[int], num_tokens: int) -> list[int]:
    stored: list[int] = runner.pages[list(pages)].reshape(-1)[:num_tokens].tolist() if pages else []
    assert num_tokens <= len(pages) * PAGE_TOKENS
    return stored


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = zip(first, second, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
