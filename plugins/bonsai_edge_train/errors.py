"""What can be wrong with a training configuration, its data or a checkpoint."""

from __future__ import annotations

from bonsai_edge.errors import BonsaiError


class TrainingConfigError(BonsaiError):
    """A training configuration cannot be read, or contradicts itself."""

    code = "training_config"


class TrainingDataError(BonsaiError):
    """A file of conversations is missing or malformed."""

    code = "training_data"


class CheckpointError(BonsaiError):
    """A checkpoint is missing, damaged, or belongs to another configuration."""

    code = "checkpoint"


class ExportError(BonsaiError):
    """The GGUF file exists already, or cannot be written."""

    code = "export"
