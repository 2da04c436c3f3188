import math
from pathlib import Path

import numpy as np
import pytest

from bonsai_edge.engine.sampling import Sampler, SamplingDefaults
from bonsai_edge.errors import InvalidRequestError, MalformedModelError
from bonsai_edge.generation import GenerationOptions

VOCAB_SIZE = 8
NUM_DRAWS = 4_000


def sampler(defaults=None, history=(), **options):
    return Sampler(
        GenerationOptions.from_keywords({"seed": 1, **options}), defaults or SamplingDefaults(), VOCAB_SIZE, history
    )


def logits_of(probabilities):
    """Return logits whose softmax is `probabilities`, the rest of the vocabulary forbidden."""
    logits = np.full(VOCAB_SIZE, -np.inf, np.float32)
    logits[: len(probabilities)] = np.log(probabilities)
    return logits


def drawn_shares(probabilities, **options):
    """Return how often each token is drawn, float64 (VOCAB_SIZE,)."""
    drawing = sampler(**options)
    draws = [drawing.sample(logits_of(probabilities)) for _ in range(NUM_DRAWS)]
    return np.bincount(draws, minlength=VOCAB_SIZE) / NUM_DRAWS


def assert_shares(found, expected):
    """Compare shares within five standard deviations of a binomial count."""
    expected = np.pad(expected, (0, VOCAB_SIZE - len(expected)))
    np.testing.assert_array_equal(found[expected == 0], 0)
    tolerance = 5 * np.sqrt(expected * (1 - expected) / NUM_DRAWS)
    assert np.all(np.abs(found - expected) <= tolerance + 1e-12), (found, expected)


def test_greedy_takes_the_largest_logit_and_the_first_of_equals():
    greedy = sampler(temperature=0)
    assert greedy.sample(np.array([1, 5, 3, 5, 0, 0, 0, 0], np.float32)) == 1


def test_a_request_and_a_file_that_say_nothing_mean_greedy():
    assert sampler().sample(logits_of([0.2, 0.5, 0.3])) == 1


def test_temperature_one_draws_from_the_models_distribution():
    assert_shares(drawn_shares([0.5, 0.3, 0.15, 0.05], temperature=1), [0.5, 0.3, 0.15, 0.05])


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_raises_probabilities_to_its_inverse(temperature):
    probabilities = np.array([0.5, 0.3, 0.15, 0.05])
    powers = probabilities ** (1 / temperature)
    assert_shares(drawn_shares(probabilities, temperature=temperature), powers / powers.sum())


def test_a_temperature_near_zero_is_nearly_greedy():
    assert_shares(drawn_shares([0.34, 0.33, 0.33], temperature=1e-4), [1.0])


def test_top_k_keeps_the_k_most_likely():
    assert_shares(drawn_shares([0.1, 0.4, 0.2, 0.3], temperature=1, top_k=2), [0, 4 / 7, 0, 3 / 7])


def test_top_k_keeps_exactly_k_of_equal_logits_lowest_ids_first():
    assert_shares(drawn_shares([0.25] * 4, temperature=1, top_k=2), [0.5, 0.5])


def test_top_k_of_one_is_greedy_and_zero_is_off():
    assert_shares(drawn_shares([0.3, 0.7], temperature=1, top_k=1), [0, 1.0])
    assert_shares(drawn_shares([0.3, 0.7], temperature=1, top_k=0), [0.3, 0.7])


def test_top_p_keeps_the_fewest_tokens_that_reach_it():
    assert_shares(drawn_shares([0.4, 0.3, 0.2, 0.1], temperature=1, top_p=0.6), [4 / 7, 3 / 7])


def test_top_p_below_the_largest_probability_keeps_one():
    assert_shares(drawn_shares([0.4, 0.35, 0.25], temperature=1, top_p=0.01), [1.0])


def test_min_p_keeps_what_is_likely_relative_to_the_best():
    assert_shares(drawn_shares([0.5, 0.3, 0.12, 0.08], temperature=1, min_p=0.5), [0.625, 0.375])


def test_filters_see_probabilities_before_temperature():
    # At temperature 3 alone, 0.7 would shrink below top_p and more tokens would stay.
    assert_shares(drawn_shares([0.7, 0.2, 0.1], temperature=3, top_p=0.65), [1.0])


def test_filters_combine():
    found = drawn_shares([0.4, 0.3, 0.2, 0.06, 0.04], temperature=1, top_k=4, top_p=0.92, min_p=0.4)
    assert_shares(found, [4 / 9, 3 / 9, 2 / 9])


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others():
    def tokens(seed):
        drawing = sampler(temperature=1, seed=seed)
        return [drawing.sample(np.zeros(VOCAB_SIZE, np.float32)) for _ in range(50)]

    assert tokens(7) == tokens(7)
    assert tokens(7) != tokens(8)


def test_without_a_seed_one_is_drawn_that_repeats_the_run():
    first = sampler(temperature=1, seed=None)
    tokens = [first.sample(np.zeros(VOCAB_SIZE, np.float32)) for _ in range(50)]
    again = sampler(temperature=1, seed=first.seed)
    assert [again.sample(np.zeros(VOCAB_SIZE, np.float32)) for _ in range(50)] == tokens
    assert sampler(seed=None).seed != first.seed


def penalized(logits, history, **options):
    """Return the logits after penalties and bias."""
    logits = np.array(logits, np.float32)
    sampler(history=history, temperature=0, **options).sample(logits)
    return logits


def test_repetition_penalty_divides_positive_and_multiplies_negative_logits_of_seen_tokens():
    found = penalized([4, -4, 4, -4, 0, 0, 0, 0], history=[0, 1, 0], repetition_penalty=2)
    np.testing.assert_array_equal(found, [2, -8, 4, -4, 0, 0, 0, 0])


def test_presence_penalty_counts_a_token_once_and_frequency_penalty_every_time():
    history = [0, 0, 0, 1]
    np.testing.assert_array_equal(penalized([5] * 8, history, presence_penalty=1.5)[:3], [3.5, 3.5, 5])
    np.testing.assert_array_equal(penalized([5] * 8, history, frequency_penalty=0.5)[:3], [3.5, 4.5, 5])


def test_penalties_look_at_the_window_only():
    found = penalized([4] * 8, history=[0, 1, 2], repetition_penalty=2, penalty_window=2)
    np.testing.assert_array_equal(found, [4, 2, 2, 4, 4, 4, 4, 4])
    np.testing.assert_array_equal(penalized([4] * 8, [0, 1, 2], repetition_penalty=2, penalty_window=0), [4] * 8)


def test_penalties_see_sampled_tokens_too():
    greedy = sampler(temperature=0, presence_penalty=2)
    logits = [3, 2, 1.5, 0, 0, 0, 0, 0]
    assert [greedy.sample(np.array(logits, np.float32)) for _ in range(3)] == [0, 1, 2]


def test_logit_bias_raises_lowers_and_forbids():
    found = penalized([1] * 8, history=[], logit_bias={2: 3.5, 3: -1.0, 4: -math.inf})
    np.testing.assert_array_equal(found, [1, 1, 4.5, 0, -math.inf, 1, 1, 1])


def test_a_forbidden_token_is_never_drawn():
    assert_shares(drawn_shares([0.8, 0.1, 0.1], temperature=1, logit_bias={0: -math.inf}), [0, 0.5, 0.5])


def test_a_bias_on_a_token_outside_the_vocabulary_is_refused():
    with pytest.raises(InvalidRequestError) as caught:
        sampler(logit_bias={8: 1.0})
    assert str(caught.value) == ("logit_bias names token 8; the vocabulary has 8 tokens. Use token ids from 0 to 7.")


@pytest.mark.parametrize("bias", [math.nan, math.inf, 1e300])
def test_a_bias_that_is_no_number_to_compare_with_is_refused(bias):
    with pytest.raises(InvalidRequestError, match=r"Expected `float` <= 1000000.0"):
        sampler(logit_bias={3: bias})


def test_a_bias_too_low_to_compare_with_is_refused():
    with pytest.raises(InvalidRequestError) as caught:
        sampler(logit_bias={3: -1e300})
    assert str(caught.value) == (
        "logit_bias of token 3 is -1e+300; supported are -1e+06 to 1e+06 and -inf. Use -inf to forbid a token."
    )


def test_logits_that_are_not_numbers_are_refused_and_never_sampled():
    logits = np.zeros(VOCAB_SIZE, np.float32)
    logits[2] = np.nan
    with pytest.raises(MalformedModelError, match="logits that are not numbers"):
        sampler(temperature=0).sample(logits)


def test_forbidding_every_token_is_refused():
    with pytest.raises(InvalidRequestError, match="logit_bias forbids all 8 tokens"):
        sampler(logit_bias=dict.fromkeys(range(VOCAB_SIZE), -math.inf))


def test_the_file_recommends_and_the_request_decides():
    metadata = {
        "general.sampling.temp": 0.5,
        "general.sampling.top_k": 1,
        "general.sampling.top_p": 0.85,
        "general.sampling.min_p": 0.1,
        "general.sampling.penalty_repeat": 1.1,
        "general.sampling.mirostat": 2,
    }
    defaults = SamplingDefaults.from_metadata(metadata, Path("robot.gguf"))
    assert defaults == SamplingDefaults(0.5, 1, 0.85, 0.1, 1.1)
    assert_shares(drawn_shares([0.3, 0.7], defaults=defaults), [0, 1.0])
    assert_shares(
        drawn_shares([0.3, 0.7], defaults=defaults, temperature=1, top_k=0, top_p=1, min_p=0, repetition_penalty=1),
        [0.3, 0.7],
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("temp", "hot"), ("temp", -1.0), ("temp", math.nan), ("top_k", math.inf), ("min_p", 2.0), ("penalty_repeat", 0.0)],
)
def test_a_recommendation_that_no_request_could_ask_for_is_refused_by_name(key, value):
    with pytest.raises(MalformedModelError, match=rf"Key 'general.sampling.{key}' of robot.gguf is {value!r}: "):
        SamplingDefaults.from_metadata({f"general.sampling.{key}": value}, Path("robot.gguf"))
