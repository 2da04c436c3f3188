import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bonsai_edge import __version__
from bonsai_edge.cli import COMMANDS, main
from bonsai_edge.errors import BonsaiError, ContextOverflowError, InvalidRequestError, RemoteError


def raise_on_load(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def load(*args: object, **keywords: object) -> None:
        raise error

    monkeypatch.setattr("bonsai_edge.runtime.load", load)


def test_help_lists_every_command_with_its_line(cli: CliRunner) -> None:
    result = cli.invoke(main, ["--help"])
    assert result.exit_code == 0
    for name, line in COMMANDS.items():
        assert f"  {name} " in result.stdout
        assert line in result.stdout


def test_help_imports_no_command_and_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from bonsai_edge.cli import COMMANDS, main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'numpy', 'numba', 'rich', 'jinja2', 'tokenizers', 'zmq'}\n"
        "print(sorted(sys.modules.keys() & (heavy | {f'bonsai_edge.cli.{name}' for name in COMMANDS})))\n"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_in_its_help(cli: CliRunner, name: str) -> None:
    result = cli.invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example:\n    bonsai-edge {name}" in result.stdout


@pytest.mark.parametrize("name", COMMANDS.keys() - {"serve"})
def test_every_command_that_answers_and_ends_knows_json(cli: CliRunner, name: str) -> None:
    assert "--json" in cli.invoke(main, [name, "--help"]).stdout


def test_version(cli: CliRunner) -> None:
    assert cli.invoke(main, ["--version"]).stdout == f"bonsai-edge, version {__version__}\n"


def test_runs_as_a_module() -> None:
    run = subprocess.run([sys.executable, "-m", "bonsai_edge", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"bonsai-edge, version {__version__}\n"


@pytest.mark.parametrize("arguments", [["dance"], ["--dance"], ["generate", "--dance", "x"], ["inspect"]])
def test_wrong_use_exits_with_2(cli: CliRunner, arguments: list[str]) -> None:
    result = cli.invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr


def test_error_is_one_line_with_its_code(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_on_load(monkeypatch, InvalidRequestError("Too long.", "Shorten it."))
    result = cli.invoke(main, ["generate", "hello"])
    assert result.exit_code == 1
    assert result.stderr == "Error [invalid_request]: Too long. Shorten it.\n"
    assert result.stdout == ""


def test_error_with_json_is_an_object_on_standard_output_too(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_on_load(monkeypatch, InvalidRequestError("Too long.", "Shorten it."))
    result = cli.invoke(main, ["generate", "hello", "--json"])
    assert result.exit_code == 1
    assert result.stderr == "Error [invalid_request]: Too long. Shorten it.\n"
    assert json.loads(result.stdout) == {
        "error": {"code": "invalid_request", "cause": "Too long.", "remedy": "Shorten it."}
    }


def test_error_with_json_has_the_numbers_of_its_cause(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"prompt_tokens": 9, "limit": 10, "max_tokens": 2}
    raise_on_load(monkeypatch, ContextOverflowError("Too long.", "Shorten it.", **numbers))
    assert json.loads(cli.invoke(main, ["generate", "hello", "--json"]).stdout)["error"]["details"] == numbers


def test_error_of_a_server_keeps_the_servers_code(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_on_load(monkeypatch, RemoteError("No.", "Wait.", remote_code="kv_cache_full"))
    assert cli.invoke(main, ["generate", "hello"]).stderr == "Error [kv_cache_full]: No. Wait.\n"


def test_error_stays_one_line_and_commands_no_terminal_whatever_a_file_put_into_it(
    cli: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_on_load(monkeypatch, BonsaiError("Bad\nname \x1b[2J\u2028here.", "Look.\r"))
    assert cli.invoke(main, ["generate", "hello"]).stderr == "Error [error]: Bad name  [2J here. Look. \n"


def test_interrupt_exits_with_130_and_no_traceback(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_on_load(monkeypatch, KeyboardInterrupt())
    result = cli.invoke(main, ["generate", "hello"])
    assert result.exit_code == 130
    assert result.output == "\n"


def test_what_the_system_refuses_is_one_line(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_on_load(monkeypatch, PermissionError(13, "Permission denied", "robot\n.bin"))
    result = cli.invoke(main, ["generate", "hello"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "Error [io_error]: [Errno 13] Permission denied: 'robot\\n.bin'. Check the space and the permissions there.\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["inspect", "seedling"], ["inspect", "seedling", "--json"]])
def test_full_disk_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "bonsai_edge", *arguments]
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert run.returncode == 1
    assert run.stderr == (
        "Error [io_error]: [Errno 28] No space left on device. Check the space and the permissions there.\n"
    )


def test_reader_that_goes_away_is_no_complaint(random_model: Path) -> None:
    command = [sys.executable, "-m", "bonsai_edge", "inspect", str(random_model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1
