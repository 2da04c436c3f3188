import numpy as np
import pytest

from bonsai_edge.kv_cache import PAGE_TOKENS, KVType, round_to
from bonsai_edge_cuda.kv_pages import KVPages
from random_bonsai import SPECS
from recording_driver import RecordingDriver

SPEC = SPECS["tiny"]
SHAPE = (SPEC.num_layers, SPEC.num_kv_heads, PAGE_TOKENS, SPEC.head_dim)


def random_keys(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


@pytest.mark.parametrize("kv_type", KVType)
def test_keys_come_back_rounded_as_the_type_says_and_values_stay(kv_type: KVType) -> None:
    pages = KVPages(RecordingDriver(), SPEC, 3, kv_type)
    content = np.random.default_rng(2).integers(0, 256, pages.page_bytes).astype(np.uint8)
    pages.write(1, content)
    keys = random_keys(0)
    pages.store_keys(1, keys)
    np.testing.assert_array_equal(pages.load_keys(1), round_to(kv_type, keys))
    planes = pages.read(1).reshape(SPEC.num_layers, 2, -1)
    np.testing.assert_array_equal(planes[:, 1], content.reshape(SPEC.num_layers, 2, -1)[:, 1])
    assert not pages.read(0).any()
    assert not pages.read(2).any()


@pytest.mark.parametrize("kv_type", KVType)
def test_a_page_is_as_large_as_core_counts_it_and_is_copied_as_a_whole(kv_type: KVType) -> None:
    pages = KVPages(RecordingDriver(), SPEC, 2, kv_type)
    assert pages.page_bytes == PAGE_TOKENS * SPEC.kv_bytes_per_token(kv_type)
    content = np.random.default_rng(3).integers(0, 256, pages.page_bytes).astype(np.uint8)
    pages.write(0, content)
    pages.copy(0, 1)
    np.testing.assert_array_equal(pages.read(1), content)


def test_a_byte_of_q4_holds_columns_16_apart_and_scales_follow_the_codes() -> None:
    pages = KVPages(RecordingDriver(), SPEC, 1, KVType.Q4)
    keys = np.zeros((PAGE_TOKENS, SPEC.head_dim), np.float32)
    keys[0, 1], keys[0, 17], keys[0, 33] = 15, -15, 30  # scales 1 and 2
    plane = pages.encode(keys)
    codes, scales = plane[: PAGE_TOKENS * SPEC.head_dim // 2], plane[PAGE_TOKENS * SPEC.head_dim // 2 :]
    assert codes[1] == 0x0F  # the largest value low, the smallest high
    assert scales.view(np.float16).reshape(-1, PAGE_TOKENS)[:, 0].tolist() == [1, 2]
