"""Packing is the inverse of dequantizing, and MLX's form holds exactly what Q1_0 blocks hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bonsai_edge.formats.ggml_types import GGMLType, dequantize, pack_q1_0
from bonsai_edge_convert.q1_0 import BadGroupError, from_affine, pack_signs, pack_two_valued, to_affine

packed_rows = arrays(np.uint8, st.tuples(st.integers(1, 3), st.sampled_from([18, 36, 54])))


def test_packing_signs_and_scales_is_the_inverse_of_dequantizing():
    rng = np.random.default_rng(0)
    scales = rng.uniform(0.01, 1, (5, 3)).astype(np.float16)
    positive = rng.integers(0, 2, (5, 384)).astype(bool)
    found = dequantize(pack_q1_0(positive, scales), GGMLType.Q1_0)
    np.testing.assert_array_equal(found > 0, positive)
    np.testing.assert_array_equal(np.abs(found)[:, ::128], scales)


@given(packed_rows)
def test_every_block_whose_scale_can_be_doubled_survives_mlx_form(packed):
    scales = packed.reshape(len(packed), -1, 18)[:, :, :2].copy().view("<f2")
    if np.all(np.abs(scales.astype(np.float64)) <= 32752):  # false for NaN too
        np.testing.assert_array_equal(from_affine(to_affine(packed)), packed)
    else:
        with pytest.raises(BadGroupError, match="whose double float16 lacks"):
            to_affine(packed)


@given(packed_rows)
def test_every_finite_block_survives_dequantizing_and_packing_but_for_the_sign_of_its_scale(packed):
    scales = packed.reshape(len(packed), -1, 18)[:, :, :2].copy().view("<f2")
    if np.isfinite(scales).all():
        weights = dequantize(packed, GGMLType.Q1_0)
        again = dequantize(pack_two_valued(weights), GGMLType.Q1_0)
        assert again.tobytes() == weights.tobytes()
        np.testing.assert_array_equal(dequantize(pack_signs(weights), GGMLType.Q1_0), weights)
