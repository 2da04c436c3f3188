"""NVIDIA's driver, through `cuda.core`: https://nvidia.github.io/cuda-python/cuda-core/"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from cuda.bindings import driver as cuda_driver
from cuda.core import (
    Buffer,
    Device,
    LaunchConfig,
    LegacyPinnedMemoryResource,
    ObjectCode,
    launch,
)

from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge_cuda.detection import Gpu
from bonsai_edge_cuda.driver import Driver, Graph, Launch, SharedMemory

_LEAST_MAJOR_THAT_OVERLAPS = 9  # programmatic dependent launch came with Hopper


class CudaCoreDriver(Driver):
    """The first device of CUDA, with a stream of its own."""

    def __init__(self, gpu: Gpu) -> None:
        """Take the device that was found; raises BackendUnavailableError."""
        self.gpu = gpu
        self._thread: int | None = None
        with self._here():
            self._device = Device(0)
            self._stream = self._device.create_stream()
        self._recording: Any = None
        self._buffers: list[Any] = []
        self._modules: list[Any] = []
        self._kernels: dict[str, Any] = {}
        self._overlaps = gpu.compute_capability[0] >= _LEAST_MAJOR_THAT_OVERLAPS

    def free_bytes(self) -> int:
        """See `Driver.free_bytes`."""
        with self._here():
            status, free, _ = cuda_driver.cuMemGetInfo()
            if status != cuda_driver.CUresult.CUDA_SUCCESS:
                raise RuntimeError(f"cuMemGetInfo failed with {status.name}")
            return int(free)

    def allocate(self, num_bytes: int) -> int:
        """See `Driver.allocate`."""
        with self._here():
            buffer = self._keep(self._device.allocate(num_bytes, stream=self._stream))
            buffer.fill(0, stream=self._stream)
            self._stream.sync()
            return int(buffer.handle)

    def allocate_shared(self, num_bytes: int) -> SharedMemory:
        """See `Driver.allocate_shared`: pinned memory, which has one address for both sides."""
        with self._here():
            address = int(self._keep(LegacyPinnedMemoryResource().allocate(num_bytes)).handle)
        array = np.ctypeslib.as_array((ctypes.c_uint8 * num_bytes).from_address(address))
        array[:] = 0
        return SharedMemory(array, address)

    def upload(self, address: int, content: npt.NDArray[np.generic]) -> None:
        """See `Driver.upload`."""
        with self._here():
            self._copy(content.ctypes.data, address, content.nbytes)
            self._stream.sync()

    def download(self, address: int, num_bytes: int) -> npt.NDArray[np.uint8]:
        """See `Driver.download`."""
        content = np.empty(num_bytes, np.uint8)
        with self._here():
            self._copy(address, content.ctypes.data, num_bytes)
            self._stream.sync()
        return content

    def copy(self, source: int, destination: int, num_bytes: int) -> None:
        """See `Driver.copy`."""
        with self._here():
            self._copy(source, destination, num_bytes)

    def load(self, code: Iterable[bytes]) -> None:
        """See `Driver.load`."""
        with self._here():
            for each in code:
                module = ObjectCode.from_cubin(each)
                _ = module.handle  # loads it now, not with the first kernel
                self._modules.append(module)

    def launch(self, launch_: Launch) -> None:
        """See `Driver.launch`."""
        config = LaunchConfig(
            grid=launch_.grid,
            block=(launch_.num_threads, 1, 1),
            programmatic_stream_serialization=launch_.overlaps and self._overlaps,
        )
        with self._here():
            launch(self._target, config, self._kernel(launch_.kernel), *launch_.arguments)

    def record(self, work: Callable[[], None]) -> Graph:
        """See `Driver.record`."""
        with self._here():
            builder = self._stream.create_graph_builder()
            self._recording = builder.begin_building()
            try:
                work()
            finally:
                self._recording = None
                builder.end_building()
            graph = builder.complete()
            graph.upload(self._stream)
            self._stream.sync()
        return _CudaGraph(self, graph)

    def time(self, work: Callable[[], None]) -> float:
        """See `Driver.time`."""
        with self._here():
            began = self._stream.record(options={"timing_enabled": True})
            work()
            ended = self._stream.record(options={"timing_enabled": True})
            ended.sync()
            return float(ended - began) / 1e3

    def synchronize(self) -> None:
        """See `Driver.synchronize`."""
        with self._here():
            self._stream.sync()

    def close(self) -> None:
        """See `Driver.close`."""
        if self._stream.is_closed:
            return
        with self._here():
            self._stream.sync()
            while self._buffers:
                self._buffers.pop().close()
            self._kernels.clear()
            self._modules.clear()
            self._stream.close()

    @property
    def _target(self) -> Any:
        """What is asked now: the stream, or the graph that is being recorded."""
        return self._stream if self._recording is None else self._recording

    def _keep(self, buffer: Any) -> Any:
        self._buffers.append(buffer)
        return buffer

    def _copy(self, source: int, destination: int, num_bytes: int) -> None:
        """Copy between any two memories: addresses of both sides are of one space on 64 bits."""
        from_buffer, to_buffer = (Buffer.from_handle(each, num_bytes) for each in (source, destination))
        to_buffer.copy_from(from_buffer, stream=self._target)

    def _kernel(self, name: str) -> Any:
        if name not in self._kernels:
            self._kernels[name] = self._find_kernel(name)
        return self._kernels[name]

    def _find_kernel(self, name: str) -> Any:
        section = f".text.{name}\0".encode()  # the name of its code in the symbol table of an ELF file
        for module in self._modules:
            if section in module.code:
                return module.get_kernel(name)
        raise LookupError(f"no kernel {name!r} is loaded")

    @contextmanager
    def _here(self) -> Iterator[None]:
        """Make the device current in this thread, and tell what the driver reports in our words."""
        try:
            if self._thread != threading.get_ident():
                Device(0).set_current()
                self._thread = threading.get_ident()
            yield
        except Exception as exc:
            if "OUT_OF_MEMORY" in str(exc):
                raise MemoryError(f"the memory of {self.gpu.name} is full") from exc
            raise BackendUnavailableError(
                f"{self.gpu.name} failed: {exc}.",
                "Restart the program; if it fails again, choose --backend cpu and report it.",
            ) from exc


class _CudaGraph(Graph):
    def __init__(self, owner: CudaCoreDriver, graph: Any) -> None:
        self._owner, self._graph = owner, graph

    def launch(self) -> None:
        """See `Graph.launch`."""
        with self._owner._here():
            self._graph.launch(self._owner._stream)
