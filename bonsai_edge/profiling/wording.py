"""Puts a profile into words and cells, alike for the terminal and the HTML report."""

from __future__ import annotations

from typing import TypeAlias

from bonsai_edge.profiling.profile import ModelProfile, Profile

Row: TypeAlias = tuple[str, ...]

BANDWIDTH_TITLES: Row = ("threads", "on", "read GB/s", "copy GB/s")
OUTLOOK_TITLES: Row = ("model", "KV", "context", "MiB", "decode", "deepest", "prompt", "memory", "kernels")
SPEED_TITLES: Row = ("test", "tokens/s", "predicted", "error")


def facts(profile: Profile) -> list[tuple[str, str]]:
    """Return what the machine is and what was measured of it as a whole."""
    machine, measured = profile.machine, profile.measurements
    clusters = ", ".join(
        f"{cluster.num_cores} x {cluster.core or cluster.name or 'core'}" for cluster in machine.clusters
    )
    isolation = [name for name in (machine.isolation.container, machine.isolation.hypervisor) if name]
    rows = [
        ("machine", machine.board.name or machine.soc or "unknown"),
        ("processor", f"{machine.soc or 'unknown'}; {clusters}"),
        ("instructions", " ".join(machine.isa_features) or "none of interest"),
        ("system", " ".join(part for part in (machine.system.os, machine.system.kernel) if part) or "unknown"),
        ("isolation", ", ".join(isolation) or "none"),
        ("cores", f"{profile.usable_cores} usable ({profile.core_limit_source})"),
        ("memory", f"{_gb(machine.memory.total_bytes)} in all, {_gb(profile.memory_available_bytes)} available"),
        ("power mode", machine.power_mode.name if machine.power_mode else "none known"),
        ("backend", f"{measured.backend}, {_threads(measured.threads)}"),
        ("read bandwidth", f"{profile.memory_read_bytes_per_s / 1e9:.1f} GB/s with as many threads"),
    ]
    if measured.kernels is not None:
        one, many = measured.kernels.decode_macs_per_s / 1e9, measured.kernels.prefill_macs_per_s / 1e9
        rows.append(("kernels", f"{one:,.0f} x 10⁹ multiply-adds/s for one token, {many:,.0f} for a prompt"))
    speed = profile.storage.read_bytes_per_s
    rows.append(("storage", f"{speed / 1e6:,.0f} MB/s" if speed else f"unavailable: {profile.storage.unavailable}"))
    rows.append(("measured", f"{measured.measured_at}, bonsai-edge {profile.provenance.version}"))
    others = profile.disturbance.other_cores
    rows.append(("disturbance", "unknown" if others is None else f"others kept {others:.2f} cores busy"))
    return rows


def bandwidth_rows(profile: Profile) -> list[Row]:
    """Return a row for each measured bandwidth."""
    return [
        (
            str(each.threads),
            f"CPU {each.cpus}" if each.cpus else "any core",
            f"{each.read_bytes_per_s / 1e9:.1f}",
            f"{each.copy_bytes_per_s / 1e9:.1f}",
        )
        for each in profile.measurements.bandwidths
    ]


def outlook_rows(profile: Profile) -> list[Row]:
    """Return a row for each published model and KV type; speeds in tokens/s."""
    return [
        (
            each.model,
            each.kv_type,
            f"{each.context:,}" if each.fits else "too large",
            f"{each.needed_bytes / (1 << 20):,.0f}",
            _speed(each.decode_tokens_per_s),
            _speed(each.decode_at_context_tokens_per_s),
            _speed(each.prefill_tokens_per_s),
            _speed(each.memory_limit_tokens_per_s),
            "" if each.arithmetic_limit_tokens_per_s is None else _speed(each.arithmetic_limit_tokens_per_s),
        )
        for each in profile.outlook
    ]


def model_facts(profile: Profile) -> list[tuple[str, str]]:
    """Return what was measured of the model; nothing if there was none."""
    model = profile.model
    if model is None:
        return []
    between, loads = model.speeds.inter_token_s, model.loads
    cold = "unavailable: the file could not be taken out of the page cache"
    rows = [
        ("model", f"{model.name}, {model.file_bytes / 1e6:,.0f} MB, SHA-256 {model.sha256}"),
        ("run by", f"{model.backend}, {_threads(model.threads)}, context {model.context:,}, KV {model.kv_type}"),
        ("first token", f"{model.speeds.first_token_s:.3f} s, prompt of {model.speeds.first_token_prompt_tokens}"),
        (
            "between tokens",
            f"{between.p50 * 1e3:.1f} ms median, {between.p95 * 1e3:.1f} ms p95, {between.p99 * 1e3:.1f} ms p99",
        ),
        ("load, cached", f"{loads.warm.load_s:.2f} s"),
        ("load, from storage", f"{loads.cold.load_s:.2f} s" if loads.cold else cold),
        ("load, very first", f"{loads.first.load_s:.1f} s, of which {loads.compile_s:.1f} s to compile"),
        ("peak memory", f"{loads.warm.peak_bytes / (1 << 20):,.0f} MiB, loaded and one token made"),
        ("decode reads", f"{model.bandwidth_share:.0%} of the read bandwidth"),
        ("energy", _energy(model)),
    ]
    if model.sustained is not None:
        rows.append(("sustained", f"{model.sustained.ratio:.0%} of the first minute's speed in the last"))
    if model.unpredicted is not None:
        rows.append(("prediction", f"none: {model.unpredicted}"))
    return rows


def speed_rows(profile: Profile) -> list[Row]:
    """Return a row for each test of the model, with what was predicted and how far that was off."""
    model = profile.model
    if model is None:
        return []
    predictions = {each.test: each for each in model.predictions}
    rows: list[Row] = []
    for test in model.speeds.tests:
        found = predictions.get(test.name)
        predicted = ("", "") if found is None else (_speed(found.predicted_tokens_per_s), f"{found.error:+.0%}")
        rows.append((test.name, f"{test.mean:.2f} ± {test.stdev:.2f}", *predicted))
    return rows


def _energy(model: ModelProfile) -> str:
    energy = model.energy
    if energy is None:
        return f"unavailable: {model.energy_unavailable}"
    above = "" if energy.above_idle_j is None else f", {energy.above_idle_j:.3f} J above idle"
    return f"{energy.raw_j:.3f} J a token{above}; {energy.scope} ({energy.source})"


def _threads(number: int) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"


def _gb(num_bytes: int | None) -> str:
    return "unknown" if num_bytes is None else f"{num_bytes / 1e9:.1f} GB"


def _speed(tokens_per_s: float) -> str:
    return f"{tokens_per_s:.1f}" if tokens_per_s < 100 else f"{tokens_per_s:.0f}"
