"""Compares two profiles, number by number."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bonsai_edge.profiling.profile import ModelProfile, Profile


class Change(msgspec.Struct, frozen=True):
    """A number that both profiles have, in the unit that its name ends with."""

    name: str
    old: float
    new: float

    @property
    def ratio(self) -> float:
        """The new one over the old one."""
        return self.new / self.old


def compare(old: Profile, new: Profile) -> list[Change]:
    """Return the numbers that both have, in the order of the new one; those of a model only if both ran the same."""
    before = dict(_numbers(old))
    same_model = old.model is not None and new.model is not None and old.model.sha256 == new.model.sha256
    numbers = dict(_numbers(new))
    if same_model and old.model is not None and new.model is not None:
        before |= dict(_model_numbers(old.model))
        numbers |= dict(_model_numbers(new.model))
    return [Change(name, before[name], value) for name, value in numbers.items() if before.get(name, 0) > 0]


def _numbers(profile: Profile) -> Iterator[tuple[str, float]]:
    measured = profile.measurements
    yield "memory_read_bytes_per_s", profile.memory_read_bytes_per_s
    for each in measured.bandwidths:
        where = f" on {each.cpus}" if each.cpus else ""
        yield f"{each.threads} threads{where}: read_bytes_per_s", each.read_bytes_per_s
        yield f"{each.threads} threads{where}: copy_bytes_per_s", each.copy_bytes_per_s
    if measured.kernels is not None:
        yield "decode_macs_per_s", measured.kernels.decode_macs_per_s
        yield "prefill_macs_per_s", measured.kernels.prefill_macs_per_s
    if profile.storage.read_bytes_per_s is not None:
        yield "storage_read_bytes_per_s", profile.storage.read_bytes_per_s


def _model_numbers(model: ModelProfile) -> Iterator[tuple[str, float]]:
    for test in model.speeds.tests:
        yield f"{test.name}: tokens_per_s", test.mean
    yield "first_token_s", model.speeds.first_token_s
    for name, value in msgspec.structs.asdict(model.speeds.inter_token_s).items():
        yield f"inter_token_{name}_s", value
    loads = {"cold": model.loads.cold, "warm": model.loads.warm, "first": model.loads.first}
    for name, load in loads.items():
        if load is not None:
            yield f"{name}_load_s", load.load_s
    yield "peak_bytes", model.loads.warm.peak_bytes
    if model.energy is not None:
        yield "energy_j_per_token", model.energy.raw_j
    if model.sustained is not None:
        yield "sustained_ratio", model.sustained.ratio
