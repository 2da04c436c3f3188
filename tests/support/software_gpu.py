"""The WebGPU backend on Mesa's llvmpipe, a Vulkan driver that computes on the CPU."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from bonsai_edge_webgpu.detection import DRIVER_VARIABLES, may_have_gpu
from bonsai_edge_webgpu.plugin import WebgpuBackend

_DRIVERS = Path("/usr/share/vulkan/icd.d")


def software_webgpu() -> WebgpuBackend:
    """Return the backend with llvmpipe opened; skip the test where there is none, but not in CI."""
    if find_spec("wgpu") is None:
        assert sys.version_info < (3, 11), "wgpu is not installed; it is in the dependency group `dev`"
        pytest.skip("wgpu needs Python 3.11.")
    driver = next(_DRIVERS.glob("lvp_icd*.json"), None)
    if driver is None:
        assert "CI" not in os.environ, "CI must have Mesa's llvmpipe"
        pytest.skip("Mesa's llvmpipe is not installed (mesa-vulkan-drivers).")
    backend = WebgpuBackend()
    with pytest.MonkeyPatch.context() as patch:  # other tests and their processes shall not ask graphics drivers
        for name in DRIVER_VARIABLES:
            patch.setenv(name, str(driver))
        may_have_gpu.cache_clear()
        backend.probe()
    return backend
