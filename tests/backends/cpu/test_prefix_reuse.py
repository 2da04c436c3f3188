"""With the real kernels, an answer is the same to the last bit whether its prompt was cached or not."""

import numpy as np
import pytest

import bonsai_edge
from bonsai_edge.generation import Message
from gguf_files import write_random_model
from paging_checks import taken_snapshot

SYSTEM = Message("system", "You turn what people say into commands of a robot. Answer with JSON only, and be brief.")
QUESTIONS = ["pick up the red cube", "pick up the red cup and bring it to me", "go to the kitchen"]
GREEDY, SEEDED = {"temperature": 0}, {"temperature": 1.0, "seed": 11, "top_k": 50}


@pytest.fixture(scope="module")
def random_path(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp("cpu") / "model.gguf")


@pytest.fixture(params=["random", "seedling"])
def load(request, random_path):
    def load():
        model = random_path if request.param == "random" else "seedling"
        return bonsai_edge.load(model, backend="cpu", context=512)

    return load


def prompts():
    return [[SYSTEM, Message("user", question)] for question in QUESTIONS]


@pytest.mark.parametrize("options", [GREEDY, SEEDED], ids=["greedy", "seeded"])
def test_answers_do_not_depend_on_what_is_cached(load, options):
    cold = []
    for prompt in prompts():
        with load() as model:
            cold.append(model.generate_text(prompt, max_tokens=24, **options))
    with load() as model:
        warm = [model.generate_text(prompt, max_tokens=24, **options) for prompt in [*prompts(), *prompts()]]
    assert [result.token_ids for result in warm] == 2 * [result.token_ids for result in cold]
    assert [result.usage.cached_tokens > 0 for result in warm] == [False, *[True] * 5]
    assert all(result.usage.cached_tokens == 0 for result in cold)


@pytest.mark.parametrize("num_cached", [1, 31, 32, 33, 90, 149])
def test_logits_after_a_cached_prefix_have_the_same_bits(load, num_cached):
    token_ids = np.random.default_rng(1).integers(0, 250, 150).tolist()
    with load() as model:
        cold = model.logits(token_ids)
        with model.engine.open_prompt([*token_ids[:num_cached], 0], 0) as sequence:
            sequence.prefill(token_ids[:num_cached])
        with model.engine.open_prompt(token_ids, 0) as sequence:
            assert sequence.length == num_cached
            warm = sequence.logits(token_ids[num_cached:])
    np.testing.assert_array_equal(warm, cold[num_cached:])


def test_a_snapshot_restored_in_another_model_gives_the_same_bits(load):
    token_ids = np.random.default_rng(2).integers(0, 250, 100).tolist()
    with load() as model:
        cold = model.logits(token_ids)
        with model.engine.open_prompt(token_ids, 0) as sequence:
            sequence.prefill(token_ids)
        snapshot = taken_snapshot(model.engine, token_ids)
    with load() as model:
        assert model.engine.restore(snapshot) == 100
        with model.engine.open_prompt(token_ids, 0) as sequence:
            assert sequence.length == 99
            np.testing.assert_array_equal(sequence.prefill(token_ids[99:]), cold[99])


def test_forks_that_go_different_ways_have_the_bits_of_whole_runs(load):
    token_ids = np.random.default_rng(3).integers(0, 250, 50).tolist()
    ends = [[5] * 20, [6] * 20]
    with load() as model:
        cold = [model.logits(token_ids + end)[-1] for end in ends]
        with model.engine.open_prompt(token_ids, 20) as first:
            first.prefill(token_ids)
            with first.fork() as second:
                warm = [first.prefill(ends[0]), second.prefill(ends[1])]
    np.testing.assert_array_equal(warm, cold)
