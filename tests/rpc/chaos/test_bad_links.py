"""Links that lose packets, take long, or die without a word."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from bonsai_edge.errors import ServerUnreachableError
from bonsai_edge.rpc.client import Client
from faulty_proxy import FaultyProxy
from long_answers import long_answer
from lossy_scenario import ask_over_a_bad_link
from wire.served import ServedProcess

DEADLINE_S = 60.0
TWO_HEARTBEATS_S = 6.0
LOSS, DELAY_S = 0.3, 0.2
SUPPORT = Path(__file__).parents[2] / "support"
_IN_A_NAMESPACE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && eval "$1" && shift && exec "$@"', "sh"]
_NETEM = f"tc qdisc add dev lo root netem loss {LOSS:.0%} delay {DELAY_S * 1000:.0f}ms"


def why_no_netem() -> str | None:
    """Say why this machine cannot make a network that loses packets, None if it can."""
    missing = [program for program in ("unshare", "ip", "tc") if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    if os.geteuid() != 0:
        return "only root may make a network namespace"
    tried = subprocess.run([*_IN_A_NAMESPACE, _NETEM, "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no netem here: {tried.stderr.strip()}"


def check_fates(fates: Counter[str]) -> None:
    """Each request ended in time, with a whole answer or with the reason why there is none."""
    print(dict(fates))
    assert fates.total() == 12
    # A client that needs more than 1.5 s to come back over such a link finds its request cancelled, and is told so.
    assert fates.keys() <= {"stop", "length", "cancelled", "ServerUnreachableError"}


@pytest.mark.slow
def test_every_request_has_a_fate_when_packets_get_lost(served: ServedProcess) -> None:
    with FaultyProxy(served.endpoint, delay_s=DELAY_S, loss=LOSS) as link:
        check_fates(asyncio.run(ask_over_a_bad_link(link.endpoint)))
        assert link.num_lost


@pytest.mark.slow
def test_every_request_has_a_fate_in_a_namespace_that_loses_packets() -> None:
    reason = why_no_netem()
    if reason is not None:
        pytest.skip(reason)
    command = [*_IN_A_NAMESPACE, _NETEM, sys.executable, str(SUPPORT / "lossy_scenario.py")]
    importable = os.pathsep.join(sys.path)  # this process has its path from pytest
    environment = {**os.environ, "PYTHONPATH": importable}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=300)
    check_fates(Counter(json.loads(done.stdout)))


@pytest.mark.slow
def test_subscriber_that_reads_seldom_lives_on(served: ServedProcess) -> None:
    """A full queue and a heartbeat that is missed would make libzmq abort the subscriber's process."""
    command = [sys.executable, str(SUPPORT / "seldom_subscriber.py"), served.endpoint]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120)
    assert done.stdout == b"alive\n"


def test_half_open_connection_is_noticed_by_both_ends(served: ServedProcess) -> None:
    with (
        FaultyProxy(served.endpoint) as link,
        Client(link.endpoint, timeout_s=2.0) as cut_off,
        Client(served.endpoint, timeout_s=DEADLINE_S) as other,
    ):
        events = cut_off.generate("move", **long_answer(other))
        next(events)
        link.freeze()
        with pytest.raises(ServerUnreachableError, match="has been silent for 2 s"):
            for _ in events:
                pass
        give_up_at = time.monotonic() + TWO_HEARTBEATS_S
        while (status := other.status()).active or status.queued:
            assert time.monotonic() < give_up_at, "the request of a client behind a dead link still runs"
            time.sleep(0.02)
        link.thaw()
        assert cut_off.generate_text("dock now", max_tokens=4).text
