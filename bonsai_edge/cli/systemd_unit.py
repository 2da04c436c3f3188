"""The systemd unit of a server: what it may see and do is as little as it needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bonsai_edge.cli.serve import REAL_TIME_OPTION
from bonsai_edge.errors import InvalidRequestError

_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_PLAIN = re.compile(r"[\w./:=,@+-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_TEMPLATE = """\
[Unit]
Description=bonsai-edge, 1-bit language models over ZeroMQ
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
Restart=always
RestartSec=2s
# Loading reads the whole model, and the first start of all compiles.
TimeoutStartSec=15min
# The server starts itself anew when its engine hangs; this is for when even that fails.
WatchdogSec=90s
KillMode=mixed
TimeoutStopSec=30s
# For --lock.
LimitMEMLOCK=infinity

{user}
UMask=0077
RuntimeDirectory=bonsai-edge
RuntimeDirectoryMode=0700
CacheDirectory=bonsai-edge
StateDirectory=bonsai-edge
Environment=XDG_RUNTIME_DIR=/run XDG_CACHE_HOME=/var/cache XDG_DATA_HOME=/var/lib XDG_STATE_HOME=/var/lib

ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
PrivateUsers=yes
# Set to no for a GPU, and for what a Raspberry Pi's firmware tells.
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
{network}NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
KeyringMode=private
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
{real_time}
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
# MemoryDenyWriteExecute would forbid the compiler to run what it made.

[Install]
WantedBy=multi-user.target
"""

_LOOPBACK_ONLY = "IPAddressDeny=any\nIPAddressAllow=localhost\n"


def systemd_unit(python: str, serve_arguments: Sequence[str], user: str | None) -> str:
    """Return the text of the unit. Files among the arguments are named by their full paths.

    Without a user systemd makes one that exists only while the service runs. Raises InvalidRequestError.
    """
    arguments = [_with_full_path(each) for each in serve_arguments]
    command = [python, "-m", "bonsai_edge", "serve", "--log-format", "json", "--drain", "20s", *arguments]
    has_home = any(home in Path(each).parents for each in command for home in _HOMES)
    return _TEMPLATE.format(
        command=" ".join(map(_quoted, command)),
        user="DynamicUser=yes" if user is None else f"User={_checked_user(user)}",
        protect_home="read-only" if has_home else "yes",
        network="" if "--keys" in arguments else _LOOPBACK_ONLY,
        real_time="LimitRTPRIO=1" if REAL_TIME_OPTION in arguments else "RestrictRealtime=yes",
    )


def _with_full_path(argument: str) -> str:
    return str(Path(argument).absolute()) if argument and Path(argument).exists() else argument


def _checked_user(user: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,30}", user):
        raise InvalidRequestError(f"{user!r} is not the name of a user.", "Use letters, digits, '-' and '_'.")
    return user


def _quoted(argument: str) -> str:
    """Return an argument as systemd.service(5) wants it: `%` and `$` would be expanded."""
    if _CONTROL.search(argument):
        raise InvalidRequestError(
            f"The argument {argument!r} cannot be written into a unit.", "Leave out line ends and control characters."
        )
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if _PLAIN.fullmatch(argument) else f'"{escaped}"'
