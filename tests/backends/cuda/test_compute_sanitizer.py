"""NVIDIA's checkers of memory accesses and races, on a real GPU: what an emulation in one thread cannot find."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cuda_steps
from bonsai_edge_cuda.plugin import CudaBackend
from gguf_files import write_random_model

_FOUND = 86


@pytest.mark.gpu
@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
def test_no_kernel_is_faulted(tmp_path: Path, tool: str) -> None:
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("compute-sanitizer is not installed; it comes with the CUDA toolkit")
    availability = CudaBackend().probe()
    assert availability.available, availability.reason
    model = write_random_model(tmp_path / "model.gguf")
    command = [sanitizer, "--tool", tool, "--error-exitcode", str(_FOUND), sys.executable, cuda_steps.__file__, model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "computed" in done.stdout
