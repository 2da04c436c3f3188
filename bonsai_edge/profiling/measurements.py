"""What is measured of a machine once and then remembered: bandwidth, kernels, the costs of a backend's steps."""

from __future__ import annotations

from datetime import timedelta

from bonsai_edge.backend import Backend, KernelThroughput
from bonsai_edge.device import DeviceProfile
from bonsai_edge.device_description import DeviceDescription
from bonsai_edge.measuring.keeping import Kept, now, usable_cpus
from bonsai_edge.profiling.bandwidth import Bandwidth, measure_bandwidths
from bonsai_edge.profiling.prediction import StepCosts, fit_costs
from bonsai_edge.profiling.progress import Progress
from bonsai_edge.profiling.step_times import synthetic_models, time_steps

GOOD_FOR = timedelta(days=1)


class Measurements(Kept, frozen=True):
    """What a backend and its memory can do with a number of threads.

    `kernels` is None where the backend cannot tell. `costs` are those of each KV type, by its name.
    """

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
        measure_bandwidths(max(device.usable_cores, threads), description.clusters, available_bytes, usable_cpus())
    )
    progress.begin("kernels")
    kernels = backend.measure_kernels(threads)
    models = synthetic_models(available_bytes)
    times = {}
    for kv_type in backend.kv_types:
        progress.begin(f"steps, {kv_type.value}")
        times[kv_type] = time_steps(backend, models, kv_type, threads, available_bytes)
    return Measurements(identity, now(), backend.name, threads, bandwidths, kernels, fit_costs(times))
