"""A profile with made-up numbers, for tests of what is done with one."""

from __future__ import annotations

from array import array

import msgspec

from bonsai_edge.backend import KernelThroughput
from bonsai_edge.device_description import Board, Cluster, DeviceDescription, Memory
from bonsai_edge.profiling.bandwidth import Bandwidth
from bonsai_edge.profiling.load_process import Load
from bonsai_edge.profiling.loading import Loads
from bonsai_edge.profiling.measurements import Measurements
from bonsai_edge.profiling.model_speeds import ModelSpeeds, Percentiles, SpeedTest
from bonsai_edge.profiling.noise import Disturbance
from bonsai_edge.profiling.outlook import Outlook
from bonsai_edge.profiling.prediction import AttentionCost, StepCosts, WeightCost
from bonsai_edge.profiling.profile import (
    Candidate,
    ModelProfile,
    Predicted,
    Profile,
    Provenance,
    Storage,
    recorded,
)
from bonsai_edge.profiling.sampling import Series, SeriesKey
from bonsai_edge.profiling.sustained import summarize
from bonsai_edge.profiling.verdict import Verdict
from bonsai_edge.sensors import Quantity

COSTS = StepCosts(
    chunk_rows=32,
    decode=WeightCost(per_byte_s=5e-11, per_layer_s=1e-5),
    chunk=WeightCost(per_byte_s=4e-10, per_layer_s=1e-5),
    decode_attention=AttentionCost(per_kv_byte_s=3e-11, per_query_value_s=2e-11),
    chunk_attention=AttentionCost(per_kv_byte_s=0.0, per_query_value_s=1e-9),
)
MEASUREMENTS = Measurements(
    identity="abc",
    measured_at="2026-01-02T03:04:05+00:00",
    backend="cpu",
    threads=4,
    bandwidths=(Bandwidth(1, None, 4e9, 5e9), Bandwidth(4, None, 1.6e10, 1.4e10), Bandwidth(4, "0-3", 1.5e10, 1.3e10)),
    kernels=KernelThroughput(1e11, 3e11),
    costs={"f16": COSTS, "q8": COSTS},
)
MODEL = ModelProfile(
    name="robot|<b>",
    file="robot.gguf",
    sha256="00" * 32,
    file_bytes=248 << 20,
    num_weights=1_700_000_000,
    num_layer_weights=1_400_000_000,
    backend="cpu",
    backend_note=None,
    threads=4,
    context=4096,
    kv_type="f16",
    loads=Loads(cold=None, warm=Load(1.0, 0.1, 300 << 20), first=Load(21.0, 0.1, 500 << 20)),
    speeds=ModelSpeeds(
        tests=[
            SpeedTest("pp", 512, 0, [100.0, 110.0]),
            SpeedTest("tg", 128, 0, [20.0, 22.0]),
            SpeedTest("tg", 32, 512, [18.0]),
        ],
        inter_token_s=Percentiles(0.05, 0.06, 0.07),
        first_token_s=0.7,
        first_token_prompt_tokens=66,
    ),
    bandwidth_share=0.5,
    predictions=[Predicted("pp512", 115.5, 105.0), Predicted("tg128", 18.9, 21.0)],
    unpredicted=None,
    energy=None,
    energy_unavailable="this machine has no power sensor that is known",
    sustained=summarize([1.0, 2.0, 3.0, 4.0, 5.0, 7.5], 128),
)
TEMPERATURE = Series(
    SeriesKey(Quantity.TEMPERATURE, "cpu", "zone"), "/sys/temp", array("d", [10, 11]), array("d", [50.0, 60.0])
)
CLOCK = Series(
    SeriesKey(Quantity.REPORTED_CLOCK, "cpu0-3", "CPU 0-3"),
    "/sys/freq",
    array("d", [10, 11]),
    array("d", [2.4e9, 1.5e9]),
)
OUTLOOKS = [
    Outlook(name, kv_type, True, 4096, 800 << 20, 30.0, 20.0, 150.0, 130.0, 55.0, "arithmetic")
    for name in ("bonsai-1.7b", "bonsai-4b", "bonsai-8b")
    for kv_type in ("f16", "q8")
]
PROFILE = Profile(
    provenance=Provenance("0.1.0", "2026-01-02T03:04:06+00:00", "bonsai-edge profile", "3.11.0", {"numba": "0.68"}),
    machine=DeviceDescription(
        board=Board(name="Raspberry <Pi>"),
        soc="BCM2712",
        clusters=(Cluster(num_cores=4, num_threads=4, core="Cortex-A76", cpus="0-3"),),
        memory=Memory(total_bytes=8 << 30),
    ),
    usable_cores=4,
    core_limit_source="affinity",
    memory_available_bytes=6 << 30,
    memory_limits={"MemAvailable": 6 << 30},
    backends=[Candidate("cpu", True, 100, "It works.")],
    measurements=MEASUREMENTS,
    memory_read_bytes_per_s=MEASUREMENTS.memory_read_bytes_per_s,
    storage=Storage("robot.gguf", 9e7),
    outlook=OUTLOOKS,
    model=MODEL,
    sensors=[recorded(TEMPERATURE, 10.0), recorded(CLOCK, 10.0)],
    sensors_unavailable=["power_w (vcgencmd): not in this container"],
    disturbance=Disturbance(60.0, 0.01, 0, 0),
    verdict=Verdict(True),
)
MACHINE_ONLY = msgspec.structs.replace(
    PROFILE, model=None, storage=Storage(None, None, "no model was given to read"), sensors=[]
)
