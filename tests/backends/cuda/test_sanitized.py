"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer: no access outside of arrays, no undefined step."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulated_cuda import SANITIZED

TESTS = ("test_load.py", "test_matvec.py", "test_attention.py", "test_gemm.py", "test_sampling.py")


@pytest.mark.slow
@pytest.mark.parametrize("name", TESTS)
def test_kernels_stay_within_their_memory(compiler: str, name: str) -> None:
    """Python itself is not sanitized, so the library of the sanitizer must be there before it."""
    asked = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = os.environ | {
        SANITIZED: "1",
        "LD_PRELOAD": asked.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python frees little at its end
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-s", "-p", "no:cacheprovider", "--timeout", "3000"]
    path = str(Path(__file__).with_name(name))
    found = subprocess.run([*command, path], env=environment, capture_output=True, text=True, timeout=3000)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
    assert " passed" in found.stdout
