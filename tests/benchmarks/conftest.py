from datetime import datetime, timezone

import pytest

from speed.case import Case
from speed.results import Machine, Measurement, Results, Roofs, Run, Shape, Versions

SHAPE = Shape(name="1.7b", file_bytes=1200, weight_bytes=1000, kv_bytes=1, prompt_macs=4000)


def make_run(*, threads=2, shape=SHAPE, measurements=None):
    """Two rounds, the second on a machine that is half as fast."""
    measurements = measurements or [
        Measurement(Case("decode", 128), ours=[60.0, 30.0], llama_cpp=[20.0, 10.0]),
        Measurement(Case("prefill", 512), ours=[700.0, 350.0], llama_cpp=[100.0, 50.0]),
        Measurement(Case("decode", 32), ours=[64.0, 32.0], llama_cpp=[20.0, 10.0]),
        Measurement(Case("decode", 32, depth=4096), ours=[16.0, 8.0], llama_cpp=[10.0, 5.0]),
        Measurement(Case("decode", 16), ours=[50.0, 25.0], llama_cpp=[20.0, 10.0]),
        Measurement(Case("decode", 16, num_sequences=8), ours=[200.0, 100.0], llama_cpp=[40.0, 20.0]),
    ]
    return Run(
        shape=shape,
        threads=threads,
        ours="cpu (avx512-vnni)",
        llama_cpp="CPU : AVX2 = 1",
        roofs=[Roofs(100_000.0, 4e6), Roofs(50_000.0, 2e6)],
        measurements=measurements,
    )


@pytest.fixture
def results():
    return Results(
        label="some-processor-2-cores",
        machine=Machine("A server", "Some Processor", "x86_64", 2, 24 * 10**9, "Linux", 0.25),
        versions=Versions("0.1.0", "abc1234", "0.3.36", "3.11.2", "0.66.0", "2.4.6"),
        command="python benchmarks/vs_llama_cpp.py",
        started=datetime(2026, 11, 23, 17, 5, tzinfo=timezone.utc),
        isa=None,
        runs=[make_run(threads=1), make_run()],
    )
