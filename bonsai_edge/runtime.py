"""`load`: the one place that wires a model file, the device, a memory plan and a backend together."""

from __future__ import annotations

import os
import time
from importlib.resources import files
from pathlib import Path

from bonsai_edge.device import DeviceProfile
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.formats.checkpoint import Checkpoint, open_checkpoint
from bonsai_edge.memory.plan import plan_memory
from bonsai_edge.model import Model
from bonsai_edge.plugin_manager import device_profile, select_backend

_LEAST_BYTES_A_THREAD = 1 << 20  # read in about 0.1 ms, some ten times as long as the threads of a step meet
_EMBEDDED_MODELS = {"seedling": "seedling.gguf"}


def load(
    path_or_name: str | os.PathLike[str],
    *,
    backend: str = "auto",
    context: int | None = None,
    threads: int | None = None,
) -> Model:
    """Plan the memory of a model, load it and return it ready to generate.

    `path_or_name` is a GGUF file or "seedling", the model inside this package. `backend` is a name from
    `bonsai-edge backends` or "auto"; `context` in tokens and `threads` are chosen when None. Raises a BonsaiError that
    says what is wrong with the file, the backend or the memory, before anything large is allocated.
    """
    started = time.perf_counter()
    if threads is not None and threads < 1:
        raise InvalidRequestError(f"threads is {threads}; at least 1 is needed.", "Leave it out to have it chosen.")
    checkpoint = open_checkpoint(resolve_model_path(path_or_name))
    device = device_profile()
    plan = plan_memory(checkpoint, device, context)
    chosen = select_backend(backend)
    runner = chosen.load(checkpoint, plan, threads or _choose_threads(checkpoint, device))
    name = str(path_or_name) if path_or_name in _EMBEDDED_MODELS else checkpoint.path.stem
    model = Model(checkpoint, plan, runner, name=name, backend_name=chosen.name)
    model.load_s = time.perf_counter() - started
    return model


def _choose_threads(checkpoint: Checkpoint, device: DeviceProfile) -> int:
    """Return a thread for each usable core, fewer for a model so small that meeting costs more than sharing saves."""
    return max(1, min(device.usable_cores, checkpoint.num_bytes // _LEAST_BYTES_A_THREAD))


def resolve_model_path(path_or_name: str | os.PathLike[str]) -> Path:
    """Return the file of an embedded model, or the path itself."""
    if path_or_name in _EMBEDDED_MODELS:
        return Path(str(files("bonsai_edge") / "data" / _EMBEDDED_MODELS[str(path_or_name)]))
    return Path(path_or_name).expanduser()
