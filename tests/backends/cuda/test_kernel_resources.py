"""NVRTC and ptxas compile every kernel, without a GPU: what they take of an architecture is kept in a table."""

import os
import re

import pytest

from bonsai_edge_cuda.code_store import BUILT_ARCHITECTURES, architecture_name
from bonsai_edge_cuda.compiler import nvrtc_version
from emulated_cuda import KERNELS, emulated_device
from kernel_resources import compiled_resources, read_table

# One for each way to compile: bit planes on Ampere, the same with dependent launches on Hopper, dp4a on Blackwell.
DISTINCT = ((8, 0), (9, 0), (12, 0))
SHARED_BYTES = 48 * 1024  # that every GPU gives a block without being asked
REGISTERS = 65536  # of a multiprocessor


@pytest.fixture(scope="module")
def nvrtc() -> None:
    """Skip where NVRTC is not installed; in CI it is."""
    try:
        version = nvrtc_version()
    except Exception as exc:  # noqa: BLE001  (cuda.bindings has no type of its own for a missing library)
        assert "CI" not in os.environ, "CI must have NVRTC"
        pytest.skip(f"NVRTC is not there ({exc}); it is in the dependency group dev, for Linux")
    assert version == (12, 9)


def compare_with_table(capability: tuple[int, int]) -> None:
    kept = [line for line in read_table() if line.architecture == architecture_name(capability)]
    assert compiled_resources(capability) == kept, "After a wanted change: python tests/support/kernel_resources.py"


@pytest.mark.usefixtures("nvrtc")
@pytest.mark.parametrize("capability", DISTINCT, ids=architecture_name)
def test_kernels_take_what_the_table_says(capability) -> None:
    compare_with_table(capability)


@pytest.mark.slow
@pytest.mark.usefixtures("nvrtc")
@pytest.mark.parametrize("capability", sorted({*BUILT_ARCHITECTURES} - {*DISTINCT}), ids=architecture_name)
def test_kernels_take_what_the_table_says_on_every_architecture(capability) -> None:
    compare_with_table(capability)


@pytest.mark.usefixtures("compiler")
def test_the_table_names_every_kernel_for_every_architecture() -> None:
    found = {(line.kernel, line.architecture) for line in read_table()}
    names, architectures = emulated_device().kernel_names(), map(architecture_name, BUILT_ARCHITECTURES)
    assert found == {(name, architecture) for architecture in architectures for name in names}


def test_no_kernel_spills_or_needs_more_than_every_gpu_has() -> None:
    threads = block_threads()
    for line in read_table():
        assert line.spill_bytes == 0, line
        assert line.shared_bytes <= SHARED_BYTES, line
        assert line.registers * threads[re.sub(r"_(c\d|(f16|q8|q4)_d\d+)$", "", line.kernel)] <= REGISTERS, line


def block_threads() -> dict[str, int]:
    """Return the threads of a block by kernel, without what its name says of columns and types."""
    return {
        "advance_rows": 32, "attend": 128, "attend_rows": 128, "embed": 128, "gate_up": 256, "gemm": 256,
        "gemm_add": 256, "gemm_swiglu": 256, "prepare_heads": 128, "project": 256, "project_add": 256,
        "project_head": 256, "quantize_rows": 256, "repack_q1_0": 256, "sample": 1024,
    }  # fmt: skip


def test_inline_ptx_stands_in_one_file() -> None:
    """What the emulator has a twin of is all that only a GPU can run."""
    with_ptx = [path.name for path in sorted(KERNELS.iterdir()) if re.search(r"\basm\b", path.read_text())]
    assert with_ptx == ["primitives.cuh"]
