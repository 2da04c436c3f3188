"""Q1_0 arithmetic for training: one sign bit per weight and one float16 scale per group of 128 inputs.

A weight matrix is trained as float32 latents; the forward pass sees only what the GGUF block can store, so the exported
file computes exactly what was trained.
"""

# mypy: disallow-untyped-decorators=False
# (PyTorch is an optional extra; without it mypy sees its decorators as Any.)

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bonsai_edge_train.config import GROUP_SIZE

BLOCK_BYTES = 18  # float16 scale, then 128 sign bits


def _groups(latent: torch.Tensor) -> torch.Tensor:
    """View (rows, cols) as (rows, cols / 128, 128)."""
    rows, cols = latent.shape
    if cols % GROUP_SIZE:
        raise ValueError(f"Expected a row length that is a multiple of {GROUP_SIZE}, got {cols}.")
    return latent.view(rows, cols // GROUP_SIZE, GROUP_SIZE)


def group_scales(latent: torch.Tensor) -> torch.Tensor:
    """Return the scale of each group, mean |w| rounded to float16: (rows, cols) -> (rows, cols / 128, 1) float32.

    The mean is the scale that minimises the squared error of sign(w) * scale (XNOR-Net, arXiv:1603.05279, eq. 6).
    """
    return _groups(latent).abs().mean(dim=-1, keepdim=True).half().float()


def binarize(latent: torch.Tensor) -> torch.Tensor:
    """Return scale with the sign of the latent: (rows, cols) float32 -> (rows, cols) float32."""
    return torch.copysign(group_scales(latent), _groups(latent)).view_as(latent)


@torch.library.custom_op("bonsai_edge_train::straight_through", mutates_args=())
def straight_through(latent: torch.Tensor) -> torch.Tensor:
    """Binarize `latent` (rows, cols); gradients pass to the latents unchanged (arXiv:1308.3432).

    An operator of its own, as `w + (binarize(w) - w).detach()` rounds, and torch.compile leaves out the rounding to
    float16: either way the weights would differ from the file's.
    """
    return binarize(latent)


@straight_through.register_fake
def _(latent: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(latent)


def _pass_gradient(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
    return gradient


straight_through.register_autograd(_pass_gradient)


def pack(latent: torch.Tensor) -> npt.NDArray[np.uint8]:
    """Pack latents (rows, cols) into Q1_0 blocks: (rows, cols / 128 * 18) uint8.

    Weight j of a group is bit j % 8 of byte j // 8, least significant bit first; a set bit means +scale.
    """
    scales = group_scales(latent.detach()).numpy().astype("<f2")
    positive = ~torch.signbit(_groups(latent.detach())).numpy()
    rows, groups, _ = scales.shape
    blocks = np.empty((rows, groups, BLOCK_BYTES), np.uint8)
    blocks[:, :, :2] = scales.view(np.uint8)
    blocks[:, :, 2:] = np.packbits(positive, axis=-1, bitorder="little")
    return blocks.reshape(rows, groups * BLOCK_BYTES)
