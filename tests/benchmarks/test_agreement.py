"""The figures that agreement with llama.cpp is judged by, on logits whose distance is known."""

import numpy as np
import pytest

from agreement import compare_logits


def test_equal_logits_are_at_no_distance():
    logits = np.random.default_rng(0).standard_normal((40, 100), np.float32)
    agreement = compare_logits(logits, logits)
    assert agreement.num_positions == 40
    assert agreement.mean_kl == agreement.largest_difference == 0
    assert agreement.least_cosine == pytest.approx(1)
    assert agreement.same_top_share == 1


def test_the_divergence_of_known_distributions_is_exact():
    expected = np.log(np.array([[0.5, 0.5], [0.9, 0.1]], np.float32))
    found = np.log(np.array([[0.25, 0.75], [0.9, 0.1]], np.float32))
    divergence = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    assert compare_logits(expected, found).mean_kl == pytest.approx(divergence / 2, rel=1e-6)


def test_the_worst_position_counts_for_cosine_and_every_position_for_the_top_token():
    expected = np.array([[1, 0], [0, 1], [3, 4], [3, 4]], np.float32)
    found = np.array([[1, 0], [1, 0], [3, 4], [6, 8]], np.float32)
    agreement = compare_logits(expected, found)
    assert agreement.least_cosine == pytest.approx(0)
    assert agreement.same_top_share == 0.75
    assert agreement.largest_difference == 4


def test_a_shift_of_all_logits_changes_no_probability():
    logits = np.random.default_rng(1).standard_normal((3, 50), np.float32)
    assert compare_logits(logits, logits + 100).mean_kl == pytest.approx(0, abs=1e-6)
