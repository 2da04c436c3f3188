import pytest

from bonsai_edge.engine.kv_pages import PagePool


@pytest.fixture
def evicted():
    return []


@pytest.fixture
def pool(evicted):
    return PagePool(4, evicted.append)


def make_idle(pool, *pages):
    for page in pages:
        pool.keep(page)
        pool.release(page)


def test_no_page_is_handed_out_twice(pool):
    assert sorted(pool.allocate() for _ in range(4)) == [0, 1, 2, 3]
    assert pool.num_free == 0


def test_a_page_is_free_again_when_its_last_holder_releases_it(pool):
    page = pool.allocate()
    pool.retain(page)
    assert pool.num_holders(page) == 2
    pool.release(page)
    assert pool.num_free == 3
    pool.release(page)
    assert pool.num_free == 4
    assert pool.num_holders(page) == 0


def test_idle_pages_are_taken_last_and_the_one_released_longest_ago_first(pool, evicted):
    a, b, c = (pool.allocate() for _ in range(3))
    make_idle(pool, b, c, a)
    assert pool.num_free == 4
    assert pool.allocate() not in {a, b, c}
    assert evicted == []
    assert [pool.allocate() for _ in range(3)] == evicted == [b, c, a]


def test_an_idle_page_that_is_found_again_is_not_evicted_and_counts_as_used_just_now(pool, evicted):
    a, b = pool.allocate(), pool.allocate()
    make_idle(pool, a, b)
    pool.retain(a)
    assert pool.num_free == 3
    pool.release(a)
    for _ in range(3):
        pool.allocate()
    assert evicted == [b]


def test_a_page_that_is_no_longer_kept_becomes_empty(pool, evicted):
    page = pool.allocate()
    make_idle(pool, page)
    pool.retain(page)
    pool.unkeep(page)
    pool.release(page)
    assert sorted(pool.allocate() for _ in range(4)) == [0, 1, 2, 3]
    assert evicted == []


def test_an_evicted_page_is_not_kept_any_more(pool, evicted):
    pages = [pool.allocate() for _ in range(4)]
    make_idle(pool, pages[0])
    page = pool.allocate()
    pool.release(page)
    assert pool.allocate() == page
    assert evicted == [page]


def test_recounting_finds_lost_pages(pool, evicted):
    a, b, c, lost = (pool.allocate() for _ in range(4))
    make_idle(pool, b)
    pool.keep(a)  # held by nobody, as it turns out
    pool.retain(c)  # held by one
    pool.recount([[c]], kept=[a, b])
    assert (pool.num_holders(c), pool.num_free) == (1, 3)
    assert [pool.allocate() for _ in range(3)] == [lost, a, b]
    assert evicted == [a, b]


def test_recounting_keeps_the_order_of_idle_pages_if_none_is_lost(pool, evicted):
    a, b, _, _ = (pool.allocate() for _ in range(4))
    make_idle(pool, b, a)
    pool.recount([[2, 3]], kept=[a, b])
    assert [pool.allocate() for _ in range(2)] == evicted == [b, a]
