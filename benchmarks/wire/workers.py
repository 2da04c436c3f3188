"""What the processes of the load generator do, each with connections of its own, until they are told to end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from typing import Any, Protocol, TypeAlias

from wire.account import Account, Counts
from wire.peer import ENDS, Message, Peer, generation

PROMPT = "drive to the kitchen, then look for the red cup, then"
TEMPERATURE = 10.0
"""So hot that an answer ends by itself with one unlikely token of many: nearly all have max_tokens."""

_ANSWER_DEADLINE_S = 300.0
_PING_PERIOD_S = 0.02
_PROBE_PERIOD_S = 0.2


@dataclass(frozen=True)
class Assignment:
    """What a process is to do, and where."""

    work: str
    """The endpoint for generations."""
    control: str
    """The endpoint for PING and CANCEL; the same where the server has one only."""
    max_tokens: int
    requests: int = sys.maxsize
    in_flight: int = 1
    niceness: int = 0
    """Of processes that generate, which would be other machines' in earnest."""
    is_real_time: bool = False
    """Whether those that measure go before all others, so that they do not measure how long they wait themselves."""

    def body(self) -> dict[str, Any]:
        """Return what a generation is asked for."""
        return generation(PROMPT, self.max_tokens, temperature=TEMPERATURE)

    def prepare_to_measure(self) -> None:
        """Get the scheduling class of a process that measures; connections made afterwards have it too."""
        if self.is_real_time:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


@dataclass
class Report:
    """What a process saw; durations in seconds, moments on the monotonic clock."""

    counts: Counts = field(default_factory=Counts)
    tokens: list[tuple[float, int]] = field(default_factory=list)
    """When tokens arrived, and how many."""
    began_at: float = 0.0
    ended_at: float = 0.0
    latencies: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, seconds: float) -> None:
        """Add a duration."""
        self.latencies.setdefault(name, []).append(seconds)


class Begin(Protocol):
    """The moment at which all begin to work."""

    def wait(self) -> None:
        """Wait for it, connected."""


Work: TypeAlias = Callable[[Assignment, Begin, Event], Report]
"""Begins and ends with the two events; makes its connection before the first, so that connecting is not measured."""


def generate(assignment: Assignment, begin: Begin, end: Event) -> Report:
    """Send generations, always `in_flight` of them, until all `requests` have ended."""
    account, report = Account(), Report()
    num_started = 0
    os.nice(assignment.niceness)
    with Peer(assignment.work) as peer:
        peer.ask("HELLO")
        begin.wait()
        report.began_at = time.monotonic()
        while not end.is_set() and (account.num_open or num_started < assignment.requests):
            while account.num_open < assignment.in_flight and num_started < assignment.requests:
                account.note_sent(peer.send("REQUEST", assignment.body()))
                num_started += 1
            message = peer.receive(_ANSWER_DEADLINE_S)
            if message is None:
                break  # what is open is lost
            account.take(message)
            if message.kind == "REJECTED" and message.body["retryable"]:
                num_started -= 1
                time.sleep((message.body["retry_after_ms"] or 100) / 1000)
        report.ended_at = time.monotonic()
    report.counts, report.tokens = account.counts(), account.tokens
    report.latencies["accept, at those that generate"] = account.accept_s
    return report


def stop_reading(assignment: Assignment, begin: Begin, end: Event) -> Report:
    """Send `in_flight` generations, and stand still (SIGSTOP) as soon as they are accepted."""
    with Peer(assignment.work) as peer:
        peer.ask("HELLO")
        begin.wait()
        waiting_for = {peer.send("REQUEST", assignment.body()) for _ in range(assignment.in_flight)}
        while waiting_for and (message := peer.receive(_ANSWER_DEADLINE_S)) is not None:
            waiting_for.discard(message.request_id)
        os.kill(os.getpid(), signal.SIGSTOP)
    return Report()


def read_whole(assignment: Assignment, begin: Begin, end: Event) -> Report:
    """Send what `stop_reading` sends, and take each answer in one message: a reader that needs next to no processor."""
    with Peer(assignment.work) as peer:
        peer.ask("HELLO")
        begin.wait()
        waiting_for = {peer.send("REQUEST", assignment.body(), {"stream": "none"}) for _ in range(assignment.in_flight)}
        while waiting_for and not end.is_set() and (message := peer.receive(_ANSWER_DEADLINE_S)) is not None:
            if message.kind in ENDS:
                waiting_for.discard(message.request_id)
    return Report()


def ping(assignment: Assignment, begin: Begin, end: Event) -> Report:
    """Measure how long PINGs take."""
    report = Report()
    assignment.prepare_to_measure()
    with Peer(assignment.control) as peer:
        peer.ask("HELLO")
        begin.wait()
        while not end.is_set():
            asked_at = time.monotonic()
            report.note("ping", peer.ask("PING").at - asked_at)
            time.sleep(_PING_PERIOD_S)
    return report


def cancel(assignment: Assignment, begin: Begin, end: Event) -> Report:
    """Measure how long CANCELs take to be acknowledged, and to have their effect on queued and on running requests."""
    report = Report()
    assignment.prepare_to_measure()
    with Peer(assignment.work) as work, Peer(assignment.control) as control:
        work.ask("HELLO")
        control.ask("HELLO")
        begin.wait()
        waits_for = "ACCEPTED"
        while not end.is_set():
            _cancel_once(work, control, assignment.body(), waits_for, report)
            waits_for = "CHUNK" if waits_for == "ACCEPTED" else "ACCEPTED"
            time.sleep(_PROBE_PERIOD_S)
    return report


def start_safety(assignment: Assignment, begin: Begin, end: Event) -> Report:
    """Measure how long safety requests wait until they run, as their results say, and for their first chunk."""
    report = Report()
    assignment.prepare_to_measure()
    with Peer(assignment.work) as peer:
        peer.ask("HELLO")
        begin.wait()
        while not end.is_set():
            asked_at = time.monotonic()
            request_id = peer.send("REQUEST", generation(PROMPT, 4), {"priority": "safety", "requires": ["priority"]})
            first = _next_of(peer, request_id, ends_with="CHUNK")
            report.note("safety request to its first chunk", first.at - asked_at)
            last = first if first.kind in ENDS else _next_of(peer, request_id)
            if last.kind == "FINAL":
                report.note("safety request to its start", last.body["timings"]["queue_s"])
            time.sleep(_PROBE_PERIOD_S)
    return report


def _cancel_once(work: Peer, control: Peer, body: dict[str, Any], waits_for: str, report: Report) -> None:
    asked_at = time.monotonic()
    request_id = work.send("REQUEST", body)
    message = _next_of(work, request_id, ends_with="ACCEPTED")
    if message.kind == "ACCEPTED":
        report.note("accept", message.at - asked_at)
        if waits_for != "ACCEPTED":
            message = _next_of(work, request_id, ends_with=waits_for)
    if message.kind in ENDS:
        return  # rejected, or too quick
    cancelled_at = time.monotonic()
    acknowledged = control.ask("CANCEL", {"request_ids": [request_id]})
    report.note("cancel acknowledged", acknowledged.at - cancelled_at)
    end = _next_of(work, request_id)
    if end.kind == "FINAL" and end.body["finish_reason"] == "cancelled":
        state = "running" if waits_for == "CHUNK" else "queued"
        report.note(f"cancel to end, {state}", end.at - cancelled_at)


def _next_of(peer: Peer, request_id: bytes, ends_with: str = "") -> Message:
    """Return the next message of a kind, or the end of the request. Raises TimeoutError."""
    while (message := peer.receive(_ANSWER_DEADLINE_S)) is not None:
        if message.request_id == request_id and message.kind in {ends_with, *ENDS}:
            return message
    raise TimeoutError(f"A request was not answered within {_ANSWER_DEADLINE_S:g} s.")
