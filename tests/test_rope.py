"""RoPE and YaRN against figures that were worked out by hand from llama.cpp's formula for the published models."""

from dataclasses import replace

import numpy as np
import pytest

from bonsai_edge.model_spec import YarnScaling
from bonsai_edge.rope import Rope, correction_range
from random_bonsai import SPECS

# Pair index to inverse frequency, for the RoPE base and the original context of each published file.
YARN_FREQUENCIES = {
    "8b": {0: 1.0, 1: 0.8058422, 21: 0.01027199, 28: 0.001534418, 37: 8.495521e-5, 63: 3.102344e-7},
    "4b": {0: 1.0, 1: 0.7858300, 16: 0.02009005, 22: 0.003236998, 30: 1.810497e-4, 63: 6.362699e-8},
    "1.7b": {0: 1.0, 1: 0.8058422, 18: 0.01962928, 25: 0.002932201, 34: 1.623454e-4, 63: 3.102344e-7},
}


@pytest.mark.parametrize("size", YARN_FREQUENCIES)
def test_yarn_frequencies_match_the_table(size):
    frequencies = Rope(SPECS[size]).inverse_frequencies
    expected = YARN_FREQUENCIES[size]
    np.testing.assert_allclose(frequencies[list(expected)], list(expected.values()), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("size", "expected"), [("8b", (20, 37)), ("4b", (15, 30)), ("1.7b", (17, 34))])
def test_yarn_passes_from_kept_to_divided_frequencies_between_these_pairs(size, expected):
    spec = SPECS[size]
    assert correction_range(spec.head_dim, spec.rope_base, spec.yarn.original_context_length) == expected


def test_yarn_keeps_high_frequencies_and_divides_low_ones_by_the_factor():
    spec = SPECS["8b"]
    scaled, plain = Rope(spec).inverse_frequencies, Rope(replace(spec, yarn=None)).inverse_frequencies
    np.testing.assert_array_equal(scaled[:21], plain[:21])
    np.testing.assert_allclose(scaled[37:], plain[37:] / 4, rtol=1e-15)


@pytest.mark.parametrize("size", YARN_FREQUENCIES)
def test_yarn_multiplies_cosines_and_sines_by_its_magnitude(size):
    cos, sin = Rope(SPECS[size]).cos_sin(np.array([0, 1, 40_000]))
    assert cos.dtype == sin.dtype == np.float32
    assert cos.shape == sin.shape == (3, 64)
    np.testing.assert_allclose(cos[0], 1.1386294, rtol=1e-7)
    np.testing.assert_array_equal(sin[0], 0)
    np.testing.assert_allclose(np.hypot(cos, sin), 1.1386294, rtol=2e-7)


def test_the_attention_factor_of_the_file_multiplies_the_magnitude():
    yarn = YarnScaling(factor=4.0, original_context_length=8192, attention_factor=0.5)
    assert Rope(replace(SPECS["1.7b"], yarn=yarn)).magnitude == pytest.approx(0.5 * 1.1386294361)


def test_without_yarn_angles_are_position_times_frequency():
    cos, sin = Rope(replace(SPECS["1.7b"], yarn=None)).cos_sin(np.array([3]))
    angles = 3 * 1e6 ** (-np.arange(64) / 64)
    np.testing.assert_allclose(cos[0], np.cos(angles), rtol=1e-6)
    np.testing.assert_allclose(sin[0], np.sin(angles), rtol=1e-6)


def test_a_context_shorter_than_one_rotation_clamps_the_range():
    assert correction_range(64, 1e4, 4) == (0.0, -1.0)
