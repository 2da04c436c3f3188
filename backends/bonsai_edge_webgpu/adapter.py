"""The GPU that this process computes with, opened once: what is known of it, and whether it computes rightly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import wgpu

from bonsai_edge_webgpu.gpu import Gpu, find_adapter
from bonsai_edge_webgpu.smoke_test import smoke_test_failure


@dataclass(frozen=True)
class OpenedGpu:
    """A GPU that passes the smoke test, and what its driver says of itself.

    `is_software` tells that it is the CPU which plays the GPU, as Mesa's llvmpipe does.
    """

    gpu: Gpu
    device: str
    driver: str
    is_software: bool


@cache
def open_gpu() -> OpenedGpu | str:
    """Open the fastest GPU and try it; return why there is none to compute with, as one sentence."""
    adapter = find_adapter()
    if adapter is None:
        return "No driver for Vulkan, Metal or DirectX 12 offers a GPU."
    info: dict[str, Any] = adapter.info
    device, driver = str(info["device"]), f"{info['backend_type']}, {info['description'] or info['vendor']}"
    try:
        gpu = Gpu(adapter)
        failure = smoke_test_failure(gpu)
    except (wgpu.GPUError, wgpu.GPUPipelineError, RuntimeError) as exc:  # RuntimeError: no device at all
        return f"{device} ({driver}) cannot be used: {exc}."
    if failure is not None:
        return f"{device} ({driver}) fails the smoke test: {failure}"
    return OpenedGpu(gpu, device, driver, info["adapter_type"] == "CPU")
