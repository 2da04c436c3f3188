from contextlib import closing

import pytest

from bonsai_edge.engine.batching import run_alone
from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.sampling import Sampler, SamplingDefaults
from bonsai_edge.engine.token_generation import TokenGeneration
from bonsai_edge.generation import GenerationOptions
from fake_runner import CountingRunner

PROMPT = [1, 2, 3]


@pytest.fixture
def engine():
    return Engine(CountingRunner())


def generation(engine, *, max_tokens=5, stop_ids=(), cancelled=lambda: False):
    sampler = Sampler(GenerationOptions(), SamplingDefaults(), engine.runner.vocab_size)
    return TokenGeneration(engine, PROMPT, sampler, max_tokens, stop_ids, cancelled)


def test_it_ends_after_max_tokens_with_reason_length(engine):
    counting = generation(engine, max_tokens=5)
    assert list(run_alone(counting)) == counting.token_ids == [4, 5, 6, 7, 8]
    assert counting.finish_reason == "length"


def test_the_last_token_is_not_run_through_the_model(engine):
    counting = generation(engine, max_tokens=5)
    list(run_alone(counting))
    assert counting.num_decode_steps == 4
    assert len(engine.runner.batches) == 1 + 4


def test_a_stop_token_ends_it_and_is_left_out(engine):
    counting = generation(engine, stop_ids={6})
    assert list(run_alone(counting)) == [4, 5]
    assert counting.finish_reason == "stop"


def test_a_stop_token_at_once_gives_no_token(engine):
    counting = generation(engine, stop_ids={4})
    assert list(run_alone(counting)) == []
    assert counting.finish_reason == "stop"


def test_cancelling_ends_it_before_the_next_step(engine):
    counting = generation(engine, cancelled=lambda: len(counting.token_ids) == 2)
    assert list(run_alone(counting)) == [4, 5]
    assert counting.finish_reason == "cancelled"
    assert counting.num_decode_steps == 1


def test_cancelling_before_prefill_gives_no_token(engine):
    counting = generation(engine, cancelled=lambda: True)
    assert list(run_alone(counting)) == []
    assert counting.finish_reason == "cancelled"
    assert engine.runner.batches == []


def test_pages_for_prompt_and_answer_are_held_to_the_end_of_the_iteration(engine):
    counting = run_alone(generation(engine, max_tokens=100))
    assert engine.num_free_pages == 8
    next(counting)
    assert engine.num_free_pages == 4
    list(counting)
    assert engine.num_free_pages == 8


def test_closing_the_iterator_gives_the_pages_back(engine):
    with closing(run_alone(generation(engine))) as counting:
        next(counting)
        assert engine.num_free_pages == 7
    assert engine.num_free_pages == 8


def test_interleaved_generations_do_not_disturb_each_other(engine):
    first, second = generation(engine), generation(engine)
    pairs = list(zip(run_alone(first), run_alone(second), strict=True))
    assert pairs == [(token, token) for token in (4, 5, 6, 7, 8)]


def test_times_are_measured(engine):
    counting = generation(engine)
    list(run_alone(counting))
    assert counting.prefill_s > 0
    assert counting.decode_s > 0


def test_a_slow_consumer_is_not_counted_as_decoding(engine, monkeypatch):
    now = 0.0
    monkeypatch.setattr("bonsai_edge.engine.token_generation.time.perf_counter", lambda: now)
    counting = generation(engine, max_tokens=3)
    for _ in run_alone(counting):
        now += 100.0
    assert counting.decode_s == 0.0


def test_a_generation_cancelled_before_its_first_step_has_prefilled_nothing(engine):
    counting = generation(engine, cancelled=lambda: True)
    assert list(run_alone(counting)) == []
    assert (counting.finish_reason, counting.num_prefilled) == ("cancelled", 0)
