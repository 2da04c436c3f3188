"""Takes the profile of this machine: one measurement after the other, while sensors are read and noise is watched."""

from __future__ import annotations

import platform
import shlex
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bonsai_edge.backend_selection import choose_auto, select_backend
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.measuring.bonsai_shapes import BONSAI_SHAPES
from bonsai_edge.measuring.keeping import identity_of, keep, recall
from bonsai_edge.model_store import resolve_model_path
from bonsai_edge.plugin_manager import (
    BackendStatus,
    device_description,
    device_profile,
    find_sensors,
    list_backends,
)
from bonsai_edge.profiling.measurements import GOOD_FOR, Measurements, measure
from bonsai_edge.profiling.model_run import profile_model
from bonsai_edge.profiling.noise import Watch
from bonsai_edge.profiling.outlook import outlooks
from bonsai_edge.profiling.profile import Candidate, Profile, Provenance, Storage, recorded
from bonsai_edge.profiling.progress import Progress
from bonsai_edge.profiling.sampling import Sampler
from bonsai_edge.profiling.storage import measure_read_speed
from bonsai_edge.profiling.verdict import judge
from bonsai_edge.sensors import Sensor, Unavailable
from bonsai_edge.version import __version__

_PACKAGES = ("numba", "llvmlite", "numpy")


@dataclass(frozen=True)
class Wishes:
    """What the profile is to contain. `loading` are keywords of `bonsai_edge.load`."""

    model: str | None
    loading: dict[str, Any]
    sustained_s: float | None
    remeasure: bool


def take_profile(wishes: Wishes, progress: Progress) -> Profile:
    """Measure everything that is wished for."""
    progress.begin("machine")
    description, device = device_description(), device_profile()
    statuses = list_backends()
    backend = select_backend(wishes.loading["backend"], require=wishes.loading["require_backend"]).backend
    path = None if wishes.model is None else resolve_model_path(wishes.model)
    checkpoint = None if path is None else open_checkpoint(path)  # before anything is measured in vain
    found = find_sensors(description)
    began_s = time.monotonic()
    with Watch() as watch, Sampler(each for each in found if isinstance(each, Sensor)) as recording:
        threads = wishes.loading["threads"] or device.usable_cores
        details = next(each.availability.details for each in statuses if each.name == backend.name)
        identity = identity_of(description, backend.name, details, threads)
        measured = None if wishes.remeasure else recall(identity, Measurements, GOOD_FOR)
        if measured is None:
            measured = measure(identity, backend, device, description, threads, progress)
            keep(measured)
        storage = _storage(path, progress)
        model = None
        if checkpoint is not None:
            model = profile_model(checkpoint, wishes.loading, measured, recording, found, wishes.sustained_s, progress)
    predicted = outlooks((shape.checkpoint() for shape in BONSAI_SHAPES), measured, device, backend)
    return Profile(
        provenance=_provenance(),
        machine=description,
        usable_cores=device.usable_cores,
        core_limit_source=device.core_limit_source,
        memory_available_bytes=device.available_memory_bytes,
        memory_limits={limit.source: limit.available_bytes for limit in device.memory_limits},
        backends=_candidates(statuses),
        measurements=measured,
        memory_read_bytes_per_s=measured.memory_read_bytes_per_s,
        storage=storage,
        outlook=predicted,
        model=model,
        sensors=[recorded(series, began_s) for series in recording.series.values() if series.values],
        sensors_unavailable=[
            f"{each.quantity.value}{f' ({each.source})' if each.source else ''}: {each.reason}"
            for each in found
            if isinstance(each, Unavailable)
        ],
        disturbance=watch.disturbance,
        verdict=judge(
            watch.disturbance,
            device.usable_cores,
            recording.series.values(),
            model.speeds.tests if model else (),
            model.sustained if model else None,
        ),
    )


def _storage(path: Path | None, progress: Progress) -> Storage:
    if path is None:
        return Storage(None, None, "no model was given to read")
    progress.begin("storage")
    try:
        return Storage(str(path), measure_read_speed(path))
    except OSError as exc:
        return Storage(str(path), None, exc.strerror or str(exc))


def _candidates(statuses: list[BackendStatus]) -> list[Candidate]:
    trial = choose_auto(statuses).trial
    tried = {} if trial is None else {result.backend: result for result in trial.results}
    return [
        Candidate(status.name, said.available, said.score, said.reason, tried.get(status.name))
        for status in statuses
        for said in [status.availability]
    ]


def _provenance() -> Provenance:
    return Provenance(
        version=__version__,
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=shlex.join(["bonsai-edge", *sys.argv[1:]]),
        python=platform.python_version(),
        packages={name: found for name in _PACKAGES if (found := _version_of(name)) is not None},
    )


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
