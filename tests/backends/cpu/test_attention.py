"""Attention and the writing of keys and values, against plain NumPy and against themselves in other batches."""

import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from bonsai_edge.cpu_step.isa_choice import ISA_VARIABLE
from bonsai_edge.cpu_step.kv_pages import KVPages
from bonsai_edge.cpu_step.tables import StepInput, Weights, make_dimensions
from bonsai_edge.cpu_step.workspace import Workspace, make_workspace
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType, round_to
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge.reference import softmax
from bonsai_edge_cpu.isa.selection import BEST_FIRST, cpu_features, selected_isa
from bonsai_edge_cpu.kernels.attention import attend
from bonsai_edge_cpu.kernels.kv_write import write_keys_values
from bonsai_edge_cpu.kernels.quantization import TABLE_TOKENS
from python_calls import callable_from_python

_attend, _write_keys_values = callable_from_python(attend), callable_from_python(write_keys_values)

Floats = npt.NDArray[np.float32]
Row = tuple[int, int]
"""Index of a sequence, position."""


class Model:
    """One layer of attention with a random cache; the context of each sequence lies in pages of its own, shuffled."""

    def __init__(
        self, heads: int, kv_heads: int, head_dim: int, kv_type: KVType = KVType.F16, *, contexts: Sequence[int]
    ) -> None:
        self.spec = ModelSpec("", "", 2, 128, 128, heads, kv_heads, head_dim, 1, max(contexts), 1e-6, 1e4, None, True)
        self.dims = make_dimensions(self.spec)
        rng = np.random.default_rng(0)
        num_pages = [-(-context // PAGE_TOKENS) for context in contexts]
        shuffled = rng.permutation(sum(num_pages)).astype(np.int32)
        self.page_tables = np.full((len(contexts), max(num_pages)), -1, np.int32)
        for sequence, end in enumerate(np.cumsum(num_pages)):
            own = shuffled[end - num_pages[sequence] : end]
            self.page_tables[sequence, : len(own)] = own
        self.pages = KVPages(self.spec, len(shuffled), kv_type)
        self.page_shape = (2, 2, kv_heads, PAGE_TOKENS, head_dim)
        for page in range(len(shuffled)):
            self.write(page, rng.standard_normal(self.page_shape, np.float32))
        self.queries = [rng.standard_normal((context, heads * head_dim), np.float32) * 3 for context in contexts]

    def inputs(self, rows: Sequence[Row]) -> StepInput:
        sequence_ids, positions = np.array(rows, np.int32).T.copy()
        angles = positions[:, None] * 0.7 ** np.arange(self.dims.head_dim // 2, dtype=np.float32)
        cos, sin = np.cos(angles, dtype=np.float32), np.sin(angles, dtype=np.float32)
        empty = np.zeros(0, np.int32)
        return StepInput(positions * 0, positions, sequence_ids, self.page_tables, empty, cos, sin)

    def work(self, num_rows: int, num_threads: int) -> Workspace:
        work = make_workspace(self.spec, num_rows, num_threads, TABLE_TOKENS)
        for array in (work.q, work.k, work.v, work.attention, work.attention_scratch):
            array.fill(np.nan)
        return work

    def read(self, page: int) -> Floats:
        """Return what a page stands for, float32 (layers, keys and values, kv_heads, PAGE_TOKENS, head_dim)."""
        return self.pages.decode(self.pages.read(page).reshape(*self.page_shape[:3], -1))

    def write(self, page: int, content: Floats) -> None:
        self.pages.write(page, self.pages.encode(content))

    def head_norms(self, q_norm: Floats, k_norm: Floats) -> Weights:
        records, floats = np.zeros((1, 1, 5), np.int64), np.zeros((1, 1), np.float32)
        return Weights(records, records[0, 0], records[0, 0], floats, floats, q_norm, k_norm, floats[0])

    def attend(self, rows: Sequence[Row], num_threads: int = 1) -> Floats:
        work = self.work(len(rows), num_threads)
        work.q[:] = [self.queries[sequence][position] for sequence, position in rows]
        for thread in range(num_threads):
            _attend(1, self.dims, self.inputs(rows), self.pages.planes, work, thread, num_threads)
        return work.attention

    def expected(self, row: Row) -> Floats:
        sequence, position = row
        dims = self.dims
        pages = self.page_tables[sequence, : position // PAGE_TOKENS + 1]
        cached = np.stack([self.read(page)[1] for page in pages]).transpose(1, 2, 0, 3, 4)
        k, v = cached.reshape(2, dims.num_kv_heads, -1, dims.head_dim)[:, :, : position + 1]
        q = self.queries[sequence][position].reshape(dims.num_kv_heads, -1, dims.head_dim)
        scores = np.einsum("kgd,kld->kgl", q, k) / np.float32(np.sqrt(dims.head_dim))
        return np.einsum("kgl,kld->kgd", softmax(scores), v).ravel()


SHAPES = {
    "GQA": (16, 8, 128),
    "group_of_3": (6, 2, 64),
    "MHA": (4, 4, 64),
    "MQA": (40, 1, 48),
    "small": (4, 2, 16),
    "GQA_q8": (16, 8, 128, KVType.Q8),
    "GQA_q4": (16, 8, 128, KVType.Q4),
    "group_of_3_q8": (6, 2, 64, KVType.Q8),
    "group_of_3_q4": (6, 2, 64, KVType.Q4),
    "MQA_q8": (40, 1, 96, KVType.Q8),
    "MQA_q4": (40, 1, 96, KVType.Q4),
}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
POSITIONS = (0, 1, 15, 16, 31, 32, 33, 63, 64, 100, 1000, 1023, 1024, 1030)


@shapes
def test_attention_agrees_with_numpy(shape) -> None:
    model = Model(*shape, contexts=[1100, 300])
    rows = [(0, position) for position in POSITIONS] + [(1, 299)]
    for row, found in zip(rows, model.attend(rows), strict=True):
        np.testing.assert_allclose(found, model.expected(row), rtol=0, atol=1e-5, err_msg=str(row))


@shapes
def test_a_row_has_the_same_bits_alone_and_in_any_batch(shape) -> None:
    model = Model(*shape, contexts=[1100, 1040, 70])
    alone = {
        (sequence, position): model.attend([(sequence, position)])[0]
        for sequence, context in enumerate((1100, 1040, 70))
        for position in POSITIONS
        if position < context
    }
    batches = {
        "one prompt": [(0, position) for position in range(40)],
        "a chunk across pages": [(0, position) for position in range(25, 105)],
        "a chunk in the depth": [(0, position) for position in range(995, 1032)],
        "a chunk that begins elsewhere": [(0, position) for position in range(998, 1031)],
        "with gaps": [(0, position) for position in POSITIONS],
        "sequences decoding together": [(0, 1030), (1, 33), (2, 64), (1, 1000)],
        "prefill beside decode": [(1, 1024), *((2, position) for position in range(70)), (0, 100)],
        "rows of sequences in turn": [(sequence, position) for position in (31, 32, 33) for sequence in (2, 0, 1)],
    }
    for name, rows in batches.items():
        for num_threads in (1, 2, 3, 5):
            found = model.attend(rows, num_threads)
            for index, row in enumerate(rows):
                if row in alone:
                    assert found[index].tobytes() == alone[row].tobytes(), (name, num_threads, row)


def test_what_a_masked_position_holds_changes_nothing() -> None:
    model = Model(4, 2, 64, contexts=[96])
    rows = [(0, position) for position in range(40, 56)]
    before = model.attend(rows)
    second, third = model.page_tables[0, 1:]
    content = model.read(second)
    content[:, :, :, 50 - 32 :] = np.nan
    model.write(second, content)
    model.write(third, np.full_like(content, np.inf))
    after = model.attend(rows)
    assert after[:10].tobytes() == before[:10].tobytes()
    assert np.isnan(after[10:]).all()


def test_large_scores_do_not_overflow() -> None:
    model = Model(4, 2, 64, contexts=[200])
    model.queries[0] *= 1e4
    found = model.attend([(0, 199)])[0]
    np.testing.assert_allclose(found, model.expected((0, 199)), rtol=0, atol=1e-5)


@shapes
@pytest.mark.parametrize("num_threads", [1, 3])
def test_new_queries_keys_and_values_are_normalized_rotated_and_stored(shape, num_threads) -> None:
    model = Model(*shape, contexts=[70, 40])
    dims, rng = model.dims, np.random.default_rng(1)
    rows = [*((0, position) for position in range(30, 66)), (1, 0), (1, 39)]
    inputs, work = model.inputs(rows), model.work(len(rows), num_threads)
    for array in (work.q, work.k, work.v):
        array[:] = rng.standard_normal(array.shape, np.float32) * 2
    norms = model.head_norms(*rng.standard_normal((2, 2, dims.head_dim), np.float32))
    q, k = (
        normalized_and_rotated(x.reshape(len(rows), -1, dims.head_dim), weight[1], inputs.cos, inputs.sin)
        for x, weight in ((work.q, norms.q_norm), (work.k, norms.k_norm))
    )
    content = [model.read(page) for page in range(model.page_tables.max() + 1)]
    for row, (sequence, position) in enumerate(rows):
        page, slot = model.page_tables[sequence, position // PAGE_TOKENS], position % PAGE_TOKENS
        content[page][1, 0, :, slot] = round_to(model.pages.kv_type, k[row])
        content[page][1, 1, :, slot] = round_to(model.pages.kv_type, work.v[row].reshape(-1, dims.head_dim))
    for thread in range(num_threads):
        _write_keys_values(1, dims, norms, inputs, model.pages.planes, work, thread, num_threads)
    np.testing.assert_allclose(work.q, q.reshape(len(rows), -1), rtol=1e-5, atol=2e-6)
    num_other = 0
    for page, expected in enumerate(content):
        found = model.read(page)
        np.testing.assert_array_equal(found[:, 1], expected[:, 1])
        np.testing.assert_array_equal(found[0, 0], expected[0, 0])
        step = {KVType.F16: 2.0**-10, KVType.Q8: 1 / 127, KVType.Q4: 2 / 15}[model.pages.kv_type]
        peaks = np.abs(expected[1, 0]).max(axis=-1, keepdims=True)
        assert (np.abs(found[1, 0] - expected[1, 0]) <= 1.01 * step * peaks).all()
        num_other += np.count_nonzero(found[1, 0] != expected[1, 0])
    # Calculated in another order, a key may be rounded to a neighbouring number.
    assert num_other < 0.01 * len(rows) * model.spec.kv_size


def normalized_and_rotated(x: Floats, weight: Floats, cos: Floats, sin: Floats) -> Floats:
    """RMSNorm of float32 (num_tokens, heads, head_dim), then RoPE on the pairs (i, i + head_dim / 2)."""
    x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(1e-6)) * weight
    first, second = np.split(x, 2, axis=-1)
    cos, sin = cos[:, None], sin[:, None]
    return np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


@pytest.mark.parametrize("isa", BEST_FIRST, ids=lambda isa: isa.name)
def test_attention_of_every_instruction_set_agrees_too(isa) -> None:
    if not isa.is_supported(cpu_features()):
        pytest.skip(f"this processor has no {isa.name}")
    if isa.name == selected_isa().name:
        pytest.skip(f"{isa.name} is what the other tests of this run use")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "group_of_3"]
    child = subprocess.run(
        command,
        env=os.environ | {ISA_VARIABLE: isa.name},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stdout
