"""The reference engine: its pieces against their definitions, and its batches against one another."""

from pathlib import Path

import numpy as np
import pytest

from bonsai_edge.backend import Batch
from bonsai_edge.engine.engine import Engine
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.reference import ReferenceBackend, ReferenceRunner, apply_rope, rms_norm, silu, softmax
from gguf_files import write_random_model

NUM_PAGES = 16


def make_runner(path: Path) -> ReferenceRunner:
    return ReferenceRunner(open_checkpoint(path), NUM_PAGES)


def logits_of(path: Path, token_ids: list[int]) -> np.ndarray:
    with Engine(make_runner(path)).sequence(len(token_ids)) as sequence:
        return sequence.logits(token_ids)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp("reference") / "model.gguf")


@pytest.fixture
def token_ids():
    return np.random.default_rng(3).integers(0, 256, 70).tolist()


def test_rms_norm_scales_each_row_to_unit_root_mean_square_times_the_weight():
    x = np.array([[3.0, -4.0, 0.0, 0.0], [1e-3, 1e-3, 1e-3, 1e-3]], np.float32)
    weight = np.array([1, 2, 3, 4], np.float32)
    expected = [[3 / 2.5, -8 / 2.5, 0, 0], np.array([1, 2, 3, 4]) / np.sqrt(2)]  # the second row is as small as eps
    np.testing.assert_allclose(rms_norm(x, weight, 1e-6), expected, rtol=1e-6)


def test_apply_rope_rotates_element_i_with_element_i_plus_half():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 2, 8), np.float32)
    angles = rng.uniform(0, 6, (3, 4)).astype(np.float32)
    rotated = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * angles)[:, None]
    expected = np.concatenate([rotated.real, rotated.imag], axis=-1)
    np.testing.assert_allclose(apply_rope(x, np.cos(angles), np.sin(angles)), expected, atol=1e-6)


def test_softmax_gives_probabilities_without_overflow():
    found = softmax(np.array([[1000, 1000, -np.inf], [0, np.log(3), -np.inf]], np.float32))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0], [0.25, 0.75, 0]], rtol=1e-6)


def test_silu_is_x_times_its_sigmoid_without_overflow():
    x = np.array([-1e4, -20, -1, 0, 1, 20, 1e4], np.float32)
    with np.errstate(over="raise"):
        found = silu(x)
    expected = x.astype(np.float64) / (1 + np.exp(np.minimum(-x.astype(np.float64), 700)))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_prefill_in_chunks_gives_the_logits_of_one_prefill(model_path, token_ids):
    expected = logits_of(model_path, token_ids)
    with Engine(make_runner(model_path)).sequence(len(token_ids)) as sequence:
        parts = [sequence.logits(token_ids[:1]), sequence.logits(token_ids[1:40]), sequence.logits(token_ids[40:])]
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=2e-5)


def test_decoding_one_by_one_gives_the_logits_of_prefill(model_path, token_ids):
    expected = logits_of(model_path, token_ids)
    with Engine(make_runner(model_path)).sequence(len(token_ids)) as sequence:
        found = np.array([sequence.decode(token_id) for token_id in token_ids])
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_later_tokens_do_not_change_earlier_logits(model_path, token_ids):
    changed = token_ids[:50] + [token_id ^ 1 for token_id in token_ids[50:]]
    first, second = logits_of(model_path, token_ids), logits_of(model_path, changed)
    np.testing.assert_allclose(first[:50], second[:50], atol=2e-5)
    assert np.abs(first[50:] - second[50:]).max(axis=1).min() > 0.1


def test_order_matters(model_path):
    assert np.abs(logits_of(model_path, [5, 6, 7])[-1] - logits_of(model_path, [6, 5, 7])[-1]).max() > 0.01


def test_sequences_in_one_batch_give_the_logits_that_each_gives_alone(model_path):
    """Two sequences of different length, rows interleaved, pages scattered and out of order."""
    rng = np.random.default_rng(4)
    first, second = rng.integers(0, 256, 50), rng.integers(0, 256, 40)
    expected = np.concatenate([logits_of(model_path, first.tolist()), logits_of(model_path, second.tolist())])
    sequence_ids = np.repeat([0, 1], [50, 40])
    positions = np.concatenate([np.arange(50), np.arange(40)])
    order = np.argsort(positions, kind="stable")
    batch = Batch(
        token_ids=np.concatenate([first, second])[order].astype(np.int32),
        positions=positions[order].astype(np.int32),
        sequence_ids=sequence_ids[order].astype(np.int32),
        page_tables=np.array([[9, 2, -1], [7, 11, -1]], np.int32),
        logit_rows=np.arange(90, dtype=np.int32),
    )
    found = np.empty_like(expected)
    found[order] = make_runner(model_path).forward(batch)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_logits_come_for_the_rows_that_want_them_in_their_order(model_path, token_ids):
    expected = logits_of(model_path, token_ids[:20])
    batch = Batch(
        token_ids=np.array(token_ids[:20], np.int32),
        positions=np.arange(20, dtype=np.int32),
        sequence_ids=np.zeros(20, np.int32),
        page_tables=np.array([[3]], np.int32),
        logit_rows=np.array([19, 4], np.int32),
    )
    np.testing.assert_allclose(make_runner(model_path).forward(batch), expected[[19, 4]], atol=2e-5)


def test_a_page_boundary_changes_nothing(model_path):
    token_ids = np.random.default_rng(5).integers(0, 256, PAGE_TOKENS + 1).tolist()
    whole = logits_of(model_path, token_ids)
    with Engine(make_runner(model_path)).sequence(len(token_ids)) as sequence:
        sequence.prefill(token_ids[:PAGE_TOKENS])
        np.testing.assert_allclose(sequence.decode(token_ids[-1]), whole[-1], atol=2e-5)


@pytest.mark.parametrize("ggml_type", ["F32", "F16"])
def test_types_that_hold_the_same_weights_give_the_same_logits(tmp_path, model_path, token_ids, ggml_type):
    expanded = write_random_model(tmp_path / "expanded.gguf", ggml_type=ggml_type)
    np.testing.assert_array_equal(logits_of(expanded, token_ids), logits_of(model_path, token_ids))


@pytest.mark.parametrize("ggml_type", ["BF16", "Q8_0"])
def test_types_that_round_the_weights_give_nearly_the_same_logits(tmp_path, model_path, token_ids, ggml_type):
    rounded = write_random_model(tmp_path / "rounded.gguf", ggml_type=ggml_type)
    found, expected = logits_of(rounded, token_ids), logits_of(model_path, token_ids)
    assert 0 < np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_an_untied_model_projects_with_its_output_matrix(tmp_path, token_ids):
    path = write_random_model(tmp_path / "untied.gguf", tied=False)
    checkpoint = open_checkpoint(path)
    swapped = dict(checkpoint.tensors) | {"output.weight": checkpoint.tensors["token_embd.weight"]}
    runner = make_runner(path)
    runner.tensors = swapped
    with Engine(runner).sequence(70) as sequence:
        as_if_tied = sequence.logits(token_ids)
    assert np.abs(logits_of(path, token_ids) - as_if_tied).max() > 0.1


def test_the_attention_may_be_wider_than_the_hidden_size(tmp_path, token_ids):
    path = write_random_model(tmp_path / "wide.gguf", hidden=128, heads=4, kv_heads=1, head_dim=64)
    logits = logits_of(path, token_ids)
    assert logits.shape == (70, open_checkpoint(path).spec.vocab_size)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("kv_type", KVType)
def test_the_backend_announces_the_size_of_a_page_before_loading(model_path, kv_type):
    runner = ReferenceRunner(open_checkpoint(model_path), NUM_PAGES, kv_type)
    assert ReferenceBackend().page_bytes(runner.spec, kv_type) == runner.page_bytes
