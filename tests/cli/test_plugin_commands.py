"""Commands that plugins add: found cheaply, imported when used, never in the way of core's."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import COMMANDS, main, plugin_commands
from bonsai_edge.hookspecs import COMMANDS_GROUP

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that writes modules and names those that are plugins, instead of the installed plugins."""
    plugins: list[str] = []

    def write(plugin_names: list[str], **modules: str) -> None:
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        plugins.extend(plugin_names)

    def entry_points(*, group: str) -> EntryPoints:
        return EntryPoints(EntryPoint(name, name, group) for name in plugins if group == COMMANDS_GROUP)

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("bonsai_edge.cli.command_plugins.entry_points", entry_points)
    plugin_commands.cache_clear()
    yield write
    plugin_commands.cache_clear()
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def plugin(commands: str) -> str:
    return f"""
        from bonsai_edge.hookspecs import PluginCommand, hookimpl

        @hookimpl
        def bonsai_commands():
            return [{commands}]
        """


WAVE = """
    import click
    from bonsai_edge.cli.options import json_option
    from bonsai_edge.errors import InvalidRequestError

    @click.command()
    @click.option("--arm", default="left")
    @json_option
    def wave(arm, as_json):
        if arm not in ("left", "right"):
            raise InvalidRequestError(f"There is no {arm} arm.", "Choose left or right.")
        click.echo(f"waving the {arm} arm")
    """


def test_a_plugins_command_is_listed_without_being_imported(cli: CliRunner, install: Install) -> None:
    install(["robot_plugin"], robot_plugin=plugin("PluginCommand('wave', 'Wave an arm.', 'absent_module:wave')"))
    result = cli.invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "  wave      Wave an arm.\n" in result.stdout


def test_a_plugins_command_runs_with_its_options(cli: CliRunner, install: Install) -> None:
    install(["robot_plugin"], robot_plugin=plugin("PluginCommand('wave', 'Wave an arm.', 'waving:wave')"), waving=WAVE)
    assert cli.invoke(main, ["wave", "--arm", "right"]).stdout == "waving the right arm\n"


def test_an_error_of_a_plugins_command_is_told_like_one_of_core(cli: CliRunner, install: Install) -> None:
    install(["robot_plugin"], robot_plugin=plugin("PluginCommand('wave', 'Wave an arm.', 'waving:wave')"), waving=WAVE)
    result = cli.invoke(main, ["wave", "--arm", "third", "--json"])
    assert result.exit_code == 1
    assert result.stderr == "Error [invalid_request]: There is no third arm. Choose left or right.\n"
    assert json.loads(result.stdout)["error"]["code"] == "invalid_request"


def test_a_plugin_cannot_replace_a_command_of_core(
    cli: CliRunner, install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(["robot_plugin"], robot_plugin=plugin("PluginCommand('backends', 'Mine.', 'waving:wave')"), waving=WAVE)
    with caplog.at_level(logging.WARNING):
        help_text = cli.invoke(main, ["--help"]).stdout
    assert "Mine." not in help_text
    assert COMMANDS["backends"] in help_text
    assert caplog.messages == [
        "The command 'backends' of plugin 'robot_plugin' is left out: there is one of that name."
    ]
    assert cli.invoke(main, ["backends", "--arm", "left"]).exit_code == 2


def test_of_two_plugins_with_one_name_the_first_by_name_keeps_it(
    cli: CliRunner, install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(
        ["zebra_plugin", "ant_plugin"],
        zebra_plugin=plugin("PluginCommand('wave', 'The zebra waves.', 'waving:wave')"),
        ant_plugin=plugin("PluginCommand('wave', 'The ant waves.', 'waving:wave')"),
    )
    assert "The ant waves." in cli.invoke(main, ["--help"]).stdout
    assert "'wave' of plugin 'zebra_plugin' is left out" in caplog.text


@pytest.mark.parametrize("broken", ["raise RuntimeError('no arms')", plugin("1 / 0")], ids=["import", "hook"])
def test_a_broken_plugin_is_logged_and_the_others_work(
    cli: CliRunner, install: Install, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    install(
        ["broken_plugin", "robot_plugin"],
        broken_plugin=broken,
        robot_plugin=plugin("PluginCommand('wave', 'Wave an arm.', 'waving:wave')"),
        waving=WAVE,
    )
    assert cli.invoke(main, ["wave"]).stdout == "waving the left arm\n"
    assert "Plugin 'broken_plugin'" in caplog.text


def test_a_missing_library_is_one_line_with_the_pip_install(cli: CliRunner, install: Install) -> None:
    install(
        ["robot_plugin"],
        robot_plugin=plugin("PluginCommand('wave', 'Wave.', 'waving:wave', install='robot-arms[wave]')"),
        waving="import servo_motors",
    )
    result = cli.invoke(main, ["wave"])
    assert result.exit_code == 1
    assert result.stderr == (
        "Error [missing_library]: `bonsai-edge wave` needs servo_motors, which is not installed. "
        "Run: pip install 'robot-arms[wave]'\n"
    )


def test_a_command_of_no_plugin_is_wrong_use(cli: CliRunner, install: Install) -> None:
    install([])
    assert cli.invoke(main, ["wave"]).exit_code == 2


def test_help_of_the_installed_plugins_imports_none_of_their_commands() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from bonsai_edge.cli import main, plugin_commands\n"
        "help_text = ' '.join(CliRunner().invoke(main, ['--help']).stdout.split())\n"
        "commands = plugin_commands().values()\n"
        "assert commands and all(command.help in help_text for command in commands)\n"
        "heavy = {'numpy', 'huggingface_hub', 'rich', 'torch'} | {c.target.partition(':')[0] for c in commands}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_installed_command_has_an_example_and_json_or_names_its_extra(cli: CliRunner) -> None:
    for name, command in plugin_commands().items():
        result = cli.invoke(main, [name, "--help"])
        if "[missing_library]" in result.stderr:
            assert f"pip install '{command.install}'" in result.stderr
            continue
        assert f"Example:\n    bonsai-edge {name}" in result.stdout
        assert "--json" in result.stdout
