from __future__ import annotations

import pytest

from bonsai_edge.device_description import DeviceDescription, Memory
from bonsai_edge.kv_cache import KVType
from bonsai_edge.profiling import measurements as measuring
from bonsai_edge.profiling.measurements import measure
from bonsai_edge.profiling.progress import Progress
from bonsai_edge.reference import ReferenceBackend
from sample_profile import MEASUREMENTS

DESCRIPTION = DeviceDescription(memory=Memory(total_bytes=1 << 30, available_bytes=1 << 29))


def test_measuring_goes_through_every_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    stages: list[str] = []
    backend = ReferenceBackend()
    backend.kv_types = (KVType.F16, KVType.Q4)
    monkeypatch.setattr(measuring, "measure_bandwidths", lambda *arguments: MEASUREMENTS.bandwidths)
    monkeypatch.setattr(measuring, "synthetic_models", lambda available_bytes: ())
    monkeypatch.setattr(measuring, "time_steps", lambda *arguments: arguments[2])
    monkeypatch.setattr(measuring, "fit_costs", lambda times: {kv.value: MEASUREMENTS.costs["f16"] for kv in times})
    taken = measure("abc", backend, _Device(), DESCRIPTION, 4, Progress(stages.append, lambda seconds: None))
    assert stages == ["memory bandwidth", "kernels", "steps, f16", "steps, q4"]
    assert (taken.backend, taken.threads, taken.kernels, list(taken.costs)) == ("reference", 4, None, ["f16", "q4"])


class _Device:
    available_memory_bytes = 1 << 30
    usable_cores = 4
