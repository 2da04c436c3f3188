"""Q1_0 arithmetic for training: one sign bit per weight and one float16 scale per group of 128 inputs.

A weight matrix is trained as float32 latents; the forward pass sees only what the GGUF block can store, so the exported
file computes exactly what was trained.
"""

# mypy: disallow-subclassing-any=False
# (PyTorch is an optional extra; without it mypy sees torch.autograd.Function as Any.)

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

GROUP_SIZE = 128  # QK1_0 in llama.cpp's ggml-common.h
BLOCK_BYTES = 18  # float16 scale, then 128 sign bits


def group_scales(latent: torch.Tensor) -> torch.Tensor:
    """Return the scale of each group, mean |w| rounded to float16: (rows, cols) -> (rows, cols / 128) float32.

    The mean is the scale that minimises the squared error of sign(w) * scale (XNOR-Net, arXiv:1603.05279, eq. 6).
    """
    rows, cols = latent.shape
    if cols % GROUP_SIZE:
        raise ValueError(f"Expected a row length that is a multiple of {GROUP_SIZE}, got {cols}.")
    return latent.view(rows, cols // GROUP_SIZE, GROUP_SIZE).abs().mean(dim=-1).half().float()


def binarize(latent: torch.Tensor) -> torch.Tensor:
    """Return sign(w) * scale with sign(0) = +1: (rows, cols) float32 -> (rows, cols) float32."""
    scales = group_scales(latent).repeat_interleave(GROUP_SIZE, dim=1)
    return torch.where(latent >= 0, scales, -scales)


class _StraightThrough(torch.autograd.Function):
    """Binarize forward, identity backward.

    A Function instead of `w + (binarize(w) - w).detach()`: that sum rounds, and the weights would differ from the file.
    """

    @staticmethod
    def forward(ctx: Any, latent: torch.Tensor) -> torch.Tensor:
        return binarize(latent)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


def straight_through(latent: torch.Tensor) -> torch.Tensor:
    """Binarize `latent` (rows, cols); gradients pass to the latents unchanged (arXiv:1308.3432)."""
    binary: torch.Tensor = _StraightThrough.apply(latent)
    return binary


def pack(latent: torch.Tensor) -> npt.NDArray[np.uint8]:
    """Pack latents (rows, cols) into Q1_0 blocks: (rows, cols / 128 * 18) uint8.

    Weight j of a group is bit j % 8 of byte j // 8, least significant bit first; a set bit means +scale.
    """
    scales = group_scales(latent.detach()).numpy().astype("<f2")
    rows, groups = scales.shape
    positive = (latent.detach() >= 0).numpy().reshape(rows, groups, GROUP_SIZE)
    blocks = np.empty((rows, groups, BLOCK_BYTES), np.uint8)
    blocks[:, :, :2] = scales.view(np.uint8).reshape(rows, groups, 2)
    blocks[:, :, 2:] = np.packbits(positive, axis=-1, bitorder="little")
    return blocks.reshape(rows, groups * BLOCK_BYTES)
