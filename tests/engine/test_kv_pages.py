import pytest

from bonsai_edge.engine.kv_pages import PagePool
from bonsai_edge.errors import KVCacheFullError
from bonsai_edge.kv_cache import PAGE_TOKENS


@pytest.mark.parametrize(
    ("num_tokens", "num_pages"), [(1, 1), (PAGE_TOKENS, 1), (PAGE_TOKENS + 1, 2), (4 * PAGE_TOKENS, 4)]
)
def test_tokens_are_rounded_up_to_whole_pages(num_tokens, num_pages):
    pool = PagePool(4)
    assert len(pool.reserve(num_tokens)) == num_pages
    assert pool.num_free == 4 - num_pages


def test_no_page_is_handed_out_twice():
    pool = PagePool(5)
    first, second = pool.reserve(2 * PAGE_TOKENS), pool.reserve(3 * PAGE_TOKENS)
    assert sorted(first + second) == [0, 1, 2, 3, 4]


def test_released_pages_can_be_reserved_again():
    pool = PagePool(3)
    pages = pool.reserve(3 * PAGE_TOKENS)
    pool.release(pages)
    assert sorted(pool.reserve(3 * PAGE_TOKENS)) == sorted(pages)


def test_a_reservation_that_does_not_fit_is_refused_with_numbers_and_takes_nothing():
    pool = PagePool(4)
    pool.reserve(3 * PAGE_TOKENS)
    with pytest.raises(KVCacheFullError) as caught:
        pool.reserve(40)
    assert caught.value.cause == (
        "40 tokens need 2 KV pages and 1 of 4 are free, because other generations hold the rest."
    )
    assert pool.num_free == 1
