"""What LLVM's code takes is given back, and LLVM still works."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import re
from pathlib import Path
from numba import njit
from bonsai_edge_cpu.compiler_memory import release_compiler_code

def resident():
    blocks = re.split(r"(?m)^(?=[0-9a-f]+-)", Path("/proc/self/smaps").read_text())
    code = [block for block in blocks if re.match(r".* r-xp .*libllvmlite", block)]
    return sum(1024 * int(re.search(r"Rss: +(\\d+)", block)[1]) for block in code)

assert njit(lambda x: x + 1)(1) == 2
before = resident()
mapped = release_compiler_code()
after = resident()
assert njit(lambda x: x * 3)(2) == 6
print(before, mapped, after)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="tells resident memory by /proc")
def test_the_code_of_llvm_is_no_longer_resident_and_can_be_run_again() -> None:
    child = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert child.returncode == 0, child.stderr
    before, mapped, after = map(int, child.stdout.split())
    assert before > 10_000_000
    assert mapped > before
    assert after < before / 10
