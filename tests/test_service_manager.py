"""systemd's notifications, received by a real socket."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from bonsai_edge.service_manager import ServiceManager


@pytest.mark.parametrize(
    "abstract",
    [False, pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux has them"))],
)
def test_notifications_arrive(tmp_path: Path, abstract: bool) -> None:
    address = f"@bonsai-edge-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + address[1:] if abstract else address)
        receiver.settimeout(10)
        manager = ServiceManager.from_environment({"NOTIFY_SOCKET": address})
        assert manager is not None
        manager.ready("seedling on cpu")
        manager.alive()
        manager.stopping()
        assert [receiver.recv(200) for _ in range(3)] == [
            b"READY=1\nSTATUS=seedling on cpu",
            b"WATCHDOG=1",
            b"STOPPING=1\nSTATUS=stopping",
        ]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_process_that_is_no_service_has_no_manager(environment: dict[str, str]) -> None:
    assert ServiceManager.from_environment(environment) is None


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "90000000"}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": str(os.getpid())}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog_is_for_the_process_that_it_names(environment: dict[str, str], watchdog_s: float | None) -> None:
    manager = ServiceManager.from_environment({"NOTIFY_SOCKET": "/run/systemd/notify", **environment})
    assert manager is not None
    assert manager.watchdog_s == watchdog_s


def test_manager_that_is_gone_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager(str(tmp_path / "gone")).alive()
    assert f"The service manager at {tmp_path}/gone cannot be told 'WATCHDOG=1'" in caplog.text
