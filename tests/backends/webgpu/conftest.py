"""Mesa's llvmpipe as the GPU of these tests."""

from __future__ import annotations

import pytest

from bonsai_edge_webgpu.plugin import WebgpuBackend
from software_gpu import software_webgpu


@pytest.fixture(scope="session")
def backend() -> WebgpuBackend:
    return software_webgpu()


@pytest.fixture(scope="session")
def gpu(backend: WebgpuBackend):
    from bonsai_edge_webgpu.adapter import OpenedGpu, open_gpu  # noqa: PLC0415  (needs wgpu, which Python 3.10 lacks)

    opened = open_gpu()
    assert isinstance(opened, OpenedGpu), opened
    return opened.gpu
