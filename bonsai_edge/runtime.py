"""`load`: the one place that wires a model file, the device, a memory plan and a backend together."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

from bonsai_edge.backend import Backend, ModelRunner
from bonsai_edge.backend_selection import select_backend
from bonsai_edge.device import DeviceProfile
from bonsai_edge.errors import InsufficientMemoryError, InvalidRequestError
from bonsai_edge.formats.checkpoint import Checkpoint, open_checkpoint
from bonsai_edge.governor import GovernedRunner, thermometers
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.load_mode import LoadChoice, LoadMode, choose_load_mode
from bonsai_edge.memory.plan import DEFAULT_CONTEXT, MemoryPlan, plan_memory
from bonsai_edge.memory.size import MIB, parse_size
from bonsai_edge.memory.weights import bring_weights_in, let_go, require_lockable
from bonsai_edge.model import Model
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge.model_store import resolve_model_path
from bonsai_edge.placement import starting_threads_on
from bonsai_edge.plugin_manager import device_description, device_profile, find_sensors
from bonsai_edge.progress import progress

logger = logging.getLogger(__name__)

_Choice = TypeVar("_Choice", bound=Enum)

_MOST_THREADS_A_CORE = 4  # waiting threads spin: more would only take the cores from one another
_LEAST_BYTES_A_THREAD = 1 << 20  # read in about 0.1 ms, some ten times as long as the threads of a step meet


@dataclass(frozen=True)
class Preparation:
    """Everything that is decided before a model is loaded; nothing large is allocated yet.

    `backend_note` says why not another backend; `fell_back` that it takes the place of one that cannot run here.
    """

    checkpoint: Checkpoint
    backend: Backend
    backend_note: str | None
    fell_back: bool
    device: DeviceProfile
    threads: int
    load_choice: LoadChoice
    plan: MemoryPlan


def prepare(
    path_or_name: str | os.PathLike[str],
    *,
    backend: str = "auto",
    require_backend: bool = False,
    context: int | None = None,
    kv: KVType | str | None = None,
    sessions: int = 1,
    memory: int | str | None = None,
    load_mode: LoadMode | str = LoadMode.AUTO,
    threads: int | None = None,
) -> Preparation:
    """Open the file, choose backend and threads, and plan the memory, which may turn out not to fit.

    The parameters are those of `load`, and so are the errors but InsufficientMemoryError.
    """
    most_threads = _MOST_THREADS_A_CORE * (os.cpu_count() or 1)
    if threads is not None and not 1 <= threads <= most_threads:
        raise InvalidRequestError(
            f"threads is {threads}; 1 to {most_threads} make sense here.", "Leave it out to have it chosen."
        )
    kv_type = None if kv is None else _choice(KVType, kv, "KV type")
    memory_bytes = None if memory is None else parse_size(memory)
    checkpoint = open_checkpoint(resolve_model_path(path_or_name))
    choice = select_backend(backend, require=require_backend)
    device = device_profile()  # now, when the file is mapped and the backend's libraries are loaded
    load_choice = choose_load_mode(_choice(LoadMode, load_mode, "load mode"), checkpoint.path)
    num_threads = threads or _choose_threads(checkpoint, device)
    plan = plan_memory(
        checkpoint,
        device,
        choice.backend,
        num_threads,
        memory_bytes=memory_bytes,
        context=context,
        kv_type=kv_type,
        sessions=sessions,
        weights_are_mapped=load_choice.mode is LoadMode.MMAP,
    )
    return Preparation(
        checkpoint,
        choice.backend,
        choice.note,
        choice.is_fallback,
        device,
        num_threads,
        load_choice,
        plan,
    )


def load(
    path_or_name: str | os.PathLike[str],
    *,
    backend: str = "auto",
    require_backend: bool = False,
    context: int | None = None,
    kv: KVType | str | None = None,
    sessions: int = 1,
    memory: int | str | None = None,
    load_mode: LoadMode | str = LoadMode.AUTO,
    lock: bool = False,
    force: bool = False,
    threads: int | None = None,
    max_temperature_c: float | None = None,
) -> Model:
    """Plan the memory of a model, load it and return it ready to generate.

    `path_or_name` is a GGUF file, a name from `bonsai-edge models`, or "seedling", the model inside this package.
    `backend` is a name from `bonsai-edge backends` or "auto"; one that cannot run here is replaced by the best that
    can, and every result says so, unless `require_backend` forbids it. `context` in tokens, the KV type (`kv`: "f16",
    "q8" or "q4") and `threads` are chosen when None; the KV cache has room for `sessions` contexts. `memory`, in bytes
    or as "1.5GiB", bounds the process as a whole, beside what the system does; `force` loads what does not fit. The
    weights are used where the file is mapped ("mmap") or copied ("read"), as `load_mode` says; `lock` keeps them there.
    With `max_temperature_c` it pauses between steps as is needed to stay cooler than that.
    Raises a BonsaiError that says what is wrong with the file, the backend or the memory, before anything large is
    allocated.
    """
    started = time.perf_counter()
    prepared = prepare(
        path_or_name,
        backend=backend,
        require_backend=require_backend,
        context=context,
        kv=kv,
        sessions=sessions,
        memory=memory,
        load_mode=load_mode,
        threads=threads,
    )
    if prepared.backend_note is not None:
        (progress.warning if prepared.fell_back else progress.info)("%s", prepared.backend_note)
    plan, device, spec = prepared.plan, prepared.device, prepared.checkpoint.spec
    if force and not plan.fits:
        progress.warning("Loading against the plan: %s MiB are missing.", f"{-(-plan.shortfall_bytes // MIB):,}")
    else:
        plan.require_fit(spec.name)
        _tell_choice(plan, spec, context, kv)
    if lock:
        require_lockable(plan.weight_bytes)
    model = _load_prepared(prepared, lock=lock, max_temperature_c=max_temperature_c)
    model.load_s = time.perf_counter() - started
    logger.info(
        "%s computes with %d threads; %d cores are usable (%s).",
        model.name,
        model.threads,
        device.usable_cores,
        device.core_limit_source,
    )
    return model


def _load_prepared(prepared: Preparation, *, lock: bool, max_temperature_c: float | None) -> Model:
    checkpoint, plan = prepared.checkpoint, prepared.plan
    sensors = [] if max_temperature_c is None else thermometers(find_sensors(device_description()))

    def load_runner() -> ModelRunner:
        weights = bring_weights_in(checkpoint, prepared.load_choice.mode, lock=lock)
        big_cpus = prepared.device.big_cpus
        # The vocabulary in the metadata takes tens of megabytes, and a runner keeps what it is given.
        with starting_threads_on(big_cpus if prepared.threads <= len(big_cpus) else ()):
            runner = prepared.backend.load(replace(weights, metadata={}), plan, prepared.threads)
        if prepared.backend.copies_weights and prepared.load_choice.mode is LoadMode.MMAP:
            let_go(weights)
        return runner if max_temperature_c is None else GovernedRunner(runner, max_temperature_c, sensors)

    try:
        return Model(
            checkpoint,
            plan,
            load_runner,
            name=checkpoint.path.stem,
            backend_name=prepared.backend.name,
            backend_note=prepared.backend_note,
        )
    except MemoryError as exc:
        raise InsufficientMemoryError(
            f"The system refused memory while {checkpoint.path.stem} was being loaded: {exc}.",
            "Raise its limits (`ulimit -v`, `ulimit -d`), or choose a smaller context (--context).",
        ) from exc


def _choose_threads(checkpoint: Checkpoint, device: DeviceProfile) -> int:
    """Return a thread for each usable core, fewer for a model so small that meeting costs more than sharing saves."""
    return max(1, min(device.usable_cores, checkpoint.num_bytes // _LEAST_BYTES_A_THREAD))


def _choice(kind: type[_Choice], value: _Choice | str, what: str) -> _Choice:
    try:
        return kind(value)
    except ValueError:
        raise InvalidRequestError(
            f"There is no {what} {value!r}; there are {', '.join(each.value for each in kind)}.",
            "Choose one of them, or leave it out.",
        ) from None


def _tell_choice(plan: MemoryPlan, spec: ModelSpec, context: int | None, kv: KVType | str | None) -> None:
    """Say what was chosen if it is less than what is taken where memory is plentiful."""
    usual = min(DEFAULT_CONTEXT, spec.context_length)
    if (context is None and plan.context < usual) or (kv is None and plan.kv_type is not KVType.F16):
        progress.info(
            "%s leaves room for a context of %d tokens with a KV cache of type %s.",
            plan.limit_source,
            plan.context,
            plan.kv_type.value,
        )
