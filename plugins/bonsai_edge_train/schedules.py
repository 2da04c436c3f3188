"""The share of the peak learning rate at each step."""

from __future__ import annotations

import math

from bonsai_edge_train.config import ScheduleConfig


def learning_rate_share(step: int, num_steps: int, schedule: ScheduleConfig) -> float:
    """Return the factor of the peak learning rate for the update after `step` updates, 0 <= step < num_steps."""
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    if schedule.kind == "constant":
        return 1.0
    decay_steps = schedule.decay_steps or num_steps - schedule.warmup_steps
    decayed = max(0.0, 1 - (num_steps - step) / decay_steps)  # 0 at the peak, nearly 1 at the last step
    # The cosine is that of arXiv:1608.03983.
    remaining = (1 + math.cos(math.pi * decayed)) / 2 if schedule.kind == "cosine" else 1 - decayed
    return schedule.final_share + (1 - schedule.final_share) * remaining
