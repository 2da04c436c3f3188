"""Runs what the energy per token is computed from: idle, a short generation, a long one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from bonsai_edge.model import Model
from bonsai_edge.profiling.energy import EnergyPerToken, Span, energy_per_token
from bonsai_edge.profiling.progress import Progress
from bonsai_edge.profiling.sampling import Recording
from bonsai_edge.profiling.throughput import random_token_ids
from bonsai_edge.sensors import Quantity, Sensor, Unavailable

_IDLE_S = 10.0
_LONG_S = 20.0
_MARGIN_S = 1.5  # until every sensor has been read before and after a span
_ENERGIES = frozenset({Quantity.POWER, Quantity.ENERGY})


def measures_energy(found: Iterable[Sensor | Unavailable]) -> bool:
    """Return whether there is a sensor of power or energy."""
    return any(isinstance(each, Sensor) and each.quantities & _ENERGIES for each in found)


def why_no_energy(found: Iterable[Sensor | Unavailable]) -> str:
    """Return why there is no such sensor."""
    reasons = {each.reason for each in found if isinstance(each, Unavailable) and each.quantity in _ENERGIES}
    return "; ".join(sorted(reasons)) or "this machine has no power sensor that is known"


def measure_energy(
    model: Model, decode_tokens_per_s: float, recording: Recording, progress: Progress
) -> EnergyPerToken | Unavailable:
    """Return the energy of a decoded token by the sensor that sees most of the machine; takes half a minute."""
    progress.begin("energy, idle")
    idle = _span(lambda: time.sleep(_IDLE_S), 0)
    progress.begin("energy, decoding")
    num_tokens = max(2, min(model.context, round(_LONG_S * decode_tokens_per_s)))
    short, long = _decode(model, 1), _decode(model, num_tokens)
    time.sleep(_MARGIN_S)
    series = recording.widest_energy()
    if series is None:
        return Unavailable(Quantity.ENERGY, "sensors", "only single rails and estimates can be read")
    return energy_per_token(series, short, long, idle)


def _decode(model: Model, num_tokens: int) -> Span:
    token_ids = random_token_ids(model.engine, num_tokens)

    def run() -> None:
        with model.engine.sequence(num_tokens) as sequence:
            for token_id in token_ids:
                sequence.decode(token_id)

    return _span(run, num_tokens)


def _span(action: Callable[[], None], num_tokens: int) -> Span:
    time.sleep(_MARGIN_S)
    begin_s = time.monotonic()
    action()
    return Span(begin_s, time.monotonic(), num_tokens)
