"""What `bonsai_edge.backend` asks of every backend, against the reference: one suite for all of them.

A backend takes part by a line in `candidates`. What is a backend's own is tested in a folder of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bonsai_edge.backend import Backend, Batch, ModelRunner
from bonsai_edge.engine.engine import Engine
from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.reference import ReferenceBackend
from candidates import CANDIDATES, Candidate
from gguf_files import WeightType, write_random_model

Logits = npt.NDArray[np.float32]
Same = Callable[[Logits, Logits], None]

PLAN = MemoryPlan(context=256, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)
TOKEN_IDS: list[int] = np.random.default_rng(0).integers(0, 250, 80).tolist()
SHAPES: list[dict[str, int | bool]] = [
    {"heads": 4, "kv_heads": 2, "head_dim": 64},
    {"heads": 2, "kv_heads": 2, "head_dim": 128, "tied": False},
    {"hidden": 128, "heads": 4, "kv_heads": 1, "head_dim": 64, "yarn": False},
    {"hidden": 384, "intermediate": 128, "heads": 4, "kv_heads": 2, "head_dim": 32, "layers": 1},
]


@pytest.fixture(scope="module", params=CANDIDATES, ids=lambda candidate: candidate.name)
def candidate(request: pytest.FixtureRequest) -> Candidate:
    return request.param


@pytest.fixture(scope="module")
def backend(candidate: Candidate) -> Backend:
    return candidate.make()


@pytest.fixture(scope="module")
def same(candidate: Candidate) -> Same:
    """Assert that logits are those of the same rows, as exactly as the backend promises."""
    return lambda found, expected: assert_close(found, expected, candidate.tolerance)


@pytest.fixture(scope="module", params=list(KVType), ids=lambda kv_type: kv_type.value)
def plan(request: pytest.FixtureRequest, backend: Backend) -> MemoryPlan:
    return _plan(backend, request.param)


@pytest.fixture(scope="module", params=[KVType.Q8, KVType.Q4], ids=lambda kv_type: kv_type.value)
def quantized(request: pytest.FixtureRequest, backend: Backend) -> MemoryPlan:
    return _plan(backend, request.param)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("contract") / "model.gguf")


@pytest.fixture
def runner(backend: Backend, model_path: Path) -> Iterator[ModelRunner]:
    with loaded(backend, model_path) as runner:
        yield runner


def _plan(backend: Backend, kv_type: KVType) -> MemoryPlan:
    if kv_type not in backend.kv_types:
        pytest.skip(f"The backend '{backend.name}' has no KV cache of type {kv_type.value}.")
    return replace(PLAN, kv_type=kv_type)


@contextmanager
def loaded(backend: Backend, path: Path, plan: MemoryPlan = PLAN) -> Iterator[ModelRunner]:
    runner = backend.load(open_checkpoint(path), plan, 1)
    try:
        yield runner
    finally:
        runner.close()


def all_logits(backend: Backend, path: Path, plan: MemoryPlan = PLAN) -> Logits:
    """Return the logits of TOKEN_IDS, computed as a prompt."""
    with loaded(backend, path, plan) as runner, Engine(runner).sequence(len(TOKEN_IDS)) as sequence:
        return sequence.logits(TOKEN_IDS)


def assert_close(found: Logits, expected: Logits, tolerance: float) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def cosine(a: Logits, b: Logits) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def compute(
    runner: ModelRunner, token_ids: Sequence[int], start: int, pages: Sequence[int], wanted: Sequence[int] = ()
) -> Logits:
    """Run tokens of one sequence from a position on; return the logits of the rows `wanted`, or of the last."""
    positions = np.arange(start, start + len(token_ids), dtype=np.int32)
    rows = np.array(list(wanted) or [len(token_ids) - 1], np.int32)
    zeros, table = np.zeros(len(token_ids), np.int32), np.array([pages], np.int32)
    return runner.forward(Batch(np.array(token_ids, np.int32), positions, zeros, table, rows)).copy()


def test_a_probe_gives_its_reason_and_its_rank(backend: Backend) -> None:
    found = backend.probe()
    assert found.available, found.reason
    assert found.reason.endswith(".")
    assert found.score >= 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_logits_of_1_bit_weights_agree_with_the_reference(
    tmp_path: Path, candidate: Candidate, backend: Backend, shape: dict[str, int | bool]
) -> None:
    path = write_random_model(tmp_path / "model.gguf", **shape)  # type: ignore[arg-type]
    if candidate.head_dims is not None and shape["head_dim"] not in candidate.head_dims:
        with pytest.raises(UnsupportedModelError, match=f"heads of {shape['head_dim']} values"):
            backend.load(open_checkpoint(path), PLAN)
        return
    found = all_logits(backend, path)
    assert cosine(found, all_logits(ReferenceBackend(), path)) > candidate.least_cosine


@pytest.mark.parametrize("ggml_type", ["F32", "F16", "BF16", "Q8_0"])
def test_other_weights_agree_with_the_reference_or_are_refused(
    tmp_path: Path, backend: Backend, ggml_type: WeightType
) -> None:
    path = write_random_model(tmp_path / "model.gguf", ggml_type=ggml_type)
    try:
        found = all_logits(backend, path)
    except UnsupportedModelError as refusal:
        assert ggml_type in str(refusal)  # noqa: PT017  (either is right, but which type it was must be said)
    else:
        assert cosine(found, all_logits(ReferenceBackend(), path)) > 0.99999  # the KV cache may be float16


def test_a_quantized_cache_loses_what_the_reference_loses(
    candidate: Candidate, backend: Backend, model_path: Path, quantized: MemoryPlan
) -> None:
    """The reference rounds keys and values exactly as the type says; rounded activations add a little."""
    rounded, exact = all_logits(backend, model_path, quantized), all_logits(backend, model_path)
    reference = all_logits(ReferenceBackend(), model_path, quantized), all_logits(ReferenceBackend(), model_path)
    lost, expected = 1 - cosine(rounded, exact), 1 - cosine(*reference)
    assert lost == pytest.approx(expected, rel=0.5, abs=1 - candidate.least_cosine)


def test_heads_that_do_not_divide_into_groups_are_refused_for_a_quantized_cache(
    tmp_path: Path, backend: Backend, quantized: MemoryPlan
) -> None:
    if isinstance(backend, ReferenceBackend):
        pytest.skip("The reference is for tests alone, and rounds what it is given.")
    path = write_random_model(tmp_path / "model.gguf", hidden=384, heads=8, kv_heads=4, head_dim=16)
    with pytest.raises(UnsupportedModelError, match="16") as caught:
        backend.load(open_checkpoint(path), quantized)
    assert caught.value.remedy


def test_decoding_gives_the_logits_of_prefilling(
    candidate: Candidate, backend: Backend, model_path: Path, plan: MemoryPlan
) -> None:
    with loaded(backend, model_path, plan) as runner, Engine(runner).sequence(len(TOKEN_IDS)) as sequence:
        sequence.prefill(TOKEN_IDS[:60])
        decoded = np.array([sequence.decode(token_id) for token_id in TOKEN_IDS[60:]])
    # What is not the same to the last bit may be rounded to another code of a quantized type.
    tolerance = candidate.tolerance if plan.kv_type is KVType.F16 else 1000 * candidate.tolerance
    assert_close(decoded, all_logits(backend, model_path, plan)[60:], tolerance)


def test_chunks_of_a_prompt_may_have_any_size(backend: Backend, model_path: Path, same: Same) -> None:
    with loaded(backend, model_path) as runner:
        assert 1 <= runner.least_prefill_rows <= runner.max_batch_rows
        whole = compute(runner, TOKEN_IDS[:64], 0, [0, 1])
        start = 0
        for size in (1, 2, 3, 5, 8, 13, 32):
            last = compute(runner, TOKEN_IDS[start : start + size], start, [2, 3])
            start += size
    same(last, whole)


def test_a_batch_may_be_as_large_as_the_runner_says(runner: ModelRunner, same: Same) -> None:
    """With as many sequences of one token, and logits of all of them."""
    num_rows = min(runner.max_batch_rows, runner.num_pages)
    token_ids = np.array(TOKEN_IDS[:num_rows], np.int32)
    rows, pages = np.arange(num_rows, dtype=np.int32), np.arange(num_rows, dtype=np.int32)[:, None]
    together = runner.forward(Batch(token_ids, np.zeros(num_rows, np.int32), rows, pages, rows)).copy()
    same(together, np.concatenate([compute(runner, [token_id], 0, [0]) for token_id in token_ids.tolist()]))


def test_sequences_in_one_batch_do_not_touch_one_another(runner: ModelRunner, same: Same) -> None:
    """Of different lengths, two of them under way, on pages that are scattered and out of order."""
    tables = [[5, -1], [2, 0], [7, 3]]
    compute(runner, TOKEN_IDS[:20], 0, tables[1])
    compute(runner, TOKEN_IDS[:33], 0, tables[2])
    starts, lengths = (0, 20, 33), (3, 24, 1)
    parts = [TOKEN_IDS[start : start + length] for start, length in zip(starts, lengths, strict=True)]
    batch = Batch(
        token_ids=np.concatenate(parts).astype(np.int32),
        positions=np.concatenate([s + np.arange(n) for s, n in zip(starts, lengths, strict=True)]).astype(np.int32),
        sequence_ids=np.repeat(np.arange(3), lengths).astype(np.int32),
        page_tables=np.array(tables, np.int32),
        logit_rows=np.array([2, 26, 27], np.int32),
    )
    together = runner.forward(batch).copy()
    for sequence, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        same(together[sequence : sequence + 1], compute(runner, TOKEN_IDS[: start + length], 0, [4, 6]))


def test_rows_of_sequences_may_be_interleaved(runner: ModelRunner, same: Same) -> None:
    first, second = TOKEN_IDS[:9], TOKEN_IDS[30:39]
    token_ids = np.array([first, second], np.int32).T.ravel()
    positions = np.repeat(np.arange(9, dtype=np.int32), 2)
    sequence_ids = np.tile(np.array([0, 1], np.int32), 9)
    tables = np.array([[6], [1]], np.int32)
    found = runner.forward(Batch(token_ids, positions, sequence_ids, tables, np.array([16, 17], np.int32))).copy()
    same(found[:1], compute(runner, first, 0, [2]))
    same(found[1:], compute(runner, second, 0, [3]))


def test_logits_come_for_the_rows_that_want_them_in_their_order(runner: ModelRunner, same: Same) -> None:
    everything = compute(runner, TOKEN_IDS[:20], 0, [3], range(20))
    same(compute(runner, TOKEN_IDS[:20], 0, [3], [19, 4]), everything[[19, 4]])
    nothing = Batch(*(np.zeros(1, np.int32) for _ in range(3)), np.array([[5]], np.int32), np.zeros(0, np.int32))
    assert runner.forward(nothing).shape == (0, runner.spec.vocab_size)


def test_what_a_page_held_before_does_not_count(runner: ModelRunner, same: Same) -> None:
    fresh = compute(runner, TOKEN_IDS[:40], 0, [0, 1])
    for page in (4, 5):
        compute(runner, TOKEN_IDS[48:80], 0, [page])
    same(compute(runner, TOKEN_IDS[:40], 0, [4, 5]), fresh)


def test_a_page_that_is_copied_or_carried_to_another_runner_gives_the_same_logits(
    backend: Backend, model_path: Path, plan: MemoryPlan
) -> None:
    with loaded(backend, model_path, plan) as first, loaded(backend, model_path, plan) as second:
        compute(first, TOKEN_IDS[:40], 0, [0, 1])
        for page in range(2):
            first.copy_page(page, page + 2)
            second.write_page(5 - page, first.read_page(page))
        assert first.page_layout == second.page_layout
        expected = compute(first, TOKEN_IDS[40:45], 40, [0, 1])
        assert compute(first, TOKEN_IDS[40:45], 40, [2, 3]).tobytes() == expected.tobytes()
        assert compute(second, TOKEN_IDS[40:45], 40, [5, 4]).tobytes() == expected.tobytes()


def test_the_size_of_a_page_is_known_before_loading(backend: Backend, model_path: Path, plan: MemoryPlan) -> None:
    with loaded(backend, model_path, plan) as runner:
        assert runner.page_bytes == backend.page_bytes(runner.spec, plan.kv_type)
        assert runner.read_page(3).shape == (runner.page_bytes,)
        assert runner.read_page(3).dtype == np.uint8
        assert runner.num_pages == plan.num_pages
        assert backend.scratch_bytes(runner.spec, 2, 4) >= backend.scratch_bytes(runner.spec, 1, 1) >= 0
    assert backend.compiler_bytes(plan.kv_type) >= 0


@pytest.mark.parametrize("yarn", [True, False])
@pytest.mark.parametrize("start", [96, 160])
def test_keys_that_are_moved_are_those_of_the_other_positions(
    tmp_path: Path, backend: Backend, plan: MemoryPlan, yarn: bool, start: int
) -> None:
    """In a model of one layer, whose keys and values depend on nothing but their token and its position."""
    path = write_random_model(tmp_path / "model.gguf", layers=1, yarn=yarn)
    moved_ids, distance = TOKEN_IDS[:PAGE_TOKENS], PAGE_TOKENS - start
    with loaded(backend, path, plan) as runner:
        compute(runner, TOKEN_IDS[40 : 40 + PAGE_TOKENS], 0, [0])  # the page that the moved one comes to stand behind
        compute(runner, moved_ids, PAGE_TOKENS, [0, 1])
        there = compute(runner, [7], 2 * PAGE_TOKENS, [0, 1, 2])
        pages = [0] * (start // PAGE_TOKENS) + [3]
        compute(runner, moved_ids, start, pages)
        unmoved = compute(runner, [7], 2 * PAGE_TOKENS, [0, 3, 4])
        runner.rotate_keys(3, distance)
        moved = compute(runner, [7], 2 * PAGE_TOKENS, [0, 3, 5])
    far, near = (1 - cosine(found, there) for found in (unmoved, moved))
    assert near < 0.1 * far, (near, far)
