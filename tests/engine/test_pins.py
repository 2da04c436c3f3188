import pytest

from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.pins import PinnedPrefixes
from bonsai_edge.errors import InvalidRequestError, KVCacheFullError
from fake_runner import CountingRunner
from paging_checks import longest_cached

PREFIX = list(range(70))  # two pages and six tokens


@pytest.fixture
def engine():
    return Engine(CountingRunner())


@pytest.fixture
def pins(engine):
    return PinnedPrefixes(engine)


def fill(engine):
    """Compute a text that needs every page that can be had."""
    num_tokens = 32 * engine.num_free_pages
    with engine.open_prompt([99] * num_tokens, 0) as sequence:
        sequence.prefill([99] * (num_tokens - sequence.length))


def test_a_pinned_prefix_stays_whatever_else_needs_pages(engine, pins):
    pins.pin("system", PREFIX)
    assert pins.num_tokens == {"system": 70}
    assert engine.num_free_pages == 8 - 2
    assert longest_cached(engine, PREFIX) == 70
    fill(engine)
    assert longest_cached(engine, PREFIX) == 64  # the rest has no page of its own
    fill(engine)
    assert longest_cached(engine, PREFIX) == 64


def test_a_prompt_that_begins_with_a_pinned_prefix_may_still_fill_the_whole_cache(engine, pins):
    pins.pin("system", PREFIX)
    with engine.open_prompt([*PREFIX, 98, 97], 184) as sequence:
        assert sequence.length == 70
        assert engine.num_free_pages == 0
        sequence.prefill([98] * 186)


def test_an_unpinned_prefix_is_kept_until_its_pages_are_needed(engine, pins):
    pins.pin("system", PREFIX)
    pins.unpin("system")
    assert pins.num_tokens == {}
    assert engine.num_free_pages == 8
    assert longest_cached(engine, PREFIX) == 70
    fill(engine)
    assert longest_cached(engine, PREFIX) == 0


def test_pins_that_begin_alike_share_their_pages(engine, pins):
    pins.pin("short", PREFIX[:64])
    pins.pin("long", PREFIX)
    assert engine.num_free_pages == 8 - 2
    assert engine.runner.batches[-1].positions.tolist() == [64, 65, 66, 67, 68, 69]


def test_a_prefix_replaces_that_of_the_same_name(engine, pins):
    pins.pin("system", PREFIX)
    pins.pin("system", [5] * 10)
    assert pins.num_tokens == {"system": 10}
    assert engine.num_free_pages == 8


def test_a_pin_outlives_the_equal_pin_that_it_replaces(engine, pins):
    pins.pin("system", PREFIX)
    pins.pin("system", PREFIX)
    fill(engine)
    assert longest_cached(engine, PREFIX) == 64


def test_pinning_more_than_fits_is_refused_with_numbers_and_changes_nothing(engine, pins):
    pins.pin("system", PREFIX)
    with pytest.raises(KVCacheFullError) as caught:
        pins.pin("system", [5] * 193)
    assert caught.value.cause == (
        "193 tokens need 7 KV pages and 6 of 8 are free, because other generations or pinned prefixes hold the rest."
    )
    assert pins.num_tokens == {"system": 70}


def test_a_prefix_that_cannot_be_computed_holds_nothing(engine, pins):
    def fail(batch):
        raise RuntimeError("the step failed")

    engine.runner.forward = fail
    with pytest.raises(RuntimeError, match="the step failed"):
        pins.pin("system", PREFIX)
    assert pins.num_tokens == {}
    assert engine.num_free_pages == 8


def test_unpinning_an_unknown_name_tells_the_known_ones(pins):
    with pytest.raises(InvalidRequestError) as caught:
        pins.unpin("tools")
    assert str(caught.value) == "No prefix is pinned as 'tools'. Use one of those that are: none."
    pins.pin("system", PREFIX)
    with pytest.raises(InvalidRequestError, match=r"Use one of those that are: system\.$"):
        pins.unpin("tools")
