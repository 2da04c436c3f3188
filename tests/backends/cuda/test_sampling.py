"""Sampling on the emulated device against the sampler of core, with the same random numbers."""

import numpy as np
import pytest

from bonsai_edge.engine.sampling import Sampler, SamplingDefaults
from bonsai_edge.generation import GenerationOptions
from emulated_cuda import emulated_device

pytestmark = pytest.mark.usefixtures("compiler")

PARAMETERS = np.dtype([("temperature", "f4"), ("top_p", "f4"), ("min_p", "f4"), ("top_k", "i4")])


def sample(logits: np.ndarray, options: list[tuple[float, float, float, int]], uniforms) -> np.ndarray:
    tokens = np.full(len(logits), -7, np.int32)
    emulated_device().launch(
        "sample", (len(logits),), 1024, logits, logits.shape[1], np.array(options, PARAMETERS),
        np.array(uniforms, np.float64), tokens,
    )  # fmt: skip
    return tokens


def core_draws(logits: np.ndarray, seed: int, **options) -> tuple[list[int], list[float]]:
    """Return what core's sampler draws from each row, and the numbers that it drew with."""
    sampler = Sampler(GenerationOptions(seed=seed, **options), SamplingDefaults(), logits.shape[1])
    uniforms = np.random.Generator(np.random.PCG64(seed)).random(len(logits)).tolist()
    return [sampler.sample(row.copy()) for row in logits], uniforms


@pytest.mark.parametrize(
    ("temperature", "top_p", "min_p", "top_k"),
    [(0.7, 0.9, 0.0, 20), (1.0, 1.0, 0.0, 1000), (1.5, 0.5, 0.0, 64), (0.4, 1.0, 0.05, 40), (2.0, 0.95, 0.02, 3)],
)
def test_the_same_numbers_draw_the_same_tokens_as_in_core(temperature, top_p, min_p, top_k) -> None:
    logits = (4 * np.random.default_rng(0).standard_normal((24, 3000))).astype(np.float32)
    expected, uniforms = core_draws(logits, seed=5, temperature=temperature, top_p=top_p, min_p=min_p, top_k=top_k)
    found = sample(logits, [(temperature, top_p, min_p, top_k)] * len(logits), uniforms)
    np.testing.assert_array_equal(found, expected)
    assert len(set(expected)) > 1


def test_greedy_takes_the_first_of_equal_logits() -> None:
    logits = np.zeros((3, 2500), np.float32)
    logits[0, [7, 2400]] = 3.0
    logits[1] = -5.0
    logits[2, 2499] = 1e-30
    np.testing.assert_array_equal(sample(logits, [(0.0, 1.0, 0.0, 0)] * 3, [0.5] * 3), [7, 0, 2499])


def test_of_equal_candidates_those_with_the_smallest_ids_stay() -> None:
    logits = np.zeros((5, 2000), np.float32)
    logits[:, 1500] = 1.0
    uniforms = [0.0, 0.6, 0.8, 0.9, 0.999]
    tokens = sample(logits, [(1.0, 1.0, 0.0, 3)] * 5, uniforms)
    np.testing.assert_array_equal(tokens, [1500, 0, 1, 1, 1])


def test_fewer_tokens_than_candidates_are_all_candidates() -> None:
    logits = np.log(np.array([[1.0, 2.0, 1.0]] * 4, np.float32))
    np.testing.assert_array_equal(sample(logits, [(1.0, 1.0, 0.0, 40)] * 4, [0.1, 0.49, 0.51, 0.76]), [1, 1, 0, 2])


@pytest.mark.parametrize("broken", [np.nan, -np.nan, np.inf])
def test_logits_that_are_not_numbers_are_told(broken) -> None:
    logits = np.zeros((1, 300), np.float32)
    logits[0, 200] = broken
    assert sample(logits, [(0.0, 1.0, 0.0, 1)], [0.5]) == [-1]
    assert sample(logits, [(1.0, 1.0, 0.0, 5)], [0.5]) == [-1]


def test_tokens_become_the_next_steps() -> None:
    token_ids, positions = np.array([5, 6, 0], np.int32), np.array([10, 0, -1], np.int32)
    history, num_steps = np.full((2, 3), -7, np.int32), np.zeros(1, np.int32)
    for tokens in ([1, 2, 3], [4, 5, 6], [7, 8, 9]):
        emulated_device().launch(
            "advance_rows", (1,), 32, np.array(tokens, np.int32), token_ids, positions, history, num_steps, 2, 3
        )
    np.testing.assert_array_equal(token_ids, [7, 8, 0])
    np.testing.assert_array_equal(positions, [13, 3, -1])
    np.testing.assert_array_equal(history, [[1, 2, 3], [4, 5, 6]])
    assert num_steps == [3]
