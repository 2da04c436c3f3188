"""Losses: cross-entropy of the next token, and the divergence from a teacher."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

_ROW_MULTIPLE = 64


@dataclass(frozen=True)
class Targets:
    """What a batch is to predict: indices into the flattened (B, T) positions, and the token after each; all (N,).

    N is rounded up to a multiple of 64 with targets of weight 0: a CPU compiles its products for each size anew.
    """

    rows: torch.Tensor
    token_ids: torch.Tensor
    weights: torch.Tensor

    def to(self, device: torch.device) -> Targets:
        """Copy to a device."""
        return Targets(self.rows.to(device), self.token_ids.to(device), self.weights.to(device))


def find_targets(token_ids: torch.Tensor, weights: torch.Tensor) -> Targets:
    """Find the tokens with a loss weight in a batch: both (B, T)."""
    has_loss = torch.zeros_like(weights, dtype=torch.bool)
    has_loss[:, :-1] = weights[:, 1:] > 0
    rows = has_loss.flatten().nonzero().flatten()
    padding = (0, -len(rows) % _ROW_MULTIPLE)
    return Targets(
        F.pad(rows, padding), F.pad(token_ids.flatten()[rows + 1], padding), F.pad(weights.flatten()[rows + 1], padding)
    )


def next_token_loss(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Return the sum of weight * cross-entropy of the targets: logits (N, V)."""
    losses = F.cross_entropy(logits.float(), targets.token_ids, reduction="none")
    return (losses * targets.weights).sum()


def distillation_loss(
    logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float, row_weights: torch.Tensor
) -> torch.Tensor:
    """Return the sum of weight × T² × KL(teacher ‖ student) at temperature T (arXiv:1503.02531): logits (N, V)."""
    divergence = F.kl_div(
        F.log_softmax(logits.float() / temperature, dim=-1),
        F.log_softmax(teacher_logits.float() / temperature, dim=-1),
        reduction="none",
        log_target=True,
    ).sum(dim=-1)
    return (divergence * row_weights).sum() * temperature**2
