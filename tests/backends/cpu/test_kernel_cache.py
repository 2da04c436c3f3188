import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bonsai_edge
import bonsai_edge_cpu
import tiny_kernel
from bonsai_edge import kv_cache
from bonsai_edge.cpu_step.isa_choice import ISA_VARIABLE
from bonsai_edge_cpu import kernel_cache
from bonsai_edge_cpu.kernel_cache import CACHE_VARIABLE

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NAME = "main.<locals>.double"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs the tiny kernel in a process with the cache folder `tmp_path / "kernels"`."""

    def run_tiny_kernel(
        *arguments: str, script: str = tiny_kernel.__file__, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        usual = {CACHE_VARIABLE: str(tmp_path / "kernels"), ISA_VARIABLE: "portable"}
        return subprocess.run(
            [sys.executable, script, *arguments],
            env=os.environ | usual | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )

    return run_tiny_kernel


def compiled(child: "subprocess.CompletedProcess[str]") -> list[str]:
    names: list[str] = json.loads(child.stdout)
    return names


def test_the_second_process_compiles_nothing(run: Run) -> None:
    assert compiled(run()) == [NAME]
    again = run()
    assert (compiled(again), again.stderr) == ([], "")


def test_a_folder_filled_on_one_installation_serves_another_with_other_paths_and_times(
    run: Run, tmp_path: Path
) -> None:
    """An image is built with one set of layers, and the package installed anew somewhere else."""
    run()
    site = tmp_path / "site"
    for package in (bonsai_edge, bonsai_edge_cpu):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, site / source.name, copy_function=shutil.copy, ignore=shutil.ignore_patterns("*.pyc"))
    script = Path(shutil.copy(tiny_kernel.__file__, site))
    for path in site.rglob("*.py"):
        os.utime(path, (1e9, 1e9))
    elsewhere = run(script=str(script), PYTHONPATH=str(site), PYTHONDONTWRITEBYTECODE="1")
    assert (compiled(elsewhere), elsewhere.stderr) == ([], "")


def test_a_read_only_folder_is_read(run: Run, tmp_path: Path) -> None:
    run()
    child = run(str(tmp_path / "kernels"))
    assert (compiled(child), child.stderr) == ([], "")


def test_a_read_only_folder_that_lacks_the_kernel_is_said_once_and_the_kernel_compiled(
    run: Run, tmp_path: Path
) -> None:
    child = run(str(tmp_path / "kernels"))
    assert compiled(child) == [NAME]
    assert child.stderr.count("\n") == 1
    assert child.stderr.startswith("Compiled kernels cannot be kept, and each start compiles them again: [Errno 13] ")
    assert not (tmp_path / "kernels").exists()


def test_another_processor_gets_kernels_of_its_own_beside_the_first(run: Run) -> None:
    run()
    assert compiled(run(NUMBA_CPU_NAME="generic")) == [NAME]
    assert compiled(run(NUMBA_CPU_NAME="generic")) == []
    assert compiled(run()) == []


def test_damaged_files_are_compiled_anew(run: Run, tmp_path: Path) -> None:
    run()
    kept = list(tmp_path.rglob("*.nb[ic]"))
    assert len(kept) == 2
    for path in kept:  # what a power cut leaves
        path.write_bytes(b"")
    assert compiled(run()) == [NAME]
    assert compiled(run()) == []


def test_numba_cache_dir_is_used_where_our_own_variable_is_not_set(run: Run, tmp_path: Path) -> None:
    run(**{CACHE_VARIABLE: "", "NUMBA_CACHE_DIR": str(tmp_path / "numba")})
    assert [path.parent for path in tmp_path.glob("*/*/bonsai-kernels-*")] == [tmp_path / "numba" / "kernels"]


def test_the_first_kernel_of_a_version_removes_all_but_the_last_used_others(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "kernels"
    versions = [root / f"bonsai-kernels-{number:016x}" for number in range(6)]
    others = [root / "bonsai-kernels-notes", root / "avx2-0123456789abcdef"]
    for age, folder in enumerate([*versions, *others]):
        (folder / "avx2").mkdir(parents=True)
        os.utime(folder, (1e9 - age, 1e9 - age))
    (root / "bonsai-kernels-0123456789abcdef").symlink_to(tmp_path)
    run()
    kept = {path.name for path in root.iterdir() if path.is_dir() and not path.is_symlink()}
    own = [name for name in kept if name not in {path.name for path in [*versions, *others]}]
    assert len(own) == 1
    assert kept == {path.name for path in [*versions[:4], *others]} | set(own)
    assert tmp_path.exists()


def test_a_version_in_use_is_dated_to_now_so_that_it_stays(tmp_path: Path) -> None:
    os.utime(tmp_path, (1e9, 1e9))
    kernel_cache._note_use(tmp_path)
    assert tmp_path.stat().st_mtime > 1.5e9


def test_without_a_home_directory_nothing_is_kept_and_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setattr(kernel_cache.config, "CACHE_DIR", "")
    monkeypatch.setattr(kernel_cache, "user_cache_path", lambda name: Path("~no-such-user-here/.cache"))
    assert kernel_cache.kernel_folder.__wrapped__() is None
    assert f"Each start compiles the kernels; {CACHE_VARIABLE} can name a folder for them." in caplog.text


def test_the_cache_is_another_one_when_a_constant_of_core_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kernel_cache.version_hash()
    edited = tmp_path / "kv_cache.py"
    edited.write_text(Path(str(kv_cache.__file__)).read_text().replace("PAGE_TOKENS = 32", "PAGE_TOKENS = 16"))
    monkeypatch.setattr(kv_cache, "__file__", str(edited))
    assert kernel_cache.version_hash() != before
