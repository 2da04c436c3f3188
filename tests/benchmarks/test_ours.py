"""Our side of the comparison does the work that a case names, with no KV page that two sequences share."""

import numpy as np
import pytest

from gguf_files import write_random_model
from speed.case import Case
from speed.ours import BonsaiEdge

ALONE, DEEP, TOGETHER = Case("decode", 5), Case("decode", 3, depth=70), Case("decode", 4, num_sequences=3)
PROMPT = Case("prefill", 40)
CASES = [ALONE, PROMPT, DEEP, TOGETHER]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    path = write_random_model(tmp_path_factory.mktemp("model") / "random.gguf")
    engine = BonsaiEdge(path, "reference", 1, CASES)
    engine.prepare(CASES)
    return engine


@pytest.fixture
def batches(engine, monkeypatch):
    """Every batch that the runner gets."""
    recorded = []
    forward = engine._engine.runner.forward

    def record(batch):
        recorded.append(batch)
        return forward(batch)

    monkeypatch.setattr(engine._engine.runner, "forward", record)
    return recorded


def test_decode_runs_one_token_of_each_sequence_a_step(engine, batches):
    assert engine.run(TOGETHER) > 0
    assert [batch.positions.tolist() for batch in batches] == [[step] * 3 for step in range(4)]
    for batch in batches:
        assert batch.sequence_ids.tolist() == batch.logit_rows.tolist() == [0, 1, 2]
        first_pages = batch.page_tables[:, 0]
        assert len(set(first_pages)) == 3
        assert first_pages.min() >= 0


def test_decode_at_a_depth_continues_a_filled_context(engine, batches):
    engine.prepare([DEEP])
    written = np.concatenate([batch.positions for batch in batches])
    assert np.isin(np.arange(70), written).all()
    batches.clear()
    engine.run(DEEP)
    assert [batch.positions.tolist() for batch in batches] == [[70], [71], [72]]
    assert (batches[0].page_tables[0, :3] >= 0).all()


def test_prompt_has_logits_for_its_last_token_only(engine, batches):
    engine.run(PROMPT)
    assert sum(len(batch.positions) for batch in batches) == 40
    assert sum(len(batch.logit_rows) for batch in batches) == 1


def test_cases_can_be_repeated_without_end(engine):
    free = engine._engine.num_free_pages
    assert all(engine.run(case) > 0 for _ in range(3) for case in CASES)
    assert engine._engine.num_free_pages == free


def test_the_backend_is_named(engine):
    assert engine.describe() == "reference"
