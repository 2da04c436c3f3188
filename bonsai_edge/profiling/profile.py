"""The profile of a machine: everything that `bonsai-edge profile` found out, as one record that is also its JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from bonsai_edge.device_description import DeviceDescription
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.measuring.trial import TrialResult
from bonsai_edge.profiling.energy import EnergyPerToken
from bonsai_edge.profiling.loading import Loads
from bonsai_edge.profiling.measurements import Measurements
from bonsai_edge.profiling.model_speeds import ModelSpeeds
from bonsai_edge.profiling.noise import Disturbance
from bonsai_edge.profiling.outlook import Outlook
from bonsai_edge.profiling.sampling import Series
from bonsai_edge.profiling.sustained import Sustained
from bonsai_edge.profiling.verdict import Verdict

_MOST_POINTS = 600  # of a series, for a plot


class Provenance(msgspec.Struct, frozen=True):
    """What was run, when, and by what."""

    version: str
    created_at: str
    command: str
    python: str
    packages: dict[str, str]


class Candidate(msgspec.Struct, frozen=True):
    """A backend, what its probe said, and how it did in the trial if there was one."""

    name: str
    available: bool
    score: int
    reason: str
    trial: TrialResult | None = None


class Storage(msgspec.Struct, frozen=True):
    """How fast a file came from its storage; None, and why, if that was not measured."""

    file: str | None
    read_bytes_per_s: float | None
    unavailable: str | None = None


class Predicted(msgspec.Struct, frozen=True):
    """What was predicted of a test, in tokens/s, against its measured speed."""

    test: str
    predicted_tokens_per_s: float
    measured_tokens_per_s: float

    @property
    def error(self) -> float:
        """How much too high the prediction was, as a share of the measured speed; negative if too low."""
        return self.predicted_tokens_per_s / self.measured_tokens_per_s - 1


class ModelProfile(msgspec.Struct, frozen=True):
    """A model that was run. `predictions` are empty, and `unpredicted` says why, where the prediction does not hold.

    `num_weights` take part in decoding a token, `num_layer_weights` in each token of a prompt.
    `bandwidth_share` is what decoding reads of the weights, over what memory gives as many threads.
    """

    name: str
    file: str
    sha256: str
    file_bytes: int
    num_weights: int
    num_layer_weights: int
    backend: str
    backend_note: str | None
    threads: int
    context: int
    kv_type: str
    loads: Loads
    speeds: ModelSpeeds
    bandwidth_share: float
    predictions: list[Predicted]
    unpredicted: str | None
    energy: EnergyPerToken | None
    energy_unavailable: str | None
    sustained: Sustained | None


class Recorded(msgspec.Struct, frozen=True):
    """What a sensor said over time, in seconds since the recording began; thinned out to what a plot can show."""

    quantity: str
    name: str
    scope: str
    source: str
    least: float
    mean: float
    most: float
    times_s: list[float]
    values: list[float]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A machine, and perhaps a model on it."""

    format: Literal[1] = 1
    provenance: Provenance
    machine: DeviceDescription
    usable_cores: int
    core_limit_source: str
    memory_available_bytes: int
    memory_limits: dict[str, int]
    backends: list[Candidate]
    measurements: Measurements
    memory_read_bytes_per_s: float
    storage: Storage
    outlook: list[Outlook]
    model: ModelProfile | None
    sensors: list[Recorded]
    sensors_unavailable: list[str]
    disturbance: Disturbance
    verdict: Verdict


def recorded(series: Series, began_s: float) -> Recorded:
    """Return a series for the profile."""
    stride = max(1, -(-len(series.values) // _MOST_POINTS))
    return Recorded(
        quantity=series.key.quantity.value,
        name=series.key.name,
        scope=series.key.scope,
        source=series.source,
        least=min(series.values),
        mean=sum(series.values) / len(series.values),
        most=max(series.values),
        times_s=[time_s - began_s for time_s in series.times_s[::stride]],
        values=list(series.values[::stride]),
    )


def read_profile(path: Path) -> Profile:
    """Read what `--json` printed; raises InvalidRequestError."""
    remedy = "Give a file that `bonsai-edge profile --json` of this version printed."
    try:
        return msgspec.json.decode(path.read_bytes(), type=Profile)
    except OSError as exc:
        raise InvalidRequestError(f"{path} cannot be read: {exc.strerror}.", "Check the path.") from exc
    except msgspec.DecodeError as exc:
        raise InvalidRequestError(f"{path} is no profile: {exc}.", remedy) from exc
