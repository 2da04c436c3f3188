"""Decodes Q1_0 blocks by the format's definition, independently of the code under test (gguf 0.19 cannot)."""

import numpy as np
import pytest


def unpack_q1_0(blocks):
    """Decode (rows, groups * 18) uint8 to (rows, groups * 128) float32."""
    rows = len(blocks)
    blocks = blocks.reshape(rows, -1, 18)
    scales = blocks[:, :, :2].copy().view("<f2").astype(np.float32)
    positive = np.unpackbits(blocks[:, :, 2:], axis=-1, bitorder="little").astype(bool)
    return np.where(positive, scales, -scales).reshape(rows, -1)


@pytest.fixture(scope="session")
def dequantize_q1_0():
    return unpack_q1_0
