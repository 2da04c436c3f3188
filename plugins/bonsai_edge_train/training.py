"""The training loop: AdamW on the latent weights, straight through the 1-bit forward pass."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer

from bonsai_edge_train.batches import PositionedBatch, StreamPosition, training_batches
from bonsai_edge_train.checkpoint import (
    CHECKPOINT,
    RunState,
    load_optimizer,
    load_weights,
    read_checkpoint,
    save_checkpoint,
)
from bonsai_edge_train.config import RunConfig, TrainingConfig
from bonsai_edge_train.development import DevelopmentSet
from bonsai_edge_train.errors import TrainingConfigError
from bonsai_edge_train.loss import distillation_loss, find_targets, next_token_loss
from bonsai_edge_train.model import Qwen3
from bonsai_edge_train.run_log import LogEntry, RunLog
from bonsai_edge_train.schedules import learning_rate_share

Report = Callable[[LogEntry], None]


@dataclass
class _Window:
    """Sums since the last entry of the log."""

    loss: float = 0.0
    gradient_norm: float = 0.0
    steps: int = 0
    tokens: int = 0
    started_s: float = 0.0


class Trainer:
    """One run: model, optimizer, data stream and log, from a fresh start or from the checkpoint in its directory."""

    def __init__(
        self, config: TrainingConfig, tokenizer: Tokenizer, directory: Path, teacher: Qwen3 | None = None
    ) -> None:
        require_hardware(config.run)
        make_deterministic(config.run)
        self.config = config
        self._tokenizer = tokenizer
        self._directory = directory
        self._device = torch.device(config.run.device)
        self.model = Qwen3(config.model).to(self._device)
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.optimizer.learning_rate,
            betas=(config.optimizer.beta1, config.optimizer.beta2),
            weight_decay=config.optimizer.weight_decay,
            fused=True,
        )
        self._teacher = teacher.frozen().to(self._device) if teacher is not None else None
        self.step = 0
        self._position = StreamPosition()
        self._trained_tokens = 0
        self._elapsed_s = 0.0
        self._forward = torch.compile(self.model, dynamic=True) if config.run.compile else self.model
        self._development = DevelopmentSet(config, tokenizer)

    def resume(self, path: Path) -> None:
        """Continue exactly where a checkpoint was written; raises CheckpointError."""
        state, tensors = read_checkpoint(path)
        load_weights(self.model, tensors)
        load_optimizer(self._optimizer, self.model, tensors)
        self.step, self._position = state.step, state.position
        self._trained_tokens, self._elapsed_s = state.trained_tokens, state.elapsed_s

    def train(self, report: Report) -> None:
        """Train until the last step; `report` receives every log entry."""
        log = RunLog(self._directory, self.step)
        batches = training_batches(self._tokenizer, self.config, self._position)
        steps = self.config.training
        run_started_s = time.monotonic() - self._elapsed_s
        window = _Window(started_s=time.monotonic())
        self.model.train()
        while self.step < steps.steps:
            micro_batches = list(islice(batches, steps.accumulation))
            loss, gradient_norm = self.update(micro_batches)
            self.step += 1
            self._position = micro_batches[-1].next_position
            num_tokens = sum(batch.num_tokens for batch in micro_batches)
            self._trained_tokens += num_tokens
            window.loss += loss
            window.gradient_norm += gradient_norm
            window.steps += 1
            window.tokens += num_tokens
            self._elapsed_s = time.monotonic() - run_started_s

            is_last = self.step == steps.steps
            is_evaluated = is_last or self.step % steps.evaluate_every == 0
            if is_evaluated or self.step % steps.log_every == 0:
                entry = self._entry(window, is_evaluated)
                log.append(entry)
                report(entry)
                window = _Window(started_s=time.monotonic())
            if is_last or self.step % steps.checkpoint_every == 0:
                self.save()
                log.plot()

    def update(self, batches: Sequence[PositionedBatch]) -> tuple[float, float]:
        """Take one optimizer step on the mean loss of all batches; return it and the norm of its gradient."""
        share = learning_rate_share(self.step, self.config.training.steps, self.config.schedule)
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.optimizer.learning_rate * share
        total_weight = sum(float(batch.weights[:, 1:].sum()) for batch in batches)
        total_loss = 0.0
        for batch in batches:
            loss = self._loss_sum(batch) / total_weight
            loss.backward()
            total_loss += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.max_gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return total_loss, float(norm)

    def save(self) -> None:
        """Write the checkpoint."""
        state = RunState(self.step, self._position, self._trained_tokens, self._elapsed_s, self.config)
        save_checkpoint(self._directory / CHECKPOINT, self.model, self._optimizer, state)

    def _entry(self, window: _Window, is_evaluated: bool) -> LogEntry:
        return LogEntry(
            step=self.step,
            loss=window.loss / window.steps,
            learning_rate=self._optimizer.param_groups[0]["lr"],
            gradient_norm=window.gradient_norm / window.steps,
            tokens_per_s=window.tokens / (time.monotonic() - window.started_s),
            elapsed_s=self._elapsed_s,
            evaluation=self._development.evaluate(self.model) if is_evaluated else None,
        )

    def _loss_sum(self, batch: PositionedBatch) -> torch.Tensor:
        """Return the weighted sum of the losses of a batch."""
        targets = find_targets(batch.token_ids, batch.weights).to(self._device)
        token_ids = batch.token_ids.to(self._device)
        # bfloat16 only speeds up the products; weights, gradients of the latents and the final model are float32.
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.config.run.precision == "bfloat16"):
            logits = self._forward(token_ids, rows=targets.rows)
            teacher_logits = self._teacher_logits(token_ids, targets.rows)
        loss = next_token_loss(logits, targets)
        if self.config.distillation is None or teacher_logits is None:
            return loss
        share, temperature = self.config.distillation.weight, self.config.distillation.temperature
        return (1 - share) * loss + share * distillation_loss(logits, teacher_logits, temperature, targets.weights)

    def _teacher_logits(self, token_ids: torch.Tensor, rows: torch.Tensor) -> torch.Tensor | None:
        with torch.no_grad():
            return None if self._teacher is None else self._teacher(token_ids, rows=rows)


def make_deterministic(run: RunConfig) -> None:
    """Make this process compute the same from the same seed, device and number of threads."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS is not deterministic
    torch.set_num_threads(run.threads)
    torch.set_flush_denormal(True)  # denormal numbers make CPU training several times slower
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # only to find mistakes, and takes 3 % of the time
    torch.manual_seed(run.seed)


def require_hardware(run: RunConfig) -> None:
    """Raise TrainingConfigError if this machine lacks what `[run]` asks for."""
    if run.device == "cuda" and not torch.cuda.is_available():
        raise TrainingConfigError(
            "`run.device` is 'cuda', and PyTorch finds no CUDA device.", "Install a PyTorch with CUDA, or say 'cpu'."
        )
    if run.compile and run.device == "cpu" and shutil.which(os.environ.get("CXX", "g++")) is None:
        raise TrainingConfigError(
            "`run.compile` is true, and there is no C++ compiler.", "Install g++, or leave `run.compile` out."
        )
