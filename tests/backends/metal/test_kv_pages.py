"""Planes of keys and values against the arithmetic of `bonsai_edge.kv_cache`."""

import shutil

import mlx.core as mx
import numpy as np
import pytest

from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import GROUP_VALUES, KVType, quantize, round_to
from bonsai_edge_metal import kv_pages
from bonsai_edge_metal.decoder import swiglu
from bonsai_edge_metal.kv_pages import KVPages
from gguf_files import write_random_model


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return open_checkpoint(write_random_model(tmp_path_factory.mktemp("kv") / "model.gguf")).spec


@pytest.fixture
def x(spec):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((70, spec.num_kv_heads, spec.head_dim)) * 10.0 ** rng.uniform(-3, 3, (70, 1, 1))
    x[3] = 0
    return x.astype(np.float32)


@pytest.mark.parametrize("kv_type", list(KVType))
@pytest.mark.parametrize("scattered", [False, True])
def test_what_is_stored_comes_back_rounded_as_the_type_says(spec, x, kv_type, scattered) -> None:
    plane = KVPages(spec, 8, kv_type).planes[1][0]
    slots = mx.array(np.random.default_rng(1).permutation(256)[:70]) if scattered else slice(32, 102)
    plane.store(slots, mx.array(x))
    np.testing.assert_array_equal(np.array(plane.load(slots, mx.float32)), round_to(kv_type, x))


@pytest.mark.parametrize(("kv_type", "name"), [(KVType.Q8, "quantize_q8"), (KVType.Q4, "quantize_q4")])
def test_codes_and_scales_are_those_of_the_definition(x, kv_type, name) -> None:
    codes, scales = getattr(kv_pages, name)(mx.array(x).reshape(*x.shape[:-1], -1, GROUP_VALUES))
    expected_codes, expected_scales = quantize(kv_type, x)
    np.testing.assert_array_equal(np.array(codes).reshape(x.shape).astype(np.int8), expected_codes)
    np.testing.assert_array_equal(np.array(scales), expected_scales)


def test_what_is_fused_on_a_gpu_can_be_compiled_for_any_shape() -> None:
    """By MLX's compiler for the CPU, which calls g++."""
    if shutil.which("g++") is None:
        pytest.skip("There is no g++, which MLX compiles with on a CPU.")
    rng = np.random.default_rng(2)
    compiled = {
        function: mx.compile(function, shapeless=True)
        for function in (kv_pages.quantize_q8, kv_pages.quantize_q4, kv_pages.dequantize_q8, swiglu)
    }
    for num_groups in (2, 5):
        groups = mx.array(rng.standard_normal((3, num_groups, GROUP_VALUES)).astype(np.float32))
        codes, scales = kv_pages.quantize_q8(groups)
        arguments = {kv_pages.dequantize_q8: (codes, scales), swiglu: (groups, 2 * groups)}
        for function, compiled_function in compiled.items():
            given = arguments.get(function, (groups,))
            expected, found = function(*given), compiled_function(*given)
            for one, other in zip(_tuple(expected), _tuple(found), strict=True):
                np.testing.assert_allclose(np.array(other), np.array(one), rtol=1e-6)


def _tuple(result):
    return result if isinstance(result, tuple) else (result,)
