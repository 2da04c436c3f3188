"""`load`: the one place that wires a model file, the device, a memory plan and a backend together."""

from __future__ import annotations

import logging
import os
import time

from bonsai_edge.device import DeviceProfile
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.formats.checkpoint import Checkpoint, open_checkpoint
from bonsai_edge.memory.plan import plan_memory
from bonsai_edge.model import Model
from bonsai_edge.model_store import resolve_model_path
from bonsai_edge.plugin_manager import device_profile, select_backend

logger = logging.getLogger(__name__)

_MOST_THREADS_A_CORE = 4  # waiting threads spin: more would only take the cores from one another
_LEAST_BYTES_A_THREAD = 1 << 20  # read in about 0.1 ms, some ten times as long as the threads of a step meet


def load(
    path_or_name: str | os.PathLike[str],
    *,
    backend: str = "auto",
    context: int | None = None,
    threads: int | None = None,
) -> Model:
    """Plan the memory of a model, load it and return it ready to generate.

    `path_or_name` is a GGUF file, a name from `bonsai-edge models`, or "seedling", the model inside this package.
    `backend` is a name from `bonsai-edge backends` or "auto"; `context` in tokens and `threads` are chosen when None.
    Raises a BonsaiError that says what is wrong with the file, the backend or the memory, before anything large is
    allocated.
    """
    started = time.perf_counter()
    most_threads = _MOST_THREADS_A_CORE * (os.cpu_count() or 1)
    if threads is not None and not 1 <= threads <= most_threads:
        raise InvalidRequestError(
            f"threads is {threads}; 1 to {most_threads} make sense here.", "Leave it out to have it chosen."
        )
    checkpoint = open_checkpoint(resolve_model_path(path_or_name))
    device = device_profile()
    plan = plan_memory(checkpoint, device, context)
    chosen = select_backend(backend)
    num_threads = threads or _choose_threads(checkpoint, device)
    model = Model(
        checkpoint,
        plan,
        lambda: chosen.load(checkpoint, plan, num_threads),
        name=checkpoint.path.stem,
        backend_name=chosen.name,
    )
    model.load_s = time.perf_counter() - started
    logger.info(
        "%s computes with %d threads; %d cores are usable (%s).",
        model.name,
        model.threads,
        device.usable_cores,
        device.core_limit_source,
    )
    return model


def _choose_threads(checkpoint: Checkpoint, device: DeviceProfile) -> int:
    """Return a thread for each usable core, fewer for a model so small that meeting costs more than sharing saves."""
    return max(1, min(device.usable_cores, checkpoint.num_bytes // _LEAST_BYTES_A_THREAD))
