import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonsai_edge.cpu_list import format_cpu_list, parse_cpu_list
from bonsai_edge_devices.root import Root


def reasons(root: Root) -> dict[str, str]:
    return {problem.where: problem.reason for problem in root.problems}


def write(root: Path, content: bytes) -> Root:
    (root / "file").write_bytes(content)
    return Root(root)


def test_text_is_stripped_of_blanks_and_of_the_nul_that_ends_it(tmp_path: Path) -> None:
    root = write(tmp_path, b"Raspberry Pi 5 Model B Rev 1.0\0\n")
    assert root.text("file") == root.line("file") == "Raspberry Pi 5 Model B Rev 1.0"
    assert root.problems == ()


def test_what_is_absent_is_none_and_reported_only_where_it_was_expected(tmp_path: Path) -> None:
    root = Root(tmp_path)
    assert root.text("file") is None
    assert root.integer("file/below/a/file") is None
    assert root.names("directory") == []
    assert root.problems == ()
    assert root.text("file", expected=True) is None
    assert reasons(root) == {"file": "is absent"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe\x00\x01", "is not text"),
        (b"12\x0034", "is not text"),
        (b"\x1b[2J12", "is not text"),
        (b"NaN", "is not a whole number: 'NaN'"),
        (b"1e3", "is not a whole number: '1e3'"),
        (b"0x10", "is not a whole number: '0x10'"),
        (b"12 V", "is not a whole number: '12 V'"),
        (b"9" * 30, "is not a whole number: '999999999999999999999999999999'"),
        (b"-5", "is out of range: -5"),
        (b"18446744073709551615", "is out of range: 18446744073709551615"),
        (b"1\n2\n", "is more than one short line"),
        (b"7" * 2000, "is more than one short line"),
        (b"7" * (5 << 20), "is larger than 4 MiB"),
    ],
)
def test_a_number_that_is_none_is_reported(tmp_path: Path, content: bytes, reason: str) -> None:
    root = write(tmp_path, content)
    assert root.integer("file") is None
    assert reasons(root) == {"file": reason}


def test_an_empty_file_tells_nothing(tmp_path: Path) -> None:
    root = write(tmp_path, b"\n")
    assert (root.line("file"), root.integer("file"), root.cpus("file")) == (None, None, None)
    assert root.problems == ()


def test_a_range_may_allow_negative_numbers(tmp_path: Path) -> None:
    assert write(tmp_path, b"-39000\n").integer("file", low=-60_000) == -39_000


def make_directory(path: Path) -> None:
    path.mkdir()


def make_loop(path: Path) -> None:
    path.symlink_to(path)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_directory, "is not a regular file"),
        (make_pipe, "is not a regular file"),
        (make_loop, "too many levels of symbolic links"),
    ],
)
def test_what_is_no_file_is_neither_waited_for_nor_followed(tmp_path: Path, make: Any, reason: str) -> None:
    make(tmp_path / "file")
    root = Root(tmp_path)
    assert root.text("file") is None
    assert reasons(root) == {"file": reason}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO, errno.ENODATA, errno.EAGAIN])
def test_what_the_kernel_refuses_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> bytes:
        raise OSError(number, os.strerror(number))

    root = write(tmp_path, b"1")
    monkeypatch.setattr(os, "read", refuse)
    assert root.integer("file") is None
    assert reasons(root) == {"file": os.strerror(number).lower()}


def test_no_read_asks_for_more_than_the_kernel_allocates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of /proc/sys fail with ENOMEM where a read asks for megabytes."""
    asked, read = [], os.read

    def spy(descriptor: int, length: int) -> bytes:
        asked.append(length)
        return read(descriptor, length)

    monkeypatch.setattr(os, "read", spy)
    assert len(write(tmp_path, b"x\n" * 200_000).text("file") or "") == 399_999
    assert max(asked) <= 64 << 10


def test_a_directory_lists_in_natural_order_and_a_file_is_no_directory(tmp_path: Path) -> None:
    for number in (10, 9, 2):
        (tmp_path / "dir" / f"cpu{number}").mkdir(parents=True)
    (tmp_path / "dir" / "other").write_text("")
    root = Root(tmp_path)
    assert root.names("dir", "cpu*") == ["dir/cpu2", "dir/cpu9", "dir/cpu10"]
    assert root.names("dir/other") == []
    assert reasons(root) == {"dir/other": "not a directory"}


def test_strings_of_a_device_tree_are_divided_by_nuls(tmp_path: Path) -> None:
    assert write(tmp_path, b"raspberrypi,5-model-b\0brcm,bcm2712\0").strings("file") == (
        "raspberrypi,5-model-b",
        "brcm,bcm2712",
    )
    root = write(tmp_path, b"good\0\xff\0")
    assert root.strings("file") == ()
    assert reasons(root) == {"file": "is not a list of strings"}


def test_counters_take_numbers_and_leave_the_rest(tmp_path: Path) -> None:
    root = write(tmp_path, b"MemTotal:  100 kB\nnan NaN\nnegative -3\n:\n\nhuge " + b"9" * 40 + b"\nanon 5\n")
    assert root.counters("file") == {"MemTotal": 100, "anon": 5}


def test_the_first_reason_for_a_place_counts(tmp_path: Path) -> None:
    root = write(tmp_path, b"NaN")
    root.integer("file")
    root.cpus("file")
    assert reasons(root) == {"file": "is not a whole number: 'NaN'"}


def test_programs_of_a_recorded_machine_are_files(tmp_path: Path) -> None:
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "vcgencmd_get_throttled").write_text("throttled=0x0\n")
    root = Root(tmp_path)
    assert root.output("vcgencmd", "get_throttled") == "throttled=0x0"
    assert root.output("nvpmodel", "-q") is None


def install(directory: Path, name: str, script: str) -> None:
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(stat.S_IRWXU)


def test_programs_of_this_machine_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    install(tmp_path, "works", 'echo "$1 in $LC_ALL"')
    install(tmp_path, "fails", "echo 'VCHI initialization failed' >&2; exit 3")
    install(tmp_path, "waits", "exec sleep 60")
    monkeypatch.setattr("bonsai_edge_devices.root._COMMAND_TIMEOUT_S", 0.2)
    root = Root()
    assert root.output("works", "well") == "well in C"
    assert root.output("is-not-installed-anywhere") is None
    assert root.problems == ()
    assert root.output("fails") is None
    assert root.output("waits") is None
    assert reasons(root) == {"fails": "failed: VCHI initialization failed", "waits": "gave no answer in 0 s"}


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0-3,8", (0, 1, 2, 3, 8)),
        ("0 1 2 3\n", (0, 1, 2, 3)),
        ("7", (7,)),
        ("3-1", None),
        ("0-99999999", None),
        ("0-9999", None),
        ("-1", None),
        ("", None),
        ("a,b", None),
        ("0,,1", None),
    ],
)
def test_lists_of_processors(text: str, cpus: tuple[int, ...] | None) -> None:
    assert parse_cpu_list(text) == cpus


@given(st.sets(st.integers(0, 300)))
def test_a_list_of_processors_survives_writing_and_reading(cpus: set[int]) -> None:
    text = format_cpu_list(cpus)
    assert parse_cpu_list(text) == (tuple(sorted(cpus)) if cpus else None)


@given(st.text())
def test_any_text_is_a_list_of_processors_or_none(text: str) -> None:
    cpus = parse_cpu_list(text)
    assert cpus is None or parse_cpu_list(format_cpu_list(cpus)) == cpus
