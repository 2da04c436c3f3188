from pathlib import Path

import pytest

from bonsai_edge.engine.engine import Engine
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.profiling.throughput import decode_speeds, prefill_speeds
from fake_runner import CountingRunner
from gguf_files import write_random_model


@pytest.fixture
def runner(tmp_path: Path) -> CountingRunner:
    spec = open_checkpoint(write_random_model(tmp_path / "model.gguf")).spec
    runner = CountingRunner(spec.vocab_size)
    runner.spec = spec
    return runner


def test_prefill_runs_the_whole_prompt_once_more_than_it_counts(runner: CountingRunner) -> None:
    engine = Engine(runner)
    speeds = list(prefill_speeds(engine, 20, repetitions=3))
    assert len(speeds) == 3
    assert min(speeds) > 0
    assert sum(len(batch.token_ids) for batch in runner.batches) == 20 * 4
    assert engine.num_free_pages == runner.num_pages


def test_decode_starts_every_repetition_from_an_empty_context(runner: CountingRunner) -> None:
    engine = Engine(runner)
    speeds = list(decode_speeds(engine, 5, repetitions=2))
    assert len(speeds) == 2
    assert [batch.positions.tolist() for batch in runner.batches] == [[0], *[[0], [1], [2], [3], [4]] * 2]
    assert all(len(batch.logit_rows) == 1 for batch in runner.batches)
    assert engine.num_free_pages == runner.num_pages


def test_token_ids_are_random_within_the_vocabulary_and_the_same_every_time(runner: CountingRunner) -> None:
    engine = Engine(runner)
    list(decode_speeds(engine, 40, repetitions=2))
    ids = [int(batch.token_ids[0]) for batch in runner.batches]
    assert ids[1:41] == ids[41:]
    assert len(set(ids)) > 20
    assert min(ids) >= 0
    assert max(ids) < runner.vocab_size
