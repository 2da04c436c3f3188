"""Spreads, ratios within a round, and shares of the memory bandwidth."""

import pytest

from speed.case import Case
from speed.results import Roofs
from speed.summary import Spread, bandwidth_shares, compute_limit, median_roofs, memory_limit, ratios, spread


def test_spread_is_median_and_range():
    assert spread([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)
    assert spread([1.0, 2.0]).median == 1.5


def test_ratios_are_taken_within_a_round():
    assert ratios([60.0, 30.0], [20.0, 10.0]) == [3.0, 3.0]


def test_ratios_of_unequal_rounds_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("case", "tokens_per_s"),
    [
        (Case("decode", 128), 100.0),  # 100,000 bytes/s over 1,000 bytes of weights
        (Case("decode", 32, depth=3000), 25.0),  # and 3,000 of keys and values
        (Case("decode", 16, num_sequences=8), 800.0),  # the weights once for all eight
        (Case("decode", 16, depth=125, num_sequences=8), 400.0),  # and eight contexts
    ],
)
def test_memory_limit_counts_weights_once_and_the_context_of_each_sequence(results, case, tokens_per_s):
    assert memory_limit(results.runs[0].shape, case, Roofs(100_000.0, 1.0)) == tokens_per_s


def test_bandwidth_share_is_of_the_bandwidth_of_the_same_round(results):
    run = results.runs[0]
    assert bandwidth_shares(run, Case("decode", 128), [60.0, 40.0]) == [0.6, 0.8]


def test_compute_limit_is_what_the_float32_product_allows_a_prompt(results):
    assert compute_limit(results.runs[0].shape, Roofs(1.0, 4e6)) == 1000.0


def test_roofs_are_medians_of_the_rounds(results):
    assert median_roofs(results.runs[0]) == Roofs(75_000.0, 3e6)
