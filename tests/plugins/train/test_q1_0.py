"""Q1_0 arithmetic of training equals what a GGUF reader sees, bit for bit."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from bonsai_edge_train.q1_0 import binarize, group_scales, pack, straight_through  # noqa: E402


@pytest.fixture
def latent():
    return torch.randn(5, 384, generator=torch.Generator().manual_seed(3)) * 0.05


def test_packed_blocks_decode_to_the_forward_weights_bit_for_bit(latent, dequantize_q1_0):
    np.testing.assert_array_equal(dequantize_q1_0(pack(latent)), straight_through(latent).numpy())


def test_first_weights_are_the_low_bits_of_the_first_byte_after_the_scale():
    latent = -torch.ones(1, 128)
    latent[0, 0] = latent[0, 9] = 1.0
    assert pack(latent)[0].tolist() == [0x00, 0x3C, 0b1, 0b10, *[0] * 14]  # 0x3C00 is 1.0 in float16


def test_scale_is_the_mean_magnitude_rounded_to_float16(latent):
    expected = latent.numpy().reshape(5, 3, 128)
    expected = np.abs(expected).mean(axis=-1).astype(np.float16)
    np.testing.assert_allclose(group_scales(latent).numpy()[:, :, 0], expected, rtol=1e-3)
    assert torch.equal(group_scales(latent), group_scales(latent).half().float())


def test_zero_counts_as_positive():
    latent = torch.zeros(1, 128)
    latent[0, 1], latent[0, 2] = 1.0, -1.0
    assert binarize(latent)[0, :3].tolist() == [1 / 64, 1 / 64, -1 / 64]


def test_negative_zero_is_packed_as_it_is_trained(dequantize_q1_0):
    latent = torch.ones(1, 128)
    latent[0, 5] = -0.0
    packed = dequantize_q1_0(pack(latent))
    np.testing.assert_array_equal(packed, binarize(latent).numpy())


def test_a_compiled_model_has_the_same_weights(latent):
    compiled = torch.compile(lambda latent: straight_through(latent) + 0.0, backend="aot_eager")
    assert torch.equal(compiled(latent), binarize(latent))


def test_gradients_pass_through_unchanged(latent):
    latent.requires_grad_()
    factors = torch.randn(5, 384)
    (straight_through(latent) * factors).sum().backward()
    assert torch.equal(latent.grad, factors)


def test_row_length_must_be_a_multiple_of_the_group_size():
    with pytest.raises(ValueError, match=r"Expected a row length that is a multiple of 128, got 100\."):
        binarize(torch.zeros(2, 100))
