"""The backends that the contract suite runs, `tests/backends/test_contract.py`: one line here for a new one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from bonsai_edge.backend import Backend
from bonsai_edge.reference import ReferenceBackend
from bonsai_edge_cpu.plugin import CpuBackend
from bonsai_edge_cuda.plugin import CudaBackend
from bonsai_edge_metal.plugin import MetalBackend
from emulated_gpu import EmulatedCudaBackend
from mobile_kernels import mobile_backend
from software_gpu import software_webgpu


@dataclass(frozen=True)
class Candidate:
    """A backend and how exact it promises to be.

    `least_cosine` is that of the logits of 1-bit weights with the reference's: less than 1 where activations are
    rounded. `tolerance` is how far logits may be from those of the same rows computed otherwise (one by one, in another
    batch), as a share of the largest: 0 demands the same bits. `head_dims` are the sizes of heads that it has kernels
    for, None if that is any: others must be refused.
    """

    name: str
    make: Callable[[], Backend]
    least_cosine: float = 0.999
    tolerance: float = 0.0
    head_dims: tuple[int, ...] | None = None


CANDIDATES = [
    Candidate("reference", ReferenceBackend, least_cosine=0.9999999, tolerance=1e-5),
    Candidate("cpu", CpuBackend),
    Candidate("cuda", CudaBackend, head_dims=(64, 128))
    if "BONSAI_EDGE_TEST_GPU" in os.environ  # set by `make test-cuda`
    else Candidate("cuda (emulated)", EmulatedCudaBackend, head_dims=(64, 128)),
    Candidate("metal", MetalBackend, least_cosine=0.999999),  # on the CPU, where MLX takes rows one by one
    Candidate("mobile", mobile_backend),
    Candidate("webgpu", software_webgpu),
]
