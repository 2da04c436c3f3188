"""One checkpoint is one safetensors file: weights, optimizer moments, and the state of the run as JSON in its header.

One file, so that replacing it is one rename: whenever a run is killed, its last checkpoint is whole.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer

from bonsai_edge_train.batches import StreamPosition
from bonsai_edge_train.config import TrainingConfig
from bonsai_edge_train.errors import CheckpointError
from bonsai_edge_train.model import Qwen3

CHECKPOINT = "checkpoint.safetensors"
TOKENIZER = "tokenizer.json"
_STATE_KEY = "bonsai_edge_train"
_MODEL, _OPTIMIZER = "model.", "optimizer."


class RunState(msgspec.Struct, frozen=True):
    """All of a run but its tensors."""

    step: int
    position: StreamPosition
    trained_tokens: int
    elapsed_s: float
    config: TrainingConfig


def save_checkpoint(path: Path, model: Qwen3, optimizer: torch.optim.AdamW, state: RunState) -> None:
    """Write a checkpoint in place of the one before."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    tensors = {_MODEL + name: parameter.detach() for parameter, name in names.items()}
    for parameter, moments in optimizer.state.items():
        tensors |= {f"{_OPTIMIZER}{names[parameter]}.{key}": tensor for key, tensor in moments.items()}
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as staging:
        written = Path(staging) / path.name
        save_file(tensors, written, {_STATE_KEY: msgspec.json.encode(state).decode()})
        with written.open("rb") as file:
            os.fsync(file.fileno())
        written.replace(path)


def find_checkpoint(path: Path) -> Path:
    """Return the checkpoint of a run's directory, or `path` itself if that is a file; raises CheckpointError."""
    found = path / CHECKPOINT if path.is_dir() else path
    if not found.is_file():
        raise CheckpointError(
            f"There is no checkpoint at {found}.", "Name the directory of a run of `bonsai-edge train`."
        )
    return found


def read_checkpoint(path: Path) -> tuple[RunState, dict[str, torch.Tensor]]:
    """Read the state and all tensors of a checkpoint on the CPU; raises CheckpointError."""
    try:
        with safe_open(path, framework="pt") as file:
            state = msgspec.json.decode((file.metadata() or {}).get(_STATE_KEY, ""), type=RunState)
            return state, {name: file.get_tensor(name) for name in file.offset_keys()}
    except (SafetensorError, msgspec.DecodeError, OSError) as exc:
        raise CheckpointError(
            f"{path} is not a checkpoint of this version: {exc}.", "Train anew, or name another run."
        ) from exc


def load_weights(model: Qwen3, tensors: dict[str, torch.Tensor]) -> None:
    """Load the weights of a checkpoint into a model of its configuration."""
    weights = {name.removeprefix(_MODEL): tensor for name, tensor in tensors.items() if name.startswith(_MODEL)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as exc:
        raise CheckpointError(
            f"The checkpoint's tensors are not those of its configuration: {exc}.", "Train anew."
        ) from exc


def load_optimizer(optimizer: torch.optim.AdamW, model: Qwen3, tensors: dict[str, torch.Tensor]) -> None:
    """Load the moments and step counts of a checkpoint into the optimizer of its model."""
    state = {
        index: {
            key: tensors[f"{_OPTIMIZER}{name}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq")
        }
        for index, (name, _) in enumerate(model.named_parameters())
    }  # fmt: skip
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


@dataclass(frozen=True)
class TrainedRun:
    """What a run has come to."""

    model: Qwen3
    tokenizer: Tokenizer
    config: TrainingConfig
    step: int


def load_run(path: Path) -> TrainedRun:
    """Load the model of a checkpoint, and the tokenizer beside it; raises CheckpointError."""
    path = find_checkpoint(path)
    state, tensors = read_checkpoint(path)
    model = Qwen3(state.config.model)
    load_weights(model, tensors)
    return TrainedRun(model.eval(), read_tokenizer(path.parent), state.config, state.step)


def read_tokenizer(directory: Path) -> Tokenizer:
    """Read the tokenizer of a run; raises CheckpointError."""
    path = directory / TOKENIZER
    try:
        return Tokenizer.from_str(path.read_text())
    except OSError as exc:
        raise CheckpointError(f"{path} cannot be read: {exc.strerror}.", "Restore it, or train anew.") from exc
