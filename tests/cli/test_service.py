from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge.cli.systemd_unit import systemd_unit
from bonsai_edge.errors import InvalidRequestError

SERVE = f"ExecStart={sys.executable} -m bonsai_edge serve --log-format json --drain 20s"


def test_unit_is_printed_with_the_arguments_of_serve(cli: CliRunner) -> None:
    result = cli.invoke(main, ["service", "--", "--model", "/opt/m.gguf", "--idle-unload", "10m"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert f"{SERVE} --model /opt/m.gguf --idle-unload 10m" in lines
    assert {"Type=notify", "DynamicUser=yes", "ProtectSystem=strict", "IPAddressDeny=any"} <= set(lines)


def test_install_writes_the_unit_and_never_replaces_one(cli: CliRunner, tmp_path: Path) -> None:
    arguments = ["service", "--install", "--directory", str(tmp_path)]
    result = cli.invoke(main, arguments)
    path = tmp_path / "bonsai-edge.service"
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.startswith(f"wrote {path}; now run: systemctl daemon-reload")
    assert SERVE in path.read_text().splitlines()
    path.write_text("mine")
    result = cli.invoke(main, arguments)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error [invalid_request]: {path} exists and was left as it was. Remove it first, or edit it.\n"
    )
    assert path.read_text() == "mine"


def test_unit_as_json(cli: CliRunner) -> None:
    answer = json.loads(cli.invoke(main, ["service", "--json"]).stdout)
    assert answer["path"] is None
    assert SERVE in answer["unit"].splitlines()


def test_relative_files_get_their_full_paths_and_homes_are_shown_only_if_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.gguf").touch()
    unit = systemd_unit("/usr/bin/python3", ["--model", "m.gguf"], user="robot")
    assert f"--model {tmp_path}/m.gguf\n" in unit
    assert "User=robot\n" in unit
    assert "DynamicUser" not in unit
    assert "ProtectHome=yes\n" in unit
    assert "ProtectHome=read-only\n" in systemd_unit("/usr/bin/python3", ["--model", "/home/me/m.gguf"], user=None)


def test_encrypted_server_may_talk_to_other_machines() -> None:
    assert "IPAddress" not in systemd_unit("/usr/bin/python3", ["--keys", "/etc/keys"], user=None)


def test_only_a_server_that_is_to_go_first_may_have_a_real_time_class() -> None:
    assert "RestrictRealtime=yes\n" in systemd_unit("/usr/bin/python3", [], user=None)
    unit = systemd_unit("/usr/bin/python3", ["--real-time"], user=None)
    assert "LimitRTPRIO=1\n" in unit
    assert "RestrictRealtime" not in unit


@pytest.mark.parametrize(
    ("argument", "written"),
    [("a b", '"a b"'), ("50%", '"50%%"'), ("$HOME", '"$$HOME"'), ('"\\', '"\\"\\\\"'), ("", '""'), ("ü", '"ü"')],
)
def test_arguments_are_quoted_for_systemd(argument: str, written: str) -> None:
    assert f"--drain 20s {written}\n" in systemd_unit("/usr/bin/python3", [argument], user=None)


def test_what_could_add_lines_to_the_unit_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="cannot be written into a unit"):
        systemd_unit("/usr/bin/python3", ["x\nExecStartPre=/bin/evil"], user=None)
    with pytest.raises(InvalidRequestError, match="is not the name of a user"):
        systemd_unit("/usr/bin/python3", [], user="root\nGroup=root")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_the_unit_and_finds_it_hard(tmp_path: Path) -> None:
    path = tmp_path / "bonsai-edge.service"
    path.write_text(systemd_unit(sys.executable, ["--model", "a b%c"], user=None))
    verified = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert judged.returncode == 0, judged.stdout
