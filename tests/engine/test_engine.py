import numpy as np
import pytest

from bonsai_edge.engine.engine import Engine
from bonsai_edge.errors import InvalidRequestError, KVCacheFullError
from fake_runner import CountingRunner


@pytest.fixture
def runner():
    return CountingRunner()


@pytest.fixture
def engine(runner):
    return Engine(runner)


def test_prefill_goes_in_chunks_and_asks_for_the_last_logits_only(engine, runner):
    with engine.sequence(40) as sequence:
        logits = sequence.prefill(list(range(40)))
    assert [len(batch.token_ids) for batch in runner.batches] == [8, 16, 16]
    assert [batch.logit_rows.tolist() for batch in runner.batches] == [[], [], [15]]
    np.testing.assert_array_equal(np.concatenate([batch.positions for batch in runner.batches]), np.arange(40))
    assert logits.shape == (100,)
    assert logits.argmax() == 40


def test_chunks_grow_while_they_are_quick_and_shrink_when_one_is_slow(engine):
    engine.adapt_chunk(8, elapsed_s=0.01)
    assert engine.chunk_rows == 16
    engine.adapt_chunk(3, elapsed_s=0.01)  # the short end of a prompt says nothing against longer chunks
    assert engine.chunk_rows == 16
    engine.adapt_chunk(16, elapsed_s=0.07)
    assert engine.chunk_rows == 16
    engine.adapt_chunk(16, elapsed_s=0.2)
    assert engine.chunk_rows == 8
    engine.adapt_chunk(8, elapsed_s=5.0)  # on a slow board fewer rows would only read the weights more often
    assert engine.chunk_rows == 8


def test_a_runner_says_how_few_rows_are_worth_a_step(runner):
    runner.least_prefill_rows = 16
    engine = Engine(runner)
    assert engine.chunk_rows == 16
    engine.adapt_chunk(16, elapsed_s=5.0)
    assert engine.chunk_rows == 16


def test_decode_continues_where_prefill_ended(engine, runner):
    with engine.sequence(8) as sequence:
        sequence.prefill([5, 6, 7])
        assert sequence.decode(8).argmax() == 9
        assert sequence.length == 4
    last = runner.batches[-1]
    assert (last.token_ids.tolist(), last.positions.tolist(), last.logit_rows.tolist()) == ([8], [3], [0])


def test_logits_are_returned_for_every_token_across_chunks(engine):
    token_ids = list(range(30, 70))
    with engine.sequence(40) as sequence:
        logits = sequence.logits(token_ids)
    assert logits.shape == (40, 100)
    np.testing.assert_array_equal(logits.argmax(axis=1), np.array(token_ids) + 1)


def test_logits_outlive_the_next_step(engine):
    with engine.sequence(8) as sequence:
        first = sequence.prefill([1])
        sequence.decode(50)
    assert first.argmax() == 2


def test_a_cancelled_prefill_stops_before_the_next_chunk(engine, runner):
    answers = iter([False, True])
    with engine.sequence(64) as sequence:
        assert sequence.prefill([1] * 64, lambda: next(answers)) is None
    assert len(runner.batches) == 1


def test_sequences_hold_different_pages_until_they_are_closed(engine, runner):
    with engine.sequence(64) as first, engine.sequence(64) as second:
        first.prefill([1])
        second.prefill([1])
        assert engine.num_free_pages == 4
    held = [set(batch.page_tables[0].tolist()) for batch in runner.batches]
    assert held[0].isdisjoint(held[1])
    assert engine.num_free_pages == 8


def test_pages_come_back_when_a_generation_fails(engine):
    def fail():
        with engine.sequence(256):
            assert engine.num_free_pages == 0
            raise RuntimeError("the generation failed")

    with pytest.raises(RuntimeError, match="the generation failed"):
        fail()
    assert engine.num_free_pages == 8


def test_a_sequence_that_does_not_fit_is_refused(engine):
    with engine.sequence(200), pytest.raises(KVCacheFullError):
        engine.sequence(100)


def test_a_sequence_that_the_garbage_collector_closes_during_a_step_blocks_nothing(engine, runner):
    abandoned = engine.sequence(8)
    step = runner.forward

    def forward_and_collect(batch):
        abandoned.__exit__(None, None, None)  # what closing a forgotten generator does, in the thread of the step
        return step(batch)

    runner.forward = forward_and_collect
    with engine.sequence(8) as sequence:
        assert sequence.prefill([1]).argmax() == 2
    assert engine.num_free_pages == runner.num_pages


def test_a_closed_engine_refuses_steps(engine):
    with engine.sequence(8) as sequence:
        engine.close()
        engine.close()
        with pytest.raises(InvalidRequestError, match=r"^The model is closed\. Load it again\.$"):
            sequence.prefill([1])
