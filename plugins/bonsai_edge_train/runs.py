"""What a run needs before its first step: a tokenizer, a teacher, and the configuration it was started with."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from random import Random

import msgspec
from tokenizers import Tokenizer

from bonsai_edge_train.checkpoint import TOKENIZER, find_checkpoint, load_run, read_checkpoint, read_tokenizer
from bonsai_edge_train.config import TrainingConfig
from bonsai_edge_train.conversations import open_source
from bonsai_edge_train.errors import CheckpointError, TrainingConfigError
from bonsai_edge_train.model import Qwen3
from bonsai_edge_train.vocabulary import train_tokenizer

CONFIG = "config.toml"
_VOCABULARY_CONVERSATIONS = 40_000


def prepare_tokenizer(config: TrainingConfig, directory: Path, *, resume: bool) -> Tokenizer:
    """Return the run's tokenizer: the stored one, the teacher's, or one trained on the first conversations."""
    if resume:
        return read_tokenizer(directory)
    if config.distillation is not None:
        teacher = Path(config.distillation.teacher)
        tokenizer = read_tokenizer(find_checkpoint(teacher).parent)
    else:
        rng = Random(config.run.seed)
        source = open_source(config.data, config.run.seed)
        messages = chain.from_iterable(source.draw(rng).messages for _ in range(_VOCABULARY_CONVERSATIONS))
        texts = (f"{message.role}\n{message.content}\n" for message in messages)
        tokenizer = train_tokenizer(texts, config.model.vocab_size)
    if tokenizer.get_vocab_size() != config.model.vocab_size:
        raise TrainingConfigError(
            f"The tokenizer has {tokenizer.get_vocab_size()} tokens, `model.vocab_size` is {config.model.vocab_size}.",
            "Set `model.vocab_size` to the tokenizer's.",
        )
    (directory / TOKENIZER).write_text(tokenizer.to_str())
    return tokenizer


def read_teacher(config: TrainingConfig, tokenizer: Tokenizer) -> Qwen3 | None:
    """Return the teacher of a distillation, if there is one; raises TrainingConfigError if it reads other tokens."""
    if config.distillation is None:
        return None
    teacher = load_run(Path(config.distillation.teacher))
    if teacher.tokenizer.to_str() != tokenizer.to_str():
        raise TrainingConfigError("The teacher's tokenizer is not that of this run.", "Start the run anew.")
    return teacher.model


def check_same_config(checkpoint: Path, config: TrainingConfig) -> None:
    """Raise CheckpointError unless a checkpoint was trained with this configuration; `[run]` may differ."""
    state, _ = read_checkpoint(find_checkpoint(checkpoint))
    if msgspec.structs.replace(state.config, run=config.run) != config or state.config.run.seed != config.run.seed:
        raise CheckpointError(
            f"{checkpoint} was trained with another configuration.", "Resume with the configuration in its directory."
        )
