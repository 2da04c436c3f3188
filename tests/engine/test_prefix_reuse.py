"""Sequences that begin alike share pages, and never see one another's tokens."""

from contextlib import ExitStack

import numpy as np
import pytest

from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.snapshot import PrefixSnapshot
from bonsai_edge.errors import InvalidRequestError, KVCacheFullError
from fake_runner import CountingRunner
from paging_checks import check_pages, taken_snapshot

TEXT = [token % 90 for token in range(100)]  # three pages and four tokens


@pytest.fixture
def runner():
    return CountingRunner()


@pytest.fixture
def engine(runner):
    return Engine(runner)


def compute(engine, prompt, max_tokens=0):
    """Open a sequence for a prompt and prefill what is not cached of it."""
    sequence = engine.open_prompt(prompt, max_tokens)
    sequence.prefill(prompt[sequence.length :])
    return sequence


def cached_tokens(engine, prompt, max_tokens=0):
    with engine.open_prompt(prompt, max_tokens) as sequence:
        return sequence.length


def positions(runner):
    return np.concatenate([batch.positions for batch in runner.batches]).tolist()


def test_a_prompt_that_was_computed_is_not_computed_again_but_for_its_last_token(engine, runner):
    with compute(engine, TEXT) as sequence:
        table = list(sequence._table.pages)
    runner.batches.clear()
    with compute(engine, TEXT) as sequence:
        assert sequence._table.pages[:3] == table[:3]
    assert positions(runner) == [99]


def test_what_was_decoded_is_reused_too(engine):
    with compute(engine, TEXT, max_tokens=10) as sequence:
        for token in (7, 8, 9):
            sequence.decode(token)
    assert cached_tokens(engine, [*TEXT, 7, 8, 9, 10]) == 103


@pytest.mark.parametrize("common", [1, 31, 32, 33, 64, 99])
def test_reuse_ends_at_the_first_token_that_differs(engine, runner, common):
    compute(engine, TEXT).close()
    prompt = [*TEXT[:common], 95, 96, 97]
    with engine.open_prompt(prompt, 0) as sequence:
        assert sequence.length == common
        sequence.prefill(prompt[common:])
        check_pages(engine, runner, {sequence: prompt})
    assert cached_tokens(engine, TEXT) == 99  # what the other text had is still whole


def test_a_running_sequence_shares_its_full_pages(engine, runner):
    with compute(engine, TEXT) as first, compute(engine, [*TEXT[:64], 95]) as second:
        assert second._table.pages[:2] == first._table.pages[:2]
        assert engine.pool.num_free == 8 - 5
        check_pages(engine, runner, {first: TEXT, second: [*TEXT[:64], 95]})


def test_two_sequences_that_compute_the_same_at_the_same_time_end_with_one_copy(engine, runner):
    with engine.open_prompt(TEXT, 0) as first, engine.open_prompt(TEXT, 0) as second:
        for start in range(0, 100, 10):
            first.prefill(TEXT[start : start + 10])
            second.prefill(TEXT[start : start + 10])
        assert second._table.pages[:3] == first._table.pages[:3]
        assert engine.pool.num_free == 8 - 5
        check_pages(engine, runner, {first: TEXT, second: TEXT})


def test_memory_does_not_multiply_by_the_number_of_clients(engine):
    prompts = [[*TEXT[:96], token] for token in range(5)]
    with ExitStack() as stack:
        for prompt in prompts:
            stack.enter_context(compute(engine, prompt))
        assert engine.num_free_pages == 0  # three pages shared by five, and one for each


def test_a_sequence_apart_neither_takes_from_the_cache_nor_adds_to_it(engine, runner):
    for _ in range(2):
        with engine.sequence(100) as sequence:
            assert sequence.length == 0
            sequence.prefill(TEXT)
    assert len(positions(runner)) == 200
    assert cached_tokens(engine, TEXT) == 0


def test_the_text_released_longest_ago_is_forgotten_first_and_from_its_end(engine):
    old, new = [1] * 95, [2] * 95
    compute(engine, old).close()
    compute(engine, new).close()
    compute(engine, [3] * 95).close()  # eight pages are too few for the last page of `old`
    assert cached_tokens(engine, old) == 64
    assert cached_tokens(engine, new) == 94
    compute(engine, [4] * 64).close()
    assert cached_tokens(engine, old) == 0 or cached_tokens(engine, new) == 94


def test_a_generation_that_was_admitted_gets_its_pages_though_the_cache_is_full(engine, runner):
    prompts = [[*TEXT[:40], 1], [*TEXT[:40], 2]]
    compute(engine, [9] * 250).close()
    first, second = (compute(engine, prompt, max_tokens=80) for prompt in prompts)
    for step in range(80):
        for sequence, prompt in ((first, prompts[0]), (second, prompts[1])):
            sequence.decode(step % 3)
            prompt.append(step % 3)
    check_pages(engine, runner, {first: prompts[0], second: prompts[1]})


def test_a_sequence_that_others_leave_no_room_for_is_refused_with_numbers(engine):
    with compute(engine, TEXT, max_tokens=60), pytest.raises(KVCacheFullError) as caught:
        engine.open_prompt([1] * 130, 0)
    assert caught.value.cause == (
        "130 tokens need 5 KV pages and 3 of 8 are free, because other generations or pinned prefixes hold the rest."
    )
    assert engine.num_free_pages == 8


def test_pages_shared_with_a_running_sequence_are_not_needed_twice(engine):
    with compute(engine, TEXT, max_tokens=60):
        with pytest.raises(KVCacheFullError, match=r"^250 tokens need 5 KV pages and 3 of 8 are free"):
            engine.open_prompt(TEXT, 150)
        with engine.open_prompt(TEXT, 92) as sequence:
            assert sequence.length == 96
            assert engine.num_free_pages == 0


def test_cached_pages_are_as_good_as_free_ones(engine):
    compute(engine, TEXT).close()
    compute(engine, [5] * 128).close()
    with engine.open_prompt(TEXT, 156) as sequence:
        assert sequence.length == 99
        assert engine.num_free_pages == 0


def test_when_no_page_is_free_for_a_copy_the_cached_one_is_written_on(engine, runner):
    compute(engine, [1] * 32).close()
    prompt = [*[1] * 10, 2, 3]
    with engine.sequence(7 * 32) as rest:
        rest.prefill([4] * 224)
        with compute(engine, prompt) as sequence:
            assert sequence._table.pages[0] not in rest._table.pages
            check_pages(engine, runner, {rest: [4] * 224, sequence: prompt})
    assert sorted(positions(runner)).count(0) == 2  # the ten tokens were not computed again


def test_a_fork_shares_all_pages_until_one_of_the_two_writes(engine, runner):
    with compute(engine, TEXT, max_tokens=10) as first, first.fork() as second:
        assert second._table.pages == first._table.pages
        assert engine.pool.num_free == 4
        second.decode(5)
        first.decode(6)
        assert engine.pool.num_free == 3
        check_pages(engine, runner, {first: [*TEXT, 6], second: [*TEXT, 5]})


def test_a_fork_holds_room_for_the_copy_that_it_may_cause(engine, runner):
    with compute(engine, TEXT, max_tokens=28) as first, first.fork() as second:
        assert engine.num_free_pages == 3
        with engine.sequence(96) as rest:
            with pytest.raises(KVCacheFullError, match=r"^128 tokens need 1 KV pages and 0 of 8 are free"):
                first.fork()
            rest.prefill([9] * 96)
            first.prefill([6] * 28)
            second.prefill([5] * 28)
            check_pages(engine, runner, {first: TEXT + [6] * 28, second: TEXT + [5] * 28, rest: [9] * 96})


def test_the_last_of_two_forks_writes_in_place(engine, runner):
    first = compute(engine, TEXT, max_tokens=10)
    with first.fork() as second:
        first.close()
        second.decode(5)
        assert second._table.pages == first._table.pages or engine.pool.num_free == 4
        check_pages(engine, runner, {second: [*TEXT, 5]})
        assert engine.pool.num_free == 4


def test_a_fork_of_whole_pages_needs_no_copy(engine):
    with compute(engine, TEXT[:64]) as first, first.fork():
        assert engine.num_free_pages == 6


def test_an_interrupted_step_that_runs_on_cannot_write_into_pages_of_others(engine, runner):
    compute(engine, [1] * 40).close()
    forward = runner.forward
    late = []

    def interrupted(batch):
        late.append(batch)
        raise KeyboardInterrupt

    def following(batch):  # as a team of threads, which does what it was told in order
        if late:
            forward(late.pop())
        return forward(batch)

    sequence = engine.open_prompt([2] * 10, 0)
    runner.forward = interrupted
    with pytest.raises(KeyboardInterrupt):
        sequence.prefill([2] * 10)
    sequence.close()
    runner.forward = following
    prompt = [*[1] * 40, 3, 3]
    with compute(engine, prompt) as sequence:
        check_pages(engine, runner, {sequence: prompt})


def test_a_restored_snapshot_is_found_as_if_it_had_been_computed(engine, runner):
    compute(engine, TEXT).close()
    snapshot = taken_snapshot(engine, [*TEXT, 7, 8])
    assert snapshot.token_ids == tuple(TEXT)
    assert [page.shape for page in snapshot.pages] == [(runner.page_bytes,)] * 4
    other_runner = CountingRunner()
    other = Engine(other_runner)
    assert other.restore(snapshot) == 100
    prompt = [*TEXT, 7]
    with compute(other, prompt) as sequence:
        check_pages(other, other_runner, {sequence: prompt})
    assert positions(other_runner) == [100]
    assert other.restore(snapshot) == 100
    assert other.num_free_pages == 8


def test_a_snapshot_of_what_is_not_cached_is_empty(engine):
    assert taken_snapshot(engine, TEXT) == PrefixSnapshot((), [])
    assert engine.restore(PrefixSnapshot((), [])) == 0


def test_a_snapshot_is_restored_as_far_as_there_are_free_pages(engine, runner):
    compute(engine, TEXT).close()
    snapshot = taken_snapshot(engine, TEXT)
    with engine.sequence(7 * 32) as rest:
        rest.prefill([9] * 224)
        assert engine.restore(snapshot) == 32
        check_pages(engine, runner, {rest: [9] * 224})
    with engine.sequence(8 * 32) as rest:
        rest.prefill([9] * 256)
        assert engine.restore(snapshot) == 0
    assert engine.restore(snapshot) == 100


def test_restoring_does_not_break_what_was_promised(engine, runner):
    compute(engine, TEXT).close()
    snapshot = taken_snapshot(engine, TEXT)
    with engine.sequence(8 * 32) as rest:
        engine.restore(snapshot)
        rest.prefill([9] * 256)
        check_pages(engine, runner, {rest: [9] * 256})


def test_a_snapshot_that_ends_early_is_restored_so_far(engine, runner):
    compute(engine, TEXT).close()
    snapshot = taken_snapshot(engine, TEXT)
    other_runner = CountingRunner()
    other = Engine(other_runner)
    assert other.restore(PrefixSnapshot(snapshot.token_ids, snapshot.pages[:2])) == 64
    check_pages(other, other_runner, {})


def test_pages_of_a_snapshot_are_held_until_it_is_read_and_others_go_on(engine, runner):
    compute(engine, TEXT).close()
    with engine.snapshot(TEXT) as snapshot:
        assert engine.num_free_pages == 4
        pages = iter(snapshot.pages)
        next(pages)
        with compute(engine, [*TEXT, 9]) as sequence:
            assert sequence.length == 101
        assert len(list(pages)) == 3
        with pytest.raises(KVCacheFullError):
            engine.sequence(5 * 32)
    assert engine.num_free_pages == 8
    check_pages(engine, runner, {})


def test_a_snapshot_of_pages_that_are_promised_is_refused(engine, runner):
    compute(engine, TEXT).close()
    with engine.sequence(6 * 32) as rest:
        with pytest.raises(KVCacheFullError), engine.snapshot(TEXT):
            pass
        rest.prefill([9] * 192)
        check_pages(engine, runner, {rest: [9] * 192})


def test_a_snapshot_is_what_was_known_though_its_last_page_is_written_on(engine, runner):
    with engine.open_prompt(TEXT[:40], 20) as sequence:
        sequence.prefill(TEXT[:40])
        with sequence.fork():
            pass  # closed, it lets others find the last page, which both share
        with engine.snapshot(TEXT[:40]) as snapshot:
            pages = iter(snapshot.pages)
            next(pages)
            sequence.prefill([7] * 20)
            assert [page.view(np.int32)[:9].tolist() for page in pages] == [[*TEXT[32:40], -1]]
        assert snapshot.token_ids == tuple(TEXT[:40])
        check_pages(engine, runner, {sequence: [*TEXT[:40], *[7] * 20]})


def test_a_snapshot_of_other_pages_is_refused(engine, runner):
    page = np.zeros(runner.page_bytes - 1, np.uint8)
    with pytest.raises(InvalidRequestError) as caught:
        engine.restore(PrefixSnapshot((1, 2), [page]))
    assert str(caught.value) == (
        "A page has 127 bytes, those of this model have 128. "
        "Restore it with the model and the KV type that it was taken with."
    )


def test_a_closed_engine_opens_nothing(engine):
    engine.close()
    for use in (lambda: engine.open_prompt([1], 1), lambda: taken_snapshot(engine, [1]), lambda: engine.sequence(1)):
        with pytest.raises(InvalidRequestError, match=r"^The model is closed\."):
            use()


def test_a_sequence_that_was_never_closed_is_missed_when_its_pages_are_needed(engine):
    compute(engine, TEXT)  # nobody keeps it
    assert engine.pool.num_free == 4
    with engine.sequence(256):
        assert engine.num_free_pages == 0
