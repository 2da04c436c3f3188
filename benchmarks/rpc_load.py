"""Puts load on a server over real sockets, from many processes, and measures what its clients see.

    python benchmarks/rpc_load.py [--model seedling] [--clients 16] [--requests 20] [--max-tokens 64] [--json FILE]

A server of its own is started. Every client is a process that sends its requests one after the other, while other
processes ping, cancel queued and running requests, and, where the server has priorities, ask with the class `safety`.
Then one client asks for much and stops reading (SIGSTOP), and the others' speed is compared with that beside a client
that asks for the same and takes its answers whole, in rounds that alternate. Last, the server is left alone with idle
connections. Exits with 1 when a request was lost, doubled, torn or had gaps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bonsai_edge.rpc.endpoint_roles import control_endpoint
from wire import workers
from wire.account import Counts
from wire.figures import Latency
from wire.peer import Peer
from wire.served import ServedProcess
from wire.team import Team
from wire.workers import Assignment, Report, Work

TIMED_SERVE = Path(__file__).parent / "wire" / "timed_serve.py"
_BURST = 16  # requests of the client that stops reading: as many as a server queues for one client
_BURST_S = 2.0  # in which its speed is compared; after 3 s without a heartbeat it counts as gone
_SETTLE_S = 0.5


@dataclass(frozen=True)
class Loaded:
    """What was seen while all clients generated."""

    duration_s: float
    counts: Counts
    tokens_per_s: float
    token_share: float | None
    """Tokens of the client with most over those of the one with least, while all were at work; None if one had none."""
    latencies: dict[str, Latency]


@dataclass(frozen=True)
class Figures:
    """What is printed."""

    model: str
    backend: str
    clients: int
    requests: int
    max_tokens: int
    has_priorities: bool
    loaded: Loaded
    control: dict[str, Latency]
    """From having a message in hand to having answered it, and what of that was what; see `timed_serve.py`."""
    stopped_reader: list[float]
    """Speed of the others beside a client that stopped reading, as a share of that beside one that reads; by round."""
    idle_core_share: float
    rss_bytes: int


def measure_loaded(assignment: Assignment, num_clients: int, has_priorities: bool) -> Loaded:
    """Let the clients send their requests while the probes measure."""
    probes = [workers.ping, workers.cancel, *([workers.start_safety] if has_priorities else [])]
    team = Team()
    try:
        clients = [team.add(workers.generate, assignment) for _ in range(num_clients)]
        observers = [team.add(probe, assignment) for probe in probes]
        team.begin()
        reports = team.reports_of(clients)
        team.end()
        observed = team.reports_of(observers)
    finally:
        team.kill()
    began_at = min(report.began_at for report in reports)
    ended_at = max(report.ended_at for report in reports)
    num_tokens = sum(number for report in reports for _, number in report.tokens)
    return Loaded(
        duration_s=ended_at - began_at,
        counts=sum((report.counts for report in reports), Counts()),
        tokens_per_s=num_tokens / (ended_at - began_at),
        token_share=token_share(reports),
        latencies=_latencies([*reports, *observed]),
    )


def measure_stopped_reader(assignment: Assignment, num_clients: int, rounds: int) -> list[float]:
    """Return the others' speed beside a stopped reader over that beside a reading one, for each round."""
    return [
        _speed_beside(workers.stop_reading, assignment, num_clients)
        / _speed_beside(workers.read_whole, assignment, num_clients)
        for _ in range(rounds)
    ]


def measure_idle(served: ServedProcess, num_connections: int, seconds: float) -> float:
    """Return the share of a core that the server takes with connections on which nothing is said."""
    with ExitStack() as stack:
        for _ in range(num_connections):
            stack.enter_context(Peer(served.endpoint)).ask("HELLO")
        time.sleep(_SETTLE_S)
        before_s, began_at = served.cpu_s(), time.monotonic()
        time.sleep(seconds)
        return (served.cpu_s() - before_s) / (time.monotonic() - began_at)


def token_share(reports: list[Report]) -> float | None:
    """Compare the tokens that clients got until the first of them was done."""
    first_done_at = min(report.ended_at for report in reports)
    tokens = [sum(number for at, number in report.tokens if at <= first_done_at) for report in reports]
    return max(tokens) / min(tokens) if min(tokens) else None


def print_table(figures: Figures) -> None:
    """Print the figures for people."""
    loaded, counts = figures.loaded, figures.loaded.counts
    print(
        f"{figures.model} on {figures.backend}: {figures.clients} clients x {figures.requests} requests of up to "
        f"{figures.max_tokens} tokens in {loaded.duration_s:.1f} s, {loaded.tokens_per_s:.0f} tokens/s\n"
    )
    print(f"{'latency, ms':36}{'number':>8}{'p50':>10}{'p99':>10}{'max':>10}")
    for name, latency in loaded.latencies.items():
        print(f"{name:36}{latency}")
    for name, latency in figures.control.items():
        print(f"{'control thread, ' + name:36}{latency}")
    if not figures.has_priorities:
        print(f"{'safety request to its first chunk':36}  the server has no priorities")
    print("\nrequests: " + ", ".join(f"{number} {name}" for name, number in asdict(counts).items()))
    share = "one had none" if loaded.token_share is None else f"{loaded.token_share:.2f}"
    print(f"tokens of the client with most / with least, while all were at work: {share}")
    if figures.stopped_reader:
        print(
            f"speed beside a stopped reader / beside a reading one: {statistics.median(figures.stopped_reader):.3f} "
            f"({min(figures.stopped_reader):.3f} to {max(figures.stopped_reader):.3f})"
        )
    print(f"idle: {figures.idle_core_share:.2%} of a core; resident memory {figures.rss_bytes / 1e6:.0f} MB")


def _speed_beside(other: Work, assignment: Assignment, num_clients: int) -> float:
    """Return the tokens per second of all clients but one, which does something else with a burst of requests."""
    team = Team()
    endless = replace(assignment, requests=sys.maxsize)
    try:
        clients = [team.add(workers.generate, endless) for _ in range(num_clients - 1)]
        team.add(other, replace(assignment, requests=_BURST, in_flight=_BURST))
        team.begin()
        time.sleep(_SETTLE_S)
        began_at = time.monotonic()
        time.sleep(_BURST_S)
        ended_at = time.monotonic()
        team.end()
        reports = team.reports_of(clients)
    finally:
        team.kill()
    tokens = (number for report in reports for at, number in report.tokens if began_at <= at < ended_at)
    return sum(tokens) / (ended_at - began_at)


def _latencies(reports: list[Report]) -> dict[str, Latency]:
    gathered: dict[str, list[float]] = {}
    for report in reports:
        for name, durations in report.latencies.items():
            gathered.setdefault(name, []).extend(durations)
    return {name: Latency.of(durations) for name, durations in sorted(gathered.items())}


def _measure(options: argparse.Namespace, timings: Path) -> Figures:
    program = (str(TIMED_SERVE), str(timings))
    serve_options = ["--real-time"] if options.real_time else []
    with ServedProcess(options.model, backend=options.backend, options=serve_options, program=program) as served:
        with Peer(served.endpoint) as peer:
            welcome: dict[str, Any] = peer.ask("HELLO").body
        assignment = Assignment(
            work=served.endpoint,
            control=served.endpoint if options.one_socket else control_endpoint(served.endpoint),
            max_tokens=options.max_tokens,
            requests=options.requests,
            niceness=options.client_nice,
            is_real_time=options.real_time,
        )
        has_priorities = "priority" in welcome["features"]
        loaded = measure_loaded(assignment, options.clients, has_priorities)
        stopped = measure_stopped_reader(assignment, options.clients, options.rounds)
        idle = measure_idle(served, options.clients, options.seconds)
        rss_bytes = served.rss_bytes()
    return Figures(
        model=welcome["model"],
        backend=welcome["backend"],
        clients=options.clients,
        requests=options.requests,
        max_tokens=options.max_tokens,
        has_priorities=has_priorities,
        loaded=loaded,
        control={name: Latency.of(durations) for name, durations in json.loads(timings.read_text()).items()},
        stopped_reader=stopped,
        idle_core_share=idle,
        rss_bytes=rss_bytes,
    )


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="seedling", help="what `bonsai-edge serve --model` takes")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--clients", type=int, default=16, help="processes that generate; at least 2")
    parser.add_argument("--requests", type=int, default=20, help="of each client")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="of the stopped reader; 0 leaves it out")
    parser.add_argument("--seconds", type=float, default=10.0, help="of idling")
    parser.add_argument("--one-socket", action="store_true", help="send PING and CANCEL to work, not to control")
    parser.add_argument("--client-nice", type=int, default=0, help="niceness of the clients that generate")
    parser.add_argument(
        "--real-time", action="store_true", help="serve with this option, and measure in processes of that class; root"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    with TemporaryDirectory() as directory:
        figures = _measure(options, Path(directory) / "timings.json")
    print_table(figures)
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(figures), indent=2) + "\n")
    return 1 if figures.loaded.counts.num_broken else 0


if __name__ == "__main__":
    sys.exit(main())
