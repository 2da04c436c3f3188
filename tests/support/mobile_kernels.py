"""The library of kernels that the tests of the mobile backend run."""

from __future__ import annotations

import os

import pytest

from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge_mobile.library import load_kernels
from bonsai_edge_mobile.plugin import MobileBackend


def mobile_backend() -> MobileBackend:
    """Return the backend; skip where its library has not been built from these sources, or fail if in CI."""
    from bonsai_edge_cpu.kernel_cache import version_hash  # noqa: PLC0415  (needs llvmlite; a GPU is tested without)

    try:
        version = load_kernels().version
        problem = "" if version == version_hash() else "The kernels were built from other sources than these."
    except BackendUnavailableError as exc:
        problem = str(exc)
    if problem:
        reason = f"{problem} Run `make kernels`."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return MobileBackend()
