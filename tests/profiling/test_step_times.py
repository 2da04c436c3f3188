from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.measuring import timed_model
from bonsai_edge.measuring.synthetic_model import matrix_bytes, synthetic_checkpoint
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge.profiling import step_times
from bonsai_edge.profiling.step_times import synthetic_models, time_steps
from bonsai_edge.reference import ReferenceBackend
from synthetic_steps import SMALL, CountingBackend

MIB = 1 << 20


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_model, "_TURN_S", 0.0)
    monkeypatch.setattr(step_times, "_ROUNDS", 2)


def test_every_kind_of_step_is_timed_at_the_beginning_and_deep_inside() -> None:
    backend = CountingBackend()
    models = [synthetic_checkpoint(SMALL), synthetic_checkpoint(replace(SMALL, num_layers=2))]
    narrow, wide = time_steps(backend, models, KVType.F16, 1, 1 << 40)
    assert (narrow.depth, narrow.chunk_rows) == (2048, 8)
    assert (narrow.spec.num_layers, wide.spec.num_layers) == (1, 2)
    assert min(narrow.decode_s, narrow.deep_decode_s, narrow.chunk_s, narrow.deep_chunk_s, wide.decode_s) > 0
    steps = [(len(batch.token_ids), int(batch.positions[0])) for batch in backend.runners[0].batches[1:]]
    assert set(steps) == {(1, 0), (1, 2048), (8, 0), (8, 2048)}
    assert len(steps) == 2 * 4 * 2  # rounds, kinds, and one of each that is not counted


def test_only_single_tokens_ask_for_logits_and_every_page_has_been_written() -> None:
    backend = CountingBackend()
    time_steps(backend, [synthetic_checkpoint(SMALL)], KVType.F16, 1, 1 << 40)
    (runner,) = backend.runners
    assert all(len(batch.logit_rows) == (len(batch.token_ids) == 1) for batch in runner.batches)
    assert (runner.pages >= 0).all()


def test_depth_is_what_memory_affords_in_whole_pages_but_not_nothing() -> None:
    bytes_per_token = SMALL.kv_bytes_per_token(KVType.F16)
    (times,) = time_steps(CountingBackend(), [synthetic_checkpoint(SMALL)], KVType.Q4, 1, 8 * 1000 * bytes_per_token)
    assert times.depth == 1000 // PAGE_TOKENS * PAGE_TOKENS
    (times,) = time_steps(CountingBackend(), [synthetic_checkpoint(SMALL)], KVType.Q4, 1, 1)
    assert times.depth == 4 * PAGE_TOKENS


def test_a_slow_backend_gets_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_times, "_ENOUGH_S", 0.0)
    backend = CountingBackend()
    time_steps(backend, [synthetic_checkpoint(SMALL)], KVType.F16, 1, 1 << 40)
    assert len(backend.runners[0].batches) == 1 + 4 * 2


def weights(spec: ModelSpec) -> int:
    return sum(matrix_bytes(spec).values())


def test_models_have_as_many_layers_as_an_eighth_of_the_memory_holds() -> None:
    narrow, wide = synthetic_models(512 * MIB)
    assert (narrow.spec.hidden_size, wide.spec.hidden_size) == (2048, 4096)
    assert (narrow.spec.num_layers, wide.spec.num_layers) == (5, 1)
    assert narrow.num_bytes == weights(narrow.spec)


def test_a_synthetic_model_computes_finite_numbers() -> None:
    checkpoint = synthetic_checkpoint(SMALL)
    (times,) = time_steps(ReferenceBackend(), [checkpoint], KVType.F16, 1, 1)
    assert times.decode_s > 0
    assert np.isfinite(checkpoint.tensors["blk.0.ffn_up.weight"].dequantize()).all()
    assert checkpoint.tensors["blk.0.attn_q_norm.weight"].dequantize().tolist() == [[1.0] * 64]
