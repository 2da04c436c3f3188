"""The training loop: AdamW on the latent weights, straight through the 1-bit forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch.nn import functional as F

from bonsai_edge_train.batches import Batch
from bonsai_edge_train.model import Qwen3


@dataclass(frozen=True)
class TrainingConfig:
    """Everything but the model's shape that decides the updates."""

    num_steps: int = 5000
    tokens_per_batch: int = 2048
    peak_learning_rate: float = 3e-3
    warmup_steps: int = 200


def answer_loss(logits: torch.Tensor, token_ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean cross-entropy of predicting token t + 1 from the logits (B, T, V) at t."""
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), token_ids[:, 1:].flatten(), reduction="none")
    flat = weights[:, 1:].flatten()
    return (losses * flat).sum() / flat.sum()


def learning_rate_share(step: int, config: TrainingConfig) -> float:
    """Return the factor of the peak learning rate: linear warm-up, then linear decay to zero."""
    warmup = (step + 1) / config.warmup_steps
    decay = (config.num_steps - step) / (config.num_steps - config.warmup_steps)
    return min(warmup, decay)


def train(model: Qwen3, batches: Iterator[Batch], config: TrainingConfig, report: Callable[[int, float], None]) -> None:
    """Train in place; `report` receives (step, mean loss of the last 100 steps)."""
    torch.set_flush_denormal(True)  # denormal numbers make CPU training several times slower
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.peak_learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_share(step, config))
    model.train()
    total = 0.0
    for step, (token_ids, weights) in enumerate(islice(batches, config.num_steps), start=1):
        # bfloat16 only speeds up the products; weights, gradients of the latents and the final model are float32.
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(token_ids)
        loss = answer_loss(logits, token_ids, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        total += loss.item()
        if step % 100 == 0:
            report(step, total / 100)
            total = 0.0
    model.eval()
