"""What the tests of the CUDA backend compile: they need g++, which CI installs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[2] / "support"


@pytest.fixture(scope="session")
def compiler() -> str:
    """Return the C++ compiler; where it may be missing the test is skipped."""
    found = shutil.which("g++")
    if found is None:
        assert "CI" not in os.environ, "CI must have g++"
        pytest.skip("g++ is not installed")
    return found


@pytest.fixture(scope="session")
def fake_libcuda(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a driver library that answers as the FAKE_* variables say, an Orin by itself."""
    library = tmp_path_factory.mktemp("libcuda") / "libfakecuda.so"
    source = SUPPORT / "fake_libcuda.c"
    subprocess.run([compiler, "-x", "c", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    return str(library)
