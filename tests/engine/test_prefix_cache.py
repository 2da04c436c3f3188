import pytest

from bonsai_edge.engine.prefix_cache import PrefixCache
from bonsai_edge.kv_cache import PAGE_TOKENS

FIRST, SECOND, OTHER = [tuple(range(start, start + PAGE_TOKENS)) for start in (0, 100, 200)]


@pytest.fixture
def cache():
    """Two pages of a text, and one of a text that begins alike."""
    cache = PrefixCache()
    first = cache.insert(cache.root, FIRST, 10)
    cache.insert(first, SECOND, 11)
    cache.insert(first, OTHER[:20], 12)
    return cache


def found(cache, token_ids):
    match = cache.match(token_ids)
    return match.pages, match.tail and match.tail.page, match.num_tokens


def test_whole_pages_and_the_beginning_of_another_are_found(cache):
    assert found(cache, [*FIRST, *SECOND, 7, 8]) == ([10, 11], None, 64)
    assert found(cache, [*FIRST, *SECOND[:5], 7]) == ([10], 11, 37)
    assert found(cache, [*FIRST, *OTHER]) == ([10], 12, 52)
    assert found(cache, [0, 1, 2]) == ([], 10, 3)


def test_what_differs_at_its_first_token_is_not_found(cache):
    assert found(cache, [1, *FIRST]) == ([], None, 0)
    assert found(cache, []) == ([], None, 0)
    assert found(cache, SECOND) == ([], None, 0)  # only after FIRST


def test_a_page_that_is_not_full_is_never_taken_as_a_whole(cache):
    assert found(cache, [*FIRST, *OTHER[:20], 7]) == ([10], 12, 52)


def test_texts_with_equal_hashes_are_told_apart():
    cache = PrefixCache()
    token_page = (-1,) * PAGE_TOKENS
    same_hash = (-2,) * PAGE_TOKENS
    assert hash(token_page) == hash(same_hash)
    cache.insert(cache.root, token_page, 0)
    assert found(cache, same_hash) == ([], None, 0)


def test_a_forgotten_page_is_not_found(cache):
    cache.forget(12)
    assert found(cache, [*FIRST, *OTHER]) == ([10], None, 32)
    cache.forget(12)
    assert cache.reachable_pages() == [11, 10]


def test_a_page_that_gets_more_tokens_is_found_by_those(cache):
    first = cache.match(FIRST).last
    cache.insert(first, OTHER, 12)
    assert found(cache, [*FIRST, *OTHER, 7]) == ([10, 12], None, 64)
    assert len(first.children) == 2
