"""A GPU through WebGPU: buffers, kernels in WGSL, and running them in order. Knows no models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import wgpu

_ACCESS = {"w": "storage", "r": "read-only-storage", "u": "uniform"}
_FEWEST_BYTES = 16  # of a buffer: what a uniform one takes

Buffer = Any
"""A `wgpu.GPUBuffer`; wgpu has no types."""


class Gpu:
    """A device of an adapter with all the adapter's room for buffers."""

    def __init__(self, adapter: Any) -> None:
        limits = ("max-storage-buffer-binding-size", "max-buffer-size")
        self._device = adapter.request_device_sync(required_limits={name: adapter.limits[name] for name in limits})
        self.most_buffer_bytes = int(min(adapter.limits[name] for name in limits))
        self._kernels: dict[tuple[str, str], Kernel] = {}

    def buffer(self, num_bytes: int) -> Buffer:
        """Make a buffer of zeros."""
        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_SRC
        usage |= wgpu.BufferUsage.COPY_DST
        return self._device.create_buffer(size=max(_FEWEST_BYTES, -(-num_bytes // 4) * 4), usage=usage)

    def upload(self, array: npt.NDArray[np.generic]) -> Buffer:
        """Make a buffer with the bytes of an array, whose size is a multiple of 4."""
        buffer = self.buffer(array.nbytes)
        self.write(buffer, array)
        return buffer

    def write(self, buffer: Buffer, array: npt.NDArray[np.generic]) -> None:
        """Replace the beginning of a buffer, before what is run next."""
        if array.nbytes:
            self._device.queue.write_buffer(buffer, 0, np.ascontiguousarray(array))

    def read(self, buffer: Buffer, num_bytes: int) -> npt.NDArray[np.uint8]:
        """Return a copy of the beginning of a buffer, after what has been run."""
        return np.frombuffer(self._device.queue.read_buffer(buffer, 0, num_bytes), np.uint8).copy()

    def copy(self, pieces: Iterable[tuple[Buffer, int, Buffer, int, int]]) -> None:
        """Copy (source, offset, destination, offset, number of bytes) within the GPU."""
        encoder = self._device.create_command_encoder()
        for source, source_offset, destination, destination_offset, num_bytes in pieces:
            encoder.copy_buffer_to_buffer(source, source_offset, destination, destination_offset, num_bytes)
        self._device.queue.submit([encoder.finish()])

    def kernel(self, parts: Sequence[str], access: str, **constants: float) -> Kernel:
        """Compile `shaders/<part>.wgsl`, one after the other, with constants in front; each kernel once.

        `access` has a letter for each buffer: w to write and read, r to read, u for a uniform one.
        """
        source = "".join(_constant(*item) for item in constants.items())
        source += "".join(_shader_source(part) for part in parts)
        if (source, access) not in self._kernels:
            self._kernels[source, access] = self._compile(source, access)
        return self._kernels[source, access]

    def _compile(self, source: str, access: str) -> Kernel:
        layout = self._device.create_bind_group_layout(
            entries=[
                {"binding": i, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": _ACCESS[letter]}}
                for i, letter in enumerate(access)
            ]
        )
        pipeline = self._device.create_compute_pipeline(
            layout=self._device.create_pipeline_layout(bind_group_layouts=[layout]),
            compute={"module": self._device.create_shader_module(code=source), "entry_point": "main"},
        )
        return Kernel(self._device, pipeline, layout)

    def run(self, launches: Iterable[Launch]) -> None:
        """Run kernels one after the other; returns before they have finished."""
        encoder = self._device.create_command_encoder()
        compute_pass = encoder.begin_compute_pass()
        for launch in launches:
            compute_pass.set_pipeline(launch.bound.pipeline)
            compute_pass.set_bind_group(0, launch.bound.bind_group)
            compute_pass.dispatch_workgroups(*launch.num_workgroups)
        compute_pass.end()
        self._device.queue.submit([encoder.finish()])


@dataclass(frozen=True)
class Bound:
    """A kernel with its buffers."""

    pipeline: Any
    bind_group: Any


@dataclass(frozen=True)
class Launch:
    """A kernel to be run, and by how many workgroups in x and y."""

    bound: Bound
    num_workgroups: tuple[int, int]


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel."""

    device: Any
    pipeline: Any
    layout: Any

    def bind(self, *buffers: Buffer) -> Bound:
        """Give it its buffers, in the order of its bindings."""
        entries = [
            {"binding": i, "resource": {"buffer": buffer, "offset": 0, "size": buffer.size}}
            for i, buffer in enumerate(buffers)
        ]
        return Bound(self.pipeline, self.device.create_bind_group(layout=self.layout, entries=entries))


LaunchFor = Callable[[int], Launch]
"""A kernel with its buffers that is told the number of rows when it is run."""


def find_adapter() -> Any | None:
    """Return the fastest GPU that WebGPU finds, None if there is none."""
    try:
        return wgpu.gpu.request_adapter_sync(power_preference="high-performance")
    except RuntimeError:  # which is how wgpu says that there is none
        return None


def _constant(name: str, value: float) -> str:
    if isinstance(value, bool):
        return f"const {name} = {str(value).lower()};\n"
    return f"const {name}: {'u32' if isinstance(value, int) else 'f32'} = {value};\n"


def _shader_source(name: str) -> str:
    return (files("bonsai_edge_webgpu") / "shaders" / f"{name}.wgsl").read_text()
