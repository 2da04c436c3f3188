"""The libraries for other machines: built anew, and what they need of a system."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bonsai_edge_mobile.building import build_library
from bonsai_edge_mobile.targets import TARGETS
from mach_o import defined_and_undefined

BASELINES = {"linux-x86_64": "portable", "linux-arm64": "neon", "macos-arm64": "neon", "ios-arm64": "neon"}
OF_LINKER = {"___dso_handle", "__mh_dylib_header"}
OF_APPLE = {"_bzero", "_memcpy", "_memset", "_sched_yield", "_sysctlbyname", "dyld_stub_binder"}


def test_last_variant_of_each_target_runs_on_every_processor() -> None:
    assert {name: target.variants[-1].isa for name, target in TARGETS.items()} == BASELINES
    for target in TARGETS.values():
        assert not re.search(r"avx|dotprod|i8mm|\+v8", target.variants[-1].features)


def test_arm_code_leaves_alone_the_register_that_android_and_apple_reserve() -> None:
    arm = [variant for name, target in TARGETS.items() if name.endswith("arm64") for variant in target.variants]
    assert arm
    assert all("+reserve-x18" in variant.features for variant in arm)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["macos-arm64", "ios-arm64"])
def test_apple_libraries_need_of_the_system_what_it_has(name: str, tmp_path: Path) -> None:
    defined, undefined = defined_and_undefined(build_library(TARGETS[name], tmp_path, 2))
    assert {"_bonsai_edge_multiply", "_bonsai_edge_run_step", "_bonsai_edge_best_variant"} <= defined
    assert all(symbol.startswith("_bonsai_edge_") for symbol in defined - OF_LINKER)
    assert {"_sched_yield", "_sysctlbyname"} <= undefined <= OF_APPLE
    assert (tmp_path / "bonsai_edge.h").exists()


@pytest.mark.slow
def test_library_for_android_needs_nothing_that_bionic_might_lack(tmp_path: Path) -> None:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed (Debian: binutils)")
    library = build_library(TARGETS["linux-arm64"], tmp_path, 2)

    def readelf(*options: str) -> str:
        return subprocess.run(["readelf", "-W", *options, library], capture_output=True, text=True, check=True).stdout

    assert "AArch64" in readelf("--file-header")
    dynamic = readelf("--dynamic")
    assert "libbonsai_edge-linux-arm64.so" in dynamic
    assert "NEEDED" not in dynamic
    assert "TEXTREL" not in dynamic
    symbols = [line.split() for line in readelf("--dyn-syms").splitlines() if re.match(r"\s+\d+:", line)]
    assert {fields[7] for fields in symbols if len(fields) > 7 and fields[6] == "UND"} == set()
    alignments = re.findall(r"^\s+LOAD .*(0x[0-9a-f]+)$", readelf("--segments"), re.MULTILINE)
    assert alignments
    assert all(int(alignment, 16) % 16384 == 0 for alignment in alignments)
