"""The arithmetic of all conversions: Q1_0 blocks, MLX's affine form of them, and weights that become them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bonsai_edge.formats.ggml_types import GGMLType, pack_q1_0

GROUP_SIZE = GGMLType.Q1_0.block_elements
_BLOCK_BYTES = GGMLType.Q1_0.block_bytes

Packed = npt.NDArray[np.uint8]


class BadGroupError(Exception):
    """A group that cannot be converted: its place in the tensor, and what is wrong with it, as a verb phrase."""

    def __init__(self, row: int, group: int, what: str) -> None:
        super().__init__(row, group, what)
        self.row = row
        self.group = group
        self.what = what


@dataclass(frozen=True)
class AffineBits:
    """A matrix as MLX packs it with bits=1: value = scale * bit + bias.

    words: uint32 (num_rows, num_columns / 32), bit j of a word is its column j. scales, biases: float16 (num_rows,
    num_columns / 128).
    """

    words: npt.NDArray[np.uint32]
    scales: npt.NDArray[np.float16]
    biases: npt.NDArray[np.float16]


_ZERO_SCALE = np.float16(1e-7)  # what mx.quantize gives a group of zeros, with bias 0 and no bit set


def to_affine(packed: Packed) -> AffineBits:
    """Turn Q1_0 rows into MLX's form without loss: scale 2d, bias -d. Raises BadGroupError where 2d is not finite."""
    blocks = packed.reshape(len(packed), -1, _BLOCK_BYTES)
    d = np.ascontiguousarray(blocks[:, :, :2]).view("<f2")[:, :, 0]
    with np.errstate(over="ignore", invalid="ignore"):  # refused in the next line
        scales = d * np.float16(2)
    _raise_first(~np.isfinite(scales), lambda row, group: f"has the scale {d[row, group]}, whose double float16 lacks")
    words = np.ascontiguousarray(blocks[:, :, 2:]).view("<u4").reshape(len(packed), -1)
    biases = -d
    zeros = ~blocks.any(axis=2)
    scales[zeros], biases[zeros] = _ZERO_SCALE, 0
    return AffineBits(words, scales, biases)


def from_affine(bits: AffineBits) -> Packed:
    """Turn MLX's form into Q1_0 rows without loss. Raises BadGroupError where the two values are not +d and -d."""
    scales, biases = bits.scales, bits.biases
    num_rows, num_groups = scales.shape
    no_bits = ~bits.words.reshape(num_rows, num_groups, -1).any(axis=2)
    zeros = no_bits & (scales == _ZERO_SCALE) & (biases == 0) & ~np.signbit(biases)
    with np.errstate(over="ignore", invalid="ignore"):
        wrong = ~np.isfinite(scales) | ((scales != biases * np.float16(-2)) & ~zeros)
    _raise_first(
        wrong,
        lambda row, group: (
            f"has the scale {scales[row, group]} and the bias {biases[row, group]}, which is not -scale/2"
        ),
    )
    blocks = np.empty((num_rows, num_groups, _BLOCK_BYTES), np.uint8)
    d = np.where(zeros, np.float16(0), -biases)
    blocks[:, :, :2] = d.astype("<f2")[:, :, None].view(np.uint8)
    blocks[:, :, 2:] = bits.words.astype("<u4", copy=False).view(np.uint8).reshape(num_rows, num_groups, -1)
    return blocks.reshape(num_rows, -1)


def pack_two_valued(weights: npt.NDArray[np.float32]) -> Packed:
    """Pack rows whose groups hold +d and -d only, without loss. Raises BadGroupError for the first other group."""
    groups = _groups(weights)
    magnitudes = np.abs(groups)
    first = magnitudes[:, :, :1]

    def other_value(row: int, group: int) -> str:
        found = magnitudes[row, group]
        differing = found[found != found[0]]  # also where both are NaN
        return f"holds values other than +s and -s: {found[0]:g} and {differing[0]:g} in magnitude"

    _raise_first((magnitudes != first).any(axis=2), other_value)
    with np.errstate(over="ignore"):
        scales = first[:, :, 0].astype(np.float16)
    _raise_first(
        scales.astype(np.float32) != first[:, :, 0],
        lambda row, group: f"holds {first[row, group, 0]:g}, which is not exact in float16",
    )
    # The sign bit rather than >= 0, so that -0 too comes back as it was.
    return pack_q1_0(~np.signbit(weights), scales)


def pack_signs(weights: npt.NDArray[np.float32]) -> Packed:
    """Quantize rows to sign times mean magnitude of the group, rounded to float16; the sign of 0 is +.

    The mean is the scale of least squared error (XNOR-Net, arXiv:1603.05279, eq. 6). Raises BadGroupError for groups
    whose scale is not finite.
    """
    scales = np.abs(_groups(weights)).mean(axis=2, dtype=np.float64)
    with np.errstate(over="ignore"):
        rounded = scales.astype(np.float16)
    _raise_first(
        ~np.isfinite(rounded), lambda row, group: f"has the mean magnitude {scales[row, group]:g}, not a float16"
    )
    return pack_q1_0(weights >= 0, rounded)


def _groups(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return weights.reshape(len(weights), -1, GROUP_SIZE)


def _raise_first(wrong: npt.NDArray[np.bool_], what: Callable[[int, int], str]) -> None:
    if wrong.any():
        row, group = (int(index) for index in np.argwhere(wrong)[0])
        raise BadGroupError(row, group, what(row, group))
