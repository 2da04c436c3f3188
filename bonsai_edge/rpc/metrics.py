"""Counts what a server does, and writes it in Prometheus' text form."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bonsai_edge.generation import GenerationEvent, GenerationResult, TextChunk
from bonsai_edge.rpc.messages import ErrorMessage, Rejected, ServerMessage, ServerStatus

_NAMESPACE = "bonsai_edge"
_LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TOKENS_PER_S = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_GAUGES = {
    "ready": "Whether a generation sent now is taken and can begin",
    "live": "Whether the engine makes progress when it has work",
    "active": "Generations that are computed",
    "queued": "Generations that wait",
    "steps": "Forward steps begun since the server started",
    "rss_bytes": "Resident memory of the server",
    "available_bytes": "Memory that the system could still give to processes",
}
"""Fields of ServerStatus."""


class Metrics:
    """The network thread counts, any thread may read."""

    def __init__(self) -> None:
        self.num_tokens = 0
        self._registry = CollectorRegistry()
        self._reading = threading.Lock()  # the gauges are those of one status
        self._answers = self._counter("answers", "Generations that ended, by finish reason or error", "outcome")
        self._rejections = self._counter("rejections", "Requests that were rejected, by reason", "code")
        self._tokens = self._counter("tokens", "Tokens of prompts, cached or computed, and of answers", "kind")
        self._queue = self._histogram("queue_seconds", "From a request's arrival to its start", _LATENCY_S)
        self._prefill = self._histogram("prefill_seconds", "Time for a prompt", _LATENCY_S)
        self._decode = self._histogram("decode_seconds", "Time for an answer", _LATENCY_S)
        self._speed = self._histogram("decode_tokens_per_second", "Speed of an answer", _TOKENS_PER_S)
        self._gauges = {
            name: Gauge(name, text, namespace=_NAMESPACE, registry=self._registry) for name, text in _GAUGES.items()
        }

    def count_events(self, events: Sequence[GenerationEvent]) -> None:
        """Count what the engine has generated, whether or not anybody gets it."""
        num_tokens = sum(len(event.token_ids) for event in events if isinstance(event, TextChunk))
        self.num_tokens += num_tokens
        self._tokens.labels("generated").inc(num_tokens)

    def count_message(self, request_id: bytes, message: ServerMessage) -> None:
        """Count what a client is told."""
        if isinstance(message, Rejected):
            self._rejections.labels(message.code).inc()
        elif isinstance(message, ErrorMessage):
            self._answers.labels(message.code).inc()
        elif isinstance(message, GenerationResult):
            self._count_result(message)

    def text(self, status: ServerStatus) -> str:
        """Return all metrics in the text form that Prometheus scrapes."""
        with self._reading:
            for name, gauge in self._gauges.items():
                value = getattr(status, name)
                gauge.set(float("nan") if value is None else value)
            return generate_latest(self._registry).decode()

    def _count_result(self, result: GenerationResult) -> None:
        timings, usage = result.timings, result.usage
        self._answers.labels(result.finish_reason).inc()
        self._tokens.labels("cached").inc(usage.cached_tokens)
        self._tokens.labels("prompt").inc(max(0, usage.prompt_tokens - usage.cached_tokens))
        self._queue.observe(timings.queue_s)
        self._prefill.observe(timings.prefill_s)
        self._decode.observe(timings.decode_s)
        if timings.decode_tokens_per_s is not None:
            self._speed.observe(timings.decode_tokens_per_s)

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(name, text, (label,), namespace=_NAMESPACE, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, text, namespace=_NAMESPACE, registry=self._registry, buckets=buckets)
