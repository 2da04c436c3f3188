"""`bonsai-edge service`: the server as a service of the system."""

from __future__ import annotations

from pathlib import Path

import click

from bonsai_edge.cli.options import json_option

_UNIT_NAME = "bonsai-edge.service"


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--install", "is_to_install", is_flag=True, help="Write the unit into the directory.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/etc/systemd/system"),
    show_default=True,
    help="Where to install it.",
)
@click.option("--user", metavar="NAME", help="Who runs it.  [default: a user that exists only while it runs]")
@json_option
@click.argument("serve_arguments", nargs=-1, type=click.UNPROCESSED)
def service(
    is_to_install: bool, directory: Path, user: str | None, as_json: bool, serve_arguments: tuple[str, ...]
) -> None:
    """Print or install a systemd unit that runs `bonsai-edge serve` with the arguments after `--`.

    A unit that is there already is left alone. docs/service.md says what the service may see and do.

    \b
    Example:
      bonsai-edge service -- --model /opt/models/Bonsai-1.7B-Q1_0.gguf --idle-unload 10m
      sudo bonsai-edge service --install -- --model /opt/models/Bonsai-1.7B-Q1_0.gguf
    """
    import sys

    from bonsai_edge.cli.systemd_unit import systemd_unit
    from bonsai_edge.cli.terminal import echo_json
    from bonsai_edge.errors import InvalidRequestError

    unit = systemd_unit(sys.executable, serve_arguments, user)
    path = directory / _UNIT_NAME
    if is_to_install:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(unit)
        except FileExistsError as exc:
            raise InvalidRequestError(f"{path} exists and was left as it was.", "Remove it first, or edit it.") from exc
    if as_json:
        echo_json({"unit": unit, "path": str(path) if is_to_install else None})
    elif is_to_install:
        click.echo(f"wrote {path}; now run: systemctl daemon-reload && systemctl enable --now {_UNIT_NAME}", err=True)
    else:
        click.echo(unit, nl=False)
