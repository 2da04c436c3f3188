import os
from pathlib import Path

import pytest

from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge_cuda import code_store
from bonsai_edge_cuda.code_store import (
    BUILT_ARCHITECTURES,
    CACHE_VARIABLE,
    built_architecture,
    cached_code,
    find_code,
    shipped_code,
    source_hash,
    translation_units,
    warm,
)

CAPABILITY = (8, 7)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a package without cubins."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(code_store, "shipped_code", lambda capability: None)
    return tmp_path / "cache"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What is compiled, by a compiler that gives the name of the unit."""
    compiler = pytest.importorskip("bonsai_edge_cuda.compiler", reason="cuda-core is not installed")
    done: list[tuple[int, int]] = []

    def compile_kernels(capability: tuple[int, int]) -> dict[str, bytes]:
        done.append(capability)
        return {unit: unit.encode() for unit in translation_units()}

    monkeypatch.setattr(compiler, "compile_kernels", compile_kernels)
    return done


@pytest.mark.parametrize(
    ("capability", "built"),
    [
        ((8, 0), (8, 0)),
        ((8, 7), (8, 7)),
        ((8, 8), (8, 7)),
        ((9, 0), (9, 0)),
        ((10, 3), (10, 0)),
        ((12, 1), (12, 0)),
        ((7, 5), None),
        ((11, 0), None),
        ((13, 0), None),
    ],
)
def test_code_of_an_earlier_minor_version_runs_and_of_another_major_does_not(capability, built) -> None:
    assert built_architecture(capability) == built


def test_what_was_compiled_is_found_again(compilations, folder: Path) -> None:
    first = find_code(CAPABILITY)
    assert find_code(CAPABILITY) == first == {unit: unit.encode() for unit in translation_units()}
    assert compilations == [CAPABILITY]
    assert {path.name for path in folder.rglob("*") if path.is_file()} == set(translation_units())
    find_code((8, 9))
    assert compilations == [CAPABILITY, (8, 9)]


@pytest.mark.parametrize("damage", [b"", b"half"])
def test_a_damaged_file_is_compiled_anew(compilations, folder: Path, damage: bytes) -> None:
    code = find_code(CAPABILITY)
    kept = next(path for path in folder.rglob("*") if path.is_file())
    kept.write_bytes(kept.read_bytes()[:-1] + damage)
    assert cached_code(CAPABILITY) is None
    assert find_code(CAPABILITY) == code
    assert len(compilations) == 2
    assert cached_code(CAPABILITY) == code


def test_code_of_other_sources_is_not_taken(compilations, monkeypatch: pytest.MonkeyPatch) -> None:
    find_code(CAPABILITY)
    monkeypatch.setattr(code_store, "source_hash", lambda: "0123456789abcdef")
    find_code(CAPABILITY)
    assert len(compilations) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where nobody may")
def test_a_cache_that_cannot_be_written_costs_time_only(compilations, folder: Path, caplog) -> None:
    folder.parent.chmod(0o500)
    try:
        assert find_code(CAPABILITY)
    finally:
        folder.parent.chmod(0o700)
    assert "Compiled kernels cannot be kept" in caplog.text


def test_a_cache_in_the_place_of_a_file_costs_time_only(compilations, folder: Path, caplog) -> None:
    folder.write_text("in the way")
    assert find_code(CAPABILITY)
    assert "Compiled kernels cannot be kept" in caplog.text


def test_warming_compiles_once_and_says_what(compilations, folder: Path) -> None:
    report, again = warm(CAPABILITY), warm(CAPABILITY)
    assert report is not None
    assert again is not None
    assert (report.target, report.folder, report.compiled) == (
        "sm_87",
        folder / f"bonsai-cuda-{source_hash()}",
        tuple(translation_units()),
    )
    assert report.num_bytes == again.num_bytes == sum(map(len, translation_units()))
    assert again.compiled == ()


def test_a_compiler_that_fails_is_quoted_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = pytest.importorskip("bonsai_edge_cuda.compiler", reason="cuda-core is not installed")

    def fail(*arguments: object) -> None:
        raise RuntimeError("no NVRTC\n here")

    monkeypatch.setattr(compiler, "compile_unit", fail)
    with pytest.raises(BackendUnavailableError) as caught:
        find_code((11, 0))
    assert str(caught.value) == (
        "This package has no kernels for sm_110, and NVRTC cannot compile them (no NVRTC here). Run: pip install "
        "'bonsai-edge[cuda-compiler]'."
    )


def test_shipped_code_is_taken_only_if_it_is_of_these_sources(tmp_path: Path) -> None:
    architecture = tmp_path / "cubins" / "sm_80"
    architecture.mkdir(parents=True)
    for unit in translation_units():
        (architecture / f"{unit}.cubin").write_bytes(unit.encode())
    (tmp_path / "cubins" / "source_hash").write_text("another\n")
    assert shipped_code((8, 0), tmp_path / "cubins") is None
    (tmp_path / "cubins" / "source_hash").write_text(f"{source_hash()}\n")
    assert shipped_code((8, 0), tmp_path / "cubins") == {unit: unit.encode() for unit in translation_units()}
    assert shipped_code((8, 6), tmp_path / "cubins") is None


def test_what_the_compiler_writes_is_what_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest file alone: the others are compiled for all architectures where their registers are counted."""
    compiler = pytest.importorskip("bonsai_edge_cuda.compiler", reason="cuda-core is not installed")
    for module in (compiler, code_store):
        monkeypatch.setattr(module, "translation_units", lambda: ["load"])
    num_bytes = compiler.write_cubins(tmp_path)
    for capability in BUILT_ARCHITECTURES:
        code = shipped_code(capability, tmp_path)
        assert code is not None
        assert code["load"].startswith(b"\x7fELF")
        assert b".text.repack_q1_0\0" in code["load"]
        num_bytes -= len(code["load"])
    assert num_bytes == 0
