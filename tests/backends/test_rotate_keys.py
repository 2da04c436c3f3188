"""Moving keys to other positions, as an endless generation does, against keys that were computed there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bonsai_edge.backend import Backend, Batch, ModelRunner
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.reference import ReferenceBackend
from bonsai_edge.rope import Rope
from bonsai_edge_cpu.plugin import CpuBackend
from bonsai_edge_cpu.runner import CpuRunner
from gguf_files import write_random_model

CONTEXT = 1024
TOKEN_IDS = np.random.default_rng(0).integers(0, 250, PAGE_TOKENS).astype(np.int32)
BACKENDS: list[tuple[type[Backend], KVType]] = [
    (backend, kv_type) for backend in (ReferenceBackend, CpuBackend) for kv_type in KVType
]


@dataclass(frozen=True)
class Loaded:
    runner: ModelRunner
    is_reference: bool

    def compute_page(self, page: int, first_position: int) -> None:
        """Fill a page with TOKEN_IDS at these positions; all pages before it in the sequence are page 0."""
        positions = np.arange(first_position, first_position + PAGE_TOKENS, dtype=np.int32)
        table = np.zeros((1, CONTEXT // PAGE_TOKENS), np.int32)
        table[0, first_position // PAGE_TOKENS] = page
        rows = np.zeros(PAGE_TOKENS, np.int32)
        self.runner.forward(Batch(TOKEN_IDS, positions, rows, table, rows[:0]))

    def keys_and_values(self, page: int) -> npt.NDArray[np.float32]:
        """Return what a page holds, float32 (2, num_layers, num_kv_heads, PAGE_TOKENS, head_dim)."""
        spec, content = self.runner.spec, self.runner.read_page(page)
        if self.is_reference:
            shape = (2, spec.num_layers, PAGE_TOKENS, spec.num_kv_heads, spec.head_dim)
            return content.view(np.float32).reshape(shape).swapaxes(2, 3)
        assert isinstance(self.runner, CpuRunner)
        planes = content.reshape(spec.num_layers, 2, spec.num_kv_heads, -1)
        return self.runner.kv_pages.decode(planes).swapaxes(0, 1)

    def rounding(self, keys: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return how far storing a key may move a value of it, whatever angle it is turned by."""
        kv_type = self.runner.kv_type
        if kv_type is KVType.F16 and self.is_reference:  # which keeps float32
            return np.float32(2**-22) * pair_norms(keys)
        if kv_type is KVType.F16:
            return np.float32(2**-11) * pair_norms(keys)
        peak = pair_norms(keys).max(axis=-1, keepdims=True)
        return peak / (254 if kv_type is KVType.Q8 else 15) * np.float32(1.001)  # a scale is rounded to float16


def pair_norms(keys: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the lengths of the pairs that RoPE turns, in the shape of the keys."""
    first, second = np.split(keys, 2, axis=-1)
    norms = np.hypot(first, second)
    return np.concatenate([norms, norms], axis=-1)


@pytest.fixture(scope="module", params=[True, False], ids=["yarn", "plain"])
def model_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(
        tmp_path_factory.mktemp("rotate") / "model.gguf",
        hidden=128,
        intermediate=128,
        heads=2,
        kv_heads=1,
        yarn=request.param,
    )


@pytest.fixture(scope="module", params=BACKENDS, ids=lambda each: f"{each[0].name}-{each[1].value}")
def loaded(request: pytest.FixtureRequest, model_path: Path) -> Iterator[Loaded]:
    backend, kv_type = request.param
    plan = MemoryPlan(context=128, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0, kv_type=kv_type)
    runner = backend().load(open_checkpoint(model_path), plan, 1)
    yield Loaded(runner, backend is ReferenceBackend)
    runner.close()


@pytest.mark.parametrize(("start", "distance"), [(64, -32), (512, -512), (992, -960), (32, 960)])
def test_moved_keys_are_the_keys_of_the_new_positions(loaded: Loaded, start: int, distance: int) -> None:
    """In the first layer, where a key depends on its own token and position alone."""
    loaded.compute_page(1, start)
    loaded.compute_page(2, start + distance)
    loaded.runner.rotate_keys(1, distance)
    moved, computed = loaded.keys_and_values(1)[0, 0], loaded.keys_and_values(2)[0, 0]
    # Rounded at the old position, turned with that error (√2 at most), and rounded again; the other rounded once.
    assert (np.abs(moved - computed) <= 3.5 * loaded.rounding(computed)).all()
    assert np.abs(moved).max() > 1


@pytest.mark.parametrize("distance", [-32, -512, 96])
def test_the_keys_of_all_layers_turn_by_ropes_angle_and_nothing_else_changes(loaded: Loaded, distance: int) -> None:
    loaded.compute_page(1, 512)
    loaded.compute_page(2, 512)
    keys, values = loaded.keys_and_values(1)
    loaded.runner.rotate_keys(1, distance)
    moved, values_after = loaded.keys_and_values(1)
    angles = distance * Rope(loaded.runner.spec).inverse_frequencies
    first, second = np.split(keys.astype(np.float64), 2, axis=-1)
    turned = (first + 1j * second) * np.exp(1j * angles)
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    assert (np.abs(moved - expected) <= 1.01 * loaded.rounding(keys)).all()
    np.testing.assert_array_equal(values_after, values)
    np.testing.assert_array_equal(loaded.keys_and_values(2), [keys, values])


def test_moving_there_and_back_restores_the_keys(loaded: Loaded) -> None:
    loaded.compute_page(1, 768)
    keys = loaded.keys_and_values(1)[0]
    loaded.runner.rotate_keys(1, -512)
    loaded.runner.rotate_keys(1, 512)
    assert (np.abs(loaded.keys_and_values(1)[0] - keys) <= 2.5 * loaded.rounding(keys)).all()
