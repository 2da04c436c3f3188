"""The arithmetic of the KV cache types, against their definitions."""

import numpy as np
import pytest

from bonsai_edge.kv_cache import GROUP_VALUES, KVType, round_to

QUANTIZED = [KVType.Q8, KVType.Q4]


@pytest.fixture
def heads():
    return np.random.default_rng(0).standard_normal((3, 2, 128), np.float32)


@pytest.mark.parametrize(("kv_type", "num_bytes"), [(KVType.F16, 256), (KVType.Q8, 136), (KVType.Q4, 72)])
def test_a_head_takes_the_bytes_of_its_codes_and_scales(kv_type, num_bytes):
    assert kv_type.num_bytes(128) == num_bytes


@pytest.mark.parametrize(("kv_type", "largest_code"), [(KVType.Q8, 127), (KVType.Q4, 15)])
def test_no_value_moves_by_more_than_half_a_step_and_the_rounding_of_the_scale(kv_type, largest_code, heads):
    peaks = np.abs(heads.reshape(3, 2, -1, GROUP_VALUES)).max(axis=-1)
    step = peaks / largest_code * (2 if kv_type is KVType.Q4 else 1)
    errors = np.abs(round_to(kv_type, heads) - heads).reshape(3, 2, -1, GROUP_VALUES).max(axis=-1)
    assert (errors <= step / 2 + peaks * 2.0**-11 + 1e-7).all()


@pytest.mark.parametrize("kv_type", QUANTIZED)
def test_groups_do_not_share_a_scale(kv_type, heads):
    louder = heads.copy()
    louder[..., :GROUP_VALUES] *= 1000
    np.testing.assert_array_equal(
        round_to(kv_type, louder)[..., GROUP_VALUES:], round_to(kv_type, heads)[..., GROUP_VALUES:]
    )


@pytest.mark.parametrize("kv_type", list(KVType))
def test_zeros_stay_zeros(kv_type):
    assert not round_to(kv_type, np.zeros((1, 64), np.float32)).any()


def test_q4_has_sixteen_levels_and_q8_two_hundred_and_fifty_five():
    ramp = np.linspace(-1, 1, 32, dtype=np.float32)[None]
    assert len(np.unique(round_to(KVType.Q4, ramp))) == 16
    wide = np.concatenate([np.linspace(-1, 1, 31, dtype=np.float32), [np.float32(1)]])[None]
    codes = round_to(KVType.Q8, wide) * 127
    assert np.abs(codes - np.rint(codes)).max() < 0.05
