from contextlib import ExitStack

import numpy as np
import pytest

from bonsai_edge.engine.batching import advance, run_alone
from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.sampling import Sampler, SamplingDefaults
from bonsai_edge.engine.token_generation import TokenGeneration
from bonsai_edge.errors import KVCacheFullError, MalformedModelError
from bonsai_edge.generation import GenerationOptions
from fake_runner import CountingRunner


@pytest.fixture
def engine():
    return Engine(CountingRunner(num_pages=16))


def generation(engine, prompt_ids, *, max_tokens=6, cancelled=lambda: False, **options):
    options = GenerationOptions(**options)
    sampler = Sampler(options, SamplingDefaults(), engine.runner.vocab_size)
    return TokenGeneration(engine, prompt_ids, sampler, max_tokens, (), cancelled, options=options)


def run_together(engine, generations):
    with ExitStack() as stack:
        for each in generations:
            each.open()
            stack.callback(each.close)
        while running := [each for each in generations if each.finish_reason is None]:
            advance(engine, running)


def test_tokens_together_are_those_alone(engine):
    prompts = [[1, 2, 3], list(range(40)), [50]]
    generations = [generation(engine, prompt) for prompt in prompts]
    run_together(engine, generations)
    alone = [list(run_alone(generation(engine, prompt))) for prompt in prompts]
    assert [each.token_ids for each in generations] == alone
    assert engine.num_free_pages == 16


def test_what_decodes_and_what_is_prefilled_share_a_step(engine):
    decoding, long = generation(engine, [1, 2, 3]), generation(engine, list(range(40)))
    decoding.open()
    advance(engine, [decoding])
    long.open()
    advance(engine, [decoding, long])
    (batch,) = engine.runner.batches[1:]
    assert np.bincount(batch.sequence_ids).tolist() == [1, 8]
    assert batch.logit_rows.tolist() == [0]
    assert decoding.token_ids == [4, 5]
    assert long.prefill_progress == (len(batch.token_ids) - 1, 40)


def test_decoding_goes_on_in_every_step_of_another_s_prefill(engine):
    decoding, long = generation(engine, [1], max_tokens=50), generation(engine, list(range(90)))
    decoding.open()
    advance(engine, [decoding])
    long.open()
    num_steps = 0
    while not long.token_ids:
        advance(engine, [long, decoding])
        num_steps += 1
    assert len(decoding.token_ids) == 1 + num_steps


def test_prompts_are_computed_in_their_order_when_a_step_has_no_room_for_both(engine):
    first, second = generation(engine, list(range(60))), generation(engine, list(range(60, 90)))
    first.open()
    second.open()
    advance(engine, [first, second])
    assert first.prefill_progress[0] > 0
    assert second.prefill_progress[0] == 0


def test_a_suspended_generation_goes_on_as_if_nothing_had_happened(engine):
    interrupted = generation(engine, list(range(40)), max_tokens=30)
    interrupted.open()
    while len(interrupted.token_ids) < 10:
        advance(engine, [interrupted])
    interrupted.suspend()
    assert engine.num_free_pages == 16
    num_batches = len(engine.runner.batches)
    interrupted.open()
    while interrupted.finish_reason is None:
        advance(engine, [interrupted])
    assert interrupted.token_ids == [(40 + index) % 100 for index in range(30)]
    rows = [len(batch.token_ids) for batch in engine.runner.batches[num_batches:]]
    assert rows == [1] * 20, "what is still cached is not computed again"


def test_what_was_forgotten_meanwhile_is_computed_again(engine):
    interrupted = generation(engine, list(range(40)), max_tokens=30)
    interrupted.open()
    while len(interrupted.token_ids) < 10:
        advance(engine, [interrupted])
    interrupted.suspend()
    with engine.sequence(16 * 32) as everything:
        everything.prefill([99] * (16 * 32))
    interrupted.open()
    while interrupted.finish_reason is None:
        advance(engine, [interrupted])
    assert interrupted.token_ids == [(40 + index) % 100 for index in range(30)]
    assert interrupted.num_prefilled == 40 + 40 + 10


def test_an_error_concerns_only_its_own_generation(engine):
    healthy, broken = generation(engine, [1]), generation(engine, [2])
    healthy.open()
    broken.open()
    broken._sampler.sample = _fail
    outcomes = advance(engine, [healthy, broken])
    assert outcomes[0] == 2
    assert isinstance(outcomes[1], MalformedModelError)


def _fail(logits):
    raise MalformedModelError("The logits are not numbers.", "Download the file again.")


def test_one_that_is_cancelled_takes_no_part(engine):
    running, cancelled = generation(engine, [1]), generation(engine, [2], cancelled=lambda: True)
    running.open()
    cancelled.open()
    assert advance(engine, [cancelled, running]) == [None, 2]
    assert cancelled.finish_reason == "cancelled"
    assert len(engine.runner.batches[0].token_ids) == 1


def test_a_step_of_nothing_but_cancelled_ones_computes_nothing(engine):
    cancelled = generation(engine, [2], cancelled=lambda: True)
    cancelled.open()
    assert advance(engine, [cancelled]) == [None]
    assert engine.runner.batches == []


def test_there_must_be_room_for_all_that_are_open(engine):
    first = generation(engine, [1], max_tokens=300)
    first.open()
    with pytest.raises(KVCacheFullError):
        generation(engine, [2], max_tokens=300).open()


def test_time_ends_it_with_what_there_is(engine, monkeypatch):
    now = 0.0
    monkeypatch.setattr("bonsai_edge.engine.token_generation.time.perf_counter", lambda: now)
    limited = generation(engine, [1], max_time_s=2.0)
    for _ in run_alone(limited):
        now += 0.75
    assert (limited.finish_reason, limited.token_ids) == ("time", [2, 3, 4])


def test_repetition_ends_it():
    engine = Engine(CountingRunner(vocab_size=5))
    repeating = generation(engine, [4], max_tokens=100, max_repeats=3)
    assert list(run_alone(repeating)) == [0, 1, 2, 3, 4] * 3
    assert repeating.finish_reason == "repetition"


def test_the_times_between_tokens_are_known(engine, monkeypatch):
    now = 0.0
    monkeypatch.setattr("bonsai_edge.engine.token_generation.time.perf_counter", lambda: now)
    timed = generation(engine, [1], max_tokens=11)
    for number, _ in enumerate(run_alone(timed)):
        now += 1.0 if number < 9 else 11.0
    assert timed.first_token_s == 0.0
    assert timed.inter_token_s.p50 == 1.0
    assert timed.inter_token_s.p99 == pytest.approx(10.1)


def test_one_token_has_no_time_between(engine):
    single = generation(engine, [1], max_tokens=1)
    list(run_alone(single))
    assert single.inter_token_s is None
