"""Endless generation on a runner that keeps, instead of keys, which token stands at which position."""

import tracemalloc
from itertools import islice

import numpy as np
import pytest

from bonsai_edge.engine.batching import run_alone
from bonsai_edge.engine.context_shift import ShiftedContext
from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.sampling import Sampler, SamplingDefaults
from bonsai_edge.engine.token_generation import TokenGeneration
from bonsai_edge.errors import ContextOverflowError, KVCacheFullError
from bonsai_edge.generation import GenerationOptions
from bonsai_edge.kv_cache import PAGE_TOKENS
from fake_runner import CountingRunner
from paging_checks import check_pages

VOCAB_SIZE = 1000


class PositionsRunner(CountingRunner):
    """Keeps the position of every token, too, and moves it where a key would be turned."""

    def __init__(self, num_pages=8):
        super().__init__(VOCAB_SIZE, num_pages)
        self.page_bytes *= 2
        self.positions = np.full((num_pages, PAGE_TOKENS), -1, np.int32)
        self.num_rotated = 0

    def forward(self, batch):
        pages = batch.page_tables[batch.sequence_ids, batch.positions // PAGE_TOKENS]
        self.positions[pages, batch.positions % PAGE_TOKENS] = batch.positions
        return super().forward(batch)

    def read_page(self, page):
        return np.stack([self.pages[page], self.positions[page]]).reshape(-1).view(np.uint8)

    def write_page(self, page, content):
        self.pages[page], self.positions[page] = content.view(np.int32).reshape(2, -1)

    def rotate_keys(self, page, num_positions):
        self.positions[page] += num_positions
        self.num_rotated += 1


@pytest.fixture
def runner():
    return PositionsRunner()


@pytest.fixture
def engine(runner):
    return Engine(runner)


def generation(engine, prompt_ids=(5, 6, 7), *, max_tokens, context, num_sink_tokens=0, cancelled=lambda: False):
    sampler = Sampler(GenerationOptions(temperature=0), SamplingDefaults(), VOCAB_SIZE)
    shifted = ShiftedContext(context, num_sink_tokens)
    return TokenGeneration(engine, list(prompt_ids), sampler, max_tokens, (), cancelled, shifted)


def check(engine, runner, texts):
    """Check that every sequence has just these tokens, at positions without gaps, and that the books are right."""
    check_pages(engine, runner, texts)
    for sequence, text in texts.items():
        positions = runner.positions[sequence._table.pages].reshape(-1)[: len(text)]
        np.testing.assert_array_equal(positions, np.arange(len(text)))


@pytest.mark.parametrize(("length", "num_dropped"), [(96, 32), (127, 32), (128, 32), (160, 64), (250, 96), (256, 96)])
def test_the_older_half_of_the_pages_after_the_first_goes_and_the_rest_moves_up(engine, runner, length, num_dropped):
    with engine.open_shifted([1], length) as sequence:
        text = list(range(length))
        sequence.prefill(text)
        assert sequence.shift() == num_dropped
        text = text[:32] + text[32 + num_dropped :]
        check(engine, runner, {sequence: text})
        sequence.prefill(list(range(500, 500 + num_dropped)))
        check(engine, runner, {sequence: text + list(range(500, 500 + num_dropped))})


@pytest.mark.parametrize("context", [96, 100, 128, 200, 256])
def test_an_answer_goes_on_for_many_contexts_in_the_same_pages(engine, runner, context):
    endless = generation(engine, max_tokens=10 * context, context=context)
    token_ids = list(run_alone(endless))
    assert token_ids == [(8 + index) % VOCAB_SIZE for index in range(10 * context)]
    assert endless.finish_reason == "length"
    assert max(batch.positions[-1] for batch in runner.batches) == context - 1
    assert {page for batch in runner.batches for page in batch.page_tables[0]} == set(range(-(-context // 32)))
    assert endless.num_forgotten + context >= 3 + 10 * context > endless.num_forgotten
    assert engine.num_free_pages == 8


def test_a_page_is_turned_about_once_however_long_the_answer(engine, runner):
    endless = generation(engine, max_tokens=2560, context=256)
    list(run_alone(endless))
    assert endless.num_shifts == (2563 - 256) // 96 + 1 == endless.num_forgotten / 96
    assert runner.num_rotated / (endless.num_forgotten / PAGE_TOKENS) < 4 / 3 + 0.01  # 4 stay when 3 go


def test_what_fits_is_not_shifted_and_shares_pages_as_usual(engine):
    list(run_alone(generation(engine, range(40), max_tokens=88, context=128)))
    again = generation(engine, range(40), max_tokens=88, context=128)
    list(run_alone(again))
    assert (again.num_shifts, again.num_cached) == (0, 39)


def test_a_cached_prompt_is_begun_with_and_left_as_it_was(engine, runner):
    list(run_alone(generation(engine, range(100), max_tokens=28, context=128)))
    endless = generation(engine, range(100), max_tokens=300, context=128)
    list(run_alone(endless))
    assert endless.num_cached == 99
    assert endless.num_prefilled == 1
    check(engine, runner, {})
    with engine.open_prompt(list(range(100)), 1) as sequence:
        assert sequence.length == 99
        check(engine, runner, {sequence: list(range(99))})


def test_a_cached_prompt_that_fills_the_pool_is_begun_with_as_far_as_it_can_be_copied(engine, runner):
    list(run_alone(generation(engine, range(255), max_tokens=1, context=256)))
    endless = generation(engine, range(255), max_tokens=300, context=256)
    token_ids = list(run_alone(endless))
    assert token_ids[:3] == [255, 256, 257]
    assert endless.num_cached + endless.num_prefilled == 255
    check(engine, runner, {})


def test_an_answer_that_ends_before_the_context_is_full_is_cached_as_usual(engine, runner):
    short = run_alone(generation(engine, range(50), max_tokens=200, context=128))
    list(islice(short, 30))
    short.close()
    with engine.open_prompt(list(range(90)), 1) as sequence:
        assert sequence.length == 79  # the last token was not fed back
        check(engine, runner, {sequence: list(range(79))})


def test_pages_that_the_prefix_cache_knows_are_copied_before_they_are_changed(engine, runner):
    text = list(range(128))
    with engine.open_prompt(text, 0) as sequence:
        sequence.prefill(text)
        sequence.shift()
        check(engine, runner, {sequence: text[:32] + text[64:]})
    check(engine, runner, {})
    with engine.open_prompt(text, 0) as sequence:
        assert sequence.length == 127
        check(engine, runner, {sequence: text[:127]})


def test_nothing_of_a_shifted_sequence_is_found_by_later_ones(engine, runner):
    endless = generation(engine, range(50), max_tokens=200, context=128)
    list(run_alone(endless))
    later = generation(engine, range(50), max_tokens=1, context=128)
    list(run_alone(later))
    assert (endless.num_shifts, later.num_cached) == (4, 0)
    check(engine, runner, {})


def test_other_sequences_do_not_notice(engine, runner):
    with engine.open_prompt(list(range(64)), 64) as other:
        other.prefill(list(range(64)))
        running = run_alone(generation(engine, range(64), max_tokens=300, context=128))
        assert len(list(islice(running, 200))) == 200
        other.prefill([7] * 40)
        running.close()
        check(engine, runner, {other: [*range(64), *[7] * 40]})


def test_pages_that_a_fork_shares_are_copied_before_they_are_changed(engine, runner):
    text = list(range(96))
    with engine.sequence(96) as sequence, sequence.fork() as fork:
        sequence.prefill(text)
        with sequence.fork() as other:
            sequence.shift()
            check(engine, runner, {sequence: text[:32] + text[64:], fork: [], other: text})
            other.shift()
            check(engine, runner, {sequence: text[:32] + text[64:], fork: [], other: text[:32] + text[64:]})


def test_a_shift_without_pages_for_copies_is_refused_and_changes_nothing(runner):
    engine = Engine(PositionsRunner(num_pages=4))
    text = list(range(96))
    with engine.sequence(96) as sequence:
        sequence.prefill(text)
        with sequence.fork() as fork:
            with pytest.raises(KVCacheFullError) as caught:
                sequence.shift()
            assert caught.value.cause == (
                "Shifting the context needs 2 KV pages and 1 of 4 are free, because other sequences hold the rest."
            )
            check(engine, engine.runner, {sequence: text, fork: text})


def test_a_shift_is_cancelled_before_the_next_page(engine, runner):
    endless = generation(engine, max_tokens=500, context=256, cancelled=lambda: runner.num_rotated == 2)
    assert len(list(run_alone(endless))) == 254
    assert (endless.finish_reason, endless.num_shifts, runner.num_rotated) == ("cancelled", 0, 2)
    check(engine, runner, {})


def test_a_context_too_small_to_shift_is_refused_at_once_with_its_numbers(engine):
    with pytest.raises(ContextOverflowError) as caught:
        generation(engine, max_tokens=100, context=95)
    assert str(caught.value) == (
        "The prompt has 3 tokens, the answer may have 100, and a context of 95 is too small to be shifted. "
        "Load the model with a context of at least 96, or shorten the system's messages."
    )
    assert caught.value.details == {"prompt_tokens": 3, "limit": 95, "max_tokens": 100}
    generation(engine, max_tokens=92, context=95)  # fits without


@pytest.mark.parametrize(("num_sink_tokens", "num_sink_pages"), [(0, 1), (32, 1), (33, 2), (160, 5)])
def test_the_pages_of_the_first_tokens_that_must_stay_stay(engine, runner, num_sink_tokens, num_sink_pages):
    shifted = ShiftedContext(256, num_sink_tokens)
    assert (shifted.num_sink_pages, shifted.least_length) == (num_sink_pages, (num_sink_pages + 2) * 32)
    endless = generation(engine, range(200), max_tokens=500, context=256, num_sink_tokens=num_sink_tokens)
    list(run_alone(endless))
    kept = num_sink_pages * 32
    assert endless.forgotten.first_position == kept
    assert runner.pages[runner.batches[-1].page_tables[0, :num_sink_pages]].reshape(-1).tolist() == list(range(kept))


def test_memory_grows_by_the_answer_alone(engine, runner):
    endless = generation(engine, max_tokens=6000, context=128)
    running = run_alone(endless)
    list(islice(running, 1000))
    runner.batches.clear()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in islice(running, 4000):
            runner.batches.clear()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 4000 * 48  # a number and its place in the list of tokens
