"""Runs one model for the profile: loads, speeds, energy, a sustained run, and how well all that was predicted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.model import Model
from bonsai_edge.profiling.energy import EnergyPerToken
from bonsai_edge.profiling.energy_run import measure_energy, measures_energy, why_no_energy
from bonsai_edge.profiling.loading import measure_loads
from bonsai_edge.profiling.measurements import Measurements
from bonsai_edge.profiling.model_speeds import ModelSpeeds, SpeedTest, measure_speeds
from bonsai_edge.profiling.prediction import decode_tokens_per_s, num_layer_weights, num_weights, prefill_tokens_per_s
from bonsai_edge.profiling.profile import ModelProfile, Predicted
from bonsai_edge.profiling.progress import Progress
from bonsai_edge.profiling.roofline import bandwidth_share, weight_bytes_per_token
from bonsai_edge.profiling.sampling import Recording
from bonsai_edge.profiling.sustained import sustain
from bonsai_edge.runtime import load
from bonsai_edge.sensors import Sensor, Unavailable

_LEAST_PREDICTABLE_BYTES = 48 << 20  # of weights: less stays in the caches of large processors
_CHUNK_BYTES = 4 << 20


def profile_model(
    checkpoint: Checkpoint,
    loading: Mapping[str, Any],
    measured: Measurements,
    recording: Recording,
    found: Sequence[Sensor | Unavailable],
    sustained_s: float | None,
    progress: Progress,
) -> ModelProfile:
    """Measure a model; `loading` are keywords of `bonsai_edge.load`, `found` the sensors that are being recorded."""
    path = checkpoint.path
    loads = measure_loads(path, loading, progress)
    progress.begin("load")
    with load(path, **loading) as model:
        speeds = measure_speeds(model, progress)
        energy = _energy(model, speeds, recording, found, progress)
        sustained = None
        if sustained_s is not None:
            progress.begin("sustained")
            sustained = sustain(model.engine, sustained_s, progress.advance)
    progress.begin("checksum")
    weight_bytes = weight_bytes_per_token(checkpoint)
    unpredicted = _why_unpredicted(checkpoint, model, measured)
    return ModelProfile(
        name=model.name,
        file=path.name,
        sha256=_sha256(path),
        file_bytes=checkpoint.num_bytes,
        num_weights=num_weights(checkpoint.spec),
        num_layer_weights=num_layer_weights(checkpoint.spec),
        backend=model.backend_name,
        backend_note=model.backend_note,
        threads=model.threads,
        context=model.context,
        kv_type=model.kv_type.value,
        loads=loads,
        speeds=speeds,
        bandwidth_share=bandwidth_share(weight_bytes, speeds.find("tg").mean, measured.memory_read_bytes_per_s),
        predictions=[] if unpredicted else [_predict(test, model, measured) for test in speeds.tests],
        unpredicted=unpredicted,
        energy=energy if isinstance(energy, EnergyPerToken) else None,
        energy_unavailable=energy if isinstance(energy, str) else None,
        sustained=sustained,
    )


def _energy(
    model: Model, speeds: ModelSpeeds, recording: Recording, found: Sequence[Sensor | Unavailable], progress: Progress
) -> EnergyPerToken | str:
    if not measures_energy(found):
        return why_no_energy(found)
    measured = measure_energy(model, speeds.find("tg").mean, recording, progress)
    return measured.reason if isinstance(measured, Unavailable) else measured


def _why_unpredicted(checkpoint: Checkpoint, model: Model, measured: Measurements) -> str | None:
    matrices = [tensor for tensor in checkpoint.tensors.values() if tensor.num_rows > 1]
    if any(tensor.ggml_type is not GGMLType.Q1_0 for tensor in matrices):
        return "not all of its matrices are Q1_0"
    if sum(tensor.num_bytes for tensor in matrices) < _LEAST_PREDICTABLE_BYTES:
        return "it is so small that its weights may stay in the caches"
    if (model.backend_name, model.threads) != (measured.backend, measured.threads):
        return f"it was run by {model.backend_name} with {model.threads} threads, for which steps were not timed"
    return None


def _predict(test: SpeedTest, model: Model, measured: Measurements) -> Predicted:
    costs = measured.costs[model.kv_type.value]
    if test.kind == "pp":
        predicted = prefill_tokens_per_s(model.spec, model.kv_type, costs, test.num_tokens)
    else:
        depth = test.depth + test.num_tokens // 2
        predicted = decode_tokens_per_s(model.spec, model.kv_type, costs, depth)
    return Predicted(test.name, predicted, test.mean)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
