"""The training configuration: a TOML file in which every key is known and typed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from bonsai_edge_train.errors import TrainingConfigError

RECIPES = Path(__file__).parent / "recipes"
GROUP_SIZE = 128  # weights that share a scale: QK1_0 in llama.cpp's ggml-common.h

Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
WeightFormat = Literal["q1_0", "float32"]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file; a key that it does not know is an error."""


class Qwen3Config(_Table, frozen=True, kw_only=True):
    """`[model]`: shape and constants; for Q1_0 every matrix input width must be a multiple of 128."""

    vocab_size: Count
    hidden_size: Count = 256
    intermediate_size: Count = 512
    num_layers: Count = 4
    num_heads: Count = 4
    num_kv_heads: Count = 2
    head_dim: Count = 64
    context_length: Count = 1024
    rope_base: Positive = 10000.0
    rms_norm_eps: Positive = 1e-6
    weights: WeightFormat = "q1_0"
    tied_head: bool = True

    @property
    def residual_gain(self) -> float:
        """Initial gain of the maps that add to the residual stream, so that depth does not blow it up (GPT-2)."""
        return (2 * self.num_layers) ** -0.5

    def __post_init__(self) -> None:
        widths = {
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_heads * head_dim": self.num_heads * self.head_dim,
        }
        for name, width in widths.items():
            if width % GROUP_SIZE:
                raise ValueError(f"Expected `{name}` to be a multiple of {GROUP_SIZE}, got {width}")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"Expected `num_heads` to be a multiple of `num_kv_heads`, got {self.num_heads} and {self.num_kv_heads}"
            )
        if self.head_dim % 2:
            raise ValueError(f"Expected `head_dim` to be even, got {self.head_dim}")


class RunConfig(_Table, frozen=True, kw_only=True):
    """`[run]`: where it happens, and how fast.

    Another device, precision or number of threads rounds differently, and so does a compiled model.
    """

    directory: str | None = None
    seed: int = 0
    device: Literal["cpu", "cuda"] = "cpu"
    threads: Count = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False


class DataConfig(_Table, frozen=True, kw_only=True):
    """`[data]`: a generator, or files of conversations in JSON lines.

    The shares are of generated conversations: those of several turns, and those with a system prompt.
    """

    generator: Literal["robot-commands"] | None = None
    train: str | None = None
    development: str | None = None
    prompt_loss_weight: Share = 0.1
    multi_turn_share: Share = 0.12
    system_prompt_share: Share = 0.08

    def __post_init__(self) -> None:
        if (self.generator is None) == (self.train is None):
            raise ValueError("Expected either `generator` or `train`")
        if (self.train is None) != (self.development is None):
            raise ValueError("Expected `train` and `development` together")


class OptimizerConfig(_Table, frozen=True, kw_only=True):
    """`[optimizer]`: AdamW (arXiv:1711.05101) on the latent weights."""

    learning_rate: Positive = 3e-3
    beta1: Share = 0.9
    beta2: Share = 0.98
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    max_gradient_norm: Positive = 1.0


class ScheduleConfig(_Table, frozen=True, kw_only=True):
    """`[schedule]`: linear warm-up, then the decay named by `kind`.

    `wsd` (warm-up, stable, decay) stays at the peak until `decay_steps` before the end and falls linearly from there.
    """

    kind: Literal["linear", "cosine", "constant", "wsd"] = "linear"
    warmup_steps: Annotated[int, msgspec.Meta(ge=0)] = 200
    decay_steps: Count | None = None
    final_share: Share = 0.0

    def __post_init__(self) -> None:
        if (self.kind == "wsd") != (self.decay_steps is not None):
            raise ValueError('Expected `decay_steps` with `kind = "wsd"`, and only there')


class StepsConfig(_Table, frozen=True, kw_only=True):
    """`[training]`: how long, and what happens every so many steps."""

    steps: Count
    tokens_per_batch: Count = 2048
    accumulation: Count = 1
    log_every: Count = 50
    evaluate_every: Count = 1000
    checkpoint_every: Count = 1000
    development_examples: Count = 200


class DistillationConfig(_Table, frozen=True, kw_only=True):
    """`[distillation]`: learn from the logits of a teacher with the same tokenizer."""

    teacher: str
    weight: Share = 0.5
    temperature: Positive = 2.0


class TrainingConfig(_Table, frozen=True, kw_only=True):
    """The whole file; `name` and `license` are what an exported model says of itself."""

    name: str = "model"
    license: str | None = None
    model: Qwen3Config
    data: DataConfig
    training: StepsConfig
    run: RunConfig = RunConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    distillation: DistillationConfig | None = None

    def __post_init__(self) -> None:
        if self.schedule.warmup_steps + (self.schedule.decay_steps or 0) > self.training.steps:
            raise ValueError("Expected `schedule.warmup_steps` and `decay_steps` to fit into `training.steps`")


def recipe_names() -> list[str]:
    """Return the names of the recipes inside this package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def find_config(name_or_path: str) -> Path:
    """Return the path of a shipped recipe or of a configuration file; raises TrainingConfigError."""
    if name_or_path in recipe_names():
        return RECIPES / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if not path.is_file():
        raise TrainingConfigError(
            f"There is no configuration file at {path}.",
            f"Check the path, or name a shipped recipe: {', '.join(recipe_names())}.",
        )
    return path


def read_config(path: Path) -> TrainingConfig:
    """Read a configuration; raises TrainingConfigError that names the key."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=TrainingConfig)
    except msgspec.ValidationError as exc:
        raise TrainingConfigError(
            f"{path}: {_name_key(str(exc))}.", "Correct the key; the shipped recipes show all of them."
        ) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise TrainingConfigError(f"{path} is not TOML: {exc}.", "Correct the syntax.") from exc
    except OSError as exc:
        raise TrainingConfigError(f"{path} cannot be read: {exc.strerror}.", "Check the file's permissions.") from exc


def _name_key(message: str) -> str:
    """Turn msgspec's "cause - at `$.table.key`" into "cause in `table.key`"."""
    return re.sub(r" - at `\$\.?(.*)`$", lambda match: f" in `{match[1]}`" if match[1] else "", message)
