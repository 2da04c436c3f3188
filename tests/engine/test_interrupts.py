"""KeyboardInterrupt may strike at any line of the engine: pages are never given to two, and none is lost for good."""

import linecache
import sys
from pathlib import Path

import pytest

import bonsai_edge.engine
from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.pins import PinnedPrefixes
from bonsai_edge.errors import KVCacheFullError
from fake_runner import CountingRunner
from paging_checks import check_pages, taken_snapshot

FOLDER = str(Path(bonsai_edge.engine.__file__).parent)
TEXT = [token % 90 for token in range(75)]


class InterruptAfter:
    """Raises KeyboardInterrupt at one line of the engine's files, the `number`-th that is run.

    Lines with `with` are left out: they are traced once more before the lock is given back, where the interpreter
    itself never looks for signals.
    """

    def __init__(self, number):
        self._left = number
        self.has_struck = False

    def __enter__(self):
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def _trace(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        if event == "line" and not self.has_struck and not _is_with(frame):
            self._left -= 1
            if self._left == 0:
                self.has_struck = True
                raise KeyboardInterrupt
        return self._trace


def _is_with(frame):
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with ")


def use(engine, pins):
    """Do everything that moves pages once."""
    with engine.open_prompt(TEXT, 30) as first:
        first.prefill(TEXT[first.length :])
        with first.fork() as second:
            second.prefill([1] * 8)
            first.prefill([2] * 25)
    snapshot = taken_snapshot(engine, TEXT)
    pins.pin("a", TEXT[:40])
    with engine.sequence(96) as apart:
        apart.prefill([3] * 96)
        pins.unpin("a")
    with engine.open_prompt([*TEXT[:70], 4], 0) as third:
        third.prefill([*TEXT[:70], 4][third.length :])
    engine.restore(snapshot)


def test_every_line_may_be_interrupted():
    number, has_struck = 0, True
    while has_struck:
        number += 1
        runner = CountingRunner(num_pages=6)
        engine = Engine(runner)
        pins = PinnedPrefixes(engine)
        with InterruptAfter(number) as interrupt:
            try:
                use(engine, pins)
            except KeyboardInterrupt as error:
                error.__traceback__ = None  # holds the frames, and they the sequences
        has_struck = interrupt.has_struck
        for name in pins.num_tokens:
            pins.unpin(name)
        read_back(engine, runner)
        with engine.sequence(6 * 32):
            assert engine.num_free_pages == 0
        check_pages(engine, runner, {})
    assert number > 500


def read_back(engine, runner):
    """Check that sequences have their tokens, though pages may still be lost and counts too high."""
    prompts = [[*TEXT, 5], [*TEXT, *[1] * 9], [*TEXT[:70], *[4] * 8]]
    sequences = []
    for prompt in prompts:
        try:
            sequence = engine.open_prompt(prompt, 0)
        except KVCacheFullError:
            pytest.fail("pages were lost")
        sequence.prefill(prompt[sequence.length :])
        sequences.append(sequence)
    for sequence, prompt in zip(sequences, prompts, strict=True):
        assert runner.pages[sequence._table.pages].reshape(-1)[: len(prompt)].tolist() == prompt
    for sequence in sequences:
        sequence.close()


@pytest.mark.parametrize("rest_writes_first", [True, False])
def test_pages_that_an_interrupt_has_lost_are_found_when_running_sequences_need_them(monkeypatch, rest_writes_first):
    runner = CountingRunner(num_pages=3)
    engine = Engine(runner)
    with engine.open_prompt(TEXT[:40], 24) as first:
        first.prefill(TEXT[:40])
        with monkeypatch.context() as patch, first.fork() as second:
            patch.setattr(engine.pool, "release", interrupt)
            with pytest.raises(KeyboardInterrupt):
                second.decode(1)  # in its own copy; that it has left the shared page is not counted any more
        with engine.sequence(32) as rest:
            steps = [lambda: first.prefill([2] * 24), lambda: rest.decode(3)]
            for step in reversed(steps) if rest_writes_first else steps:
                step()
            check_pages(engine, runner, {first: [*TEXT[:40], *[2] * 24], rest: [3]})


def interrupt(page):
    raise KeyboardInterrupt
