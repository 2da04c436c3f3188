"""What is measured of a machine once and then remembered: bandwidth, kernels, the costs of a backend's steps."""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import platformdirs
import psutil

from bonsai_edge.backend import Backend, KernelThroughput
from bonsai_edge.device import DeviceProfile
from bonsai_edge.device_description import DeviceDescription
from bonsai_edge.profiling.bandwidth import Bandwidth, measure_bandwidths
from bonsai_edge.profiling.prediction import StepCosts, fit_costs
from bonsai_edge.profiling.progress import Progress
from bonsai_edge.profiling.step_times import synthetic_models, time_steps
from bonsai_edge.version import __version__

logger = logging.getLogger(__name__)

_GOOD_FOR = timedelta(days=1)


class Measurements(msgspec.Struct, frozen=True):
    """Measured at a time, in ISO 8601 and UTC, on the machine that `identity` stands for; see `identity_of`.

    `kernels` is None where the backend cannot tell. `costs` are those of each KV type, by its name.
    """

    identity: str
    measured_at: str
    backend: str
    threads: int
    bandwidths: tuple[Bandwidth, ...]
    kernels: KernelThroughput | None
    costs: dict[str, StepCosts]

    @property
    def memory_read_bytes_per_s(self) -> float:
        """What the threads of the backend can read together."""
        free = [each for each in self.bandwidths if each.cpus is None and each.threads <= self.threads]
        return max(free, key=lambda each: each.threads).read_bytes_per_s


def identity_of(description: DeviceDescription, backend: Backend, details: dict[str, str], threads: int) -> str:
    """Return a digest of all that measurements depend on: hardware, limits, clocks and power mode, software, threads.

    `details` are those of the backend's probe. What changes by itself, such as free memory, is left out.
    """
    memory = msgspec.structs.replace(description.memory, available_bytes=None)
    lasting = msgspec.structs.replace(description, memory=memory, batteries=(), problems=())
    parts = [lasting, _usable_cpus(), backend.name, details, threads, __version__]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def measure(
    identity: str,
    backend: Backend,
    device: DeviceProfile,
    description: DeviceDescription,
    threads: int,
    progress: Progress,
) -> Measurements:
    """Measure everything; takes seconds, and an eighth of the available memory three times over at most."""
    available_bytes = device.available_memory_bytes
    progress.begin("memory bandwidth")
    bandwidths = tuple(
        measure_bandwidths(max(device.usable_cores, threads), description.clusters, available_bytes, _usable_cpus())
    )
    progress.begin("kernels")
    kernels = backend.measure_kernels(threads)
    models = synthetic_models(available_bytes)
    times = {}
    for kv_type in backend.kv_types:
        progress.begin(f"steps, {kv_type.value}")
        times[kv_type] = time_steps(backend, models, kv_type, threads, available_bytes)
    measured_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Measurements(identity, measured_at, backend.name, threads, bandwidths, kernels, fit_costs(times))


def recall(identity: str) -> Measurements | None:
    """Return what was measured on the same machine within the last day, None if nothing was or it cannot be read."""
    try:
        kept = msgspec.json.decode(_path(identity).read_bytes(), type=Measurements)
        age = datetime.now(timezone.utc) - datetime.fromisoformat(kept.measured_at)
    except (OSError, RuntimeError, ValueError, TypeError) as exc:  # TypeError: a date without its zone
        if not isinstance(exc, FileNotFoundError):
            logger.warning("Earlier measurements cannot be used: %s.", exc)
        return None
    return kept if kept.identity == identity and timedelta() <= age < _GOOD_FOR else None


def keep(measurements: Measurements) -> None:
    """Remember measurements; what prevents it is logged."""
    try:
        path = _path(measurements.identity)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            unfinished.write_bytes(msgspec.json.encode(measurements))
            unfinished.replace(path)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
    except (OSError, RuntimeError) as exc:  # RuntimeError: no home directory
        logger.warning("The measurements cannot be kept for later: %s.", exc)


def _path(identity: str) -> Path:
    return platformdirs.user_cache_path("bonsai-edge").expanduser() / "measurements" / f"{identity}.json"


def _usable_cpus() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(psutil.cpu_count() or 1))
