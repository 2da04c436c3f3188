"""Decides which backend computes: the one that was asked for, or the best; by a trial where scores cannot tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bonsai_edge.backend import Backend
from bonsai_edge.errors import BackendUnavailableError, UnknownBackendError
from bonsai_edge.measuring.keeping import identity_of, keep, now, recall
from bonsai_edge.measuring.trial import ANSWER_TOKENS, PROMPT_TOKENS, Trial, run_trial
from bonsai_edge.plugin_manager import (
    BackendStatus,
    device_description,
    device_profile,
    installed_backends,
    list_backends,
    probe,
)
from bonsai_edge.progress import progress

_TRIAL_GOOD_FOR = timedelta(days=30)  # its identity changes with drivers, clocks and power modes


@dataclass(frozen=True)
class BackendChoice:
    """The backend that is taken. `note` says why not another, None if it was the first choice.

    `is_fallback`: it takes the place of one that cannot run here.
    """

    backend: Backend
    note: str | None = None
    is_fallback: bool = False


@dataclass(frozen=True)
class AutoChoice:
    """What "auto" takes, None if only backends with score 0 can run; and the trial that decided, if one did."""

    status: BackendStatus | None
    trial: Trial | None = None

    @property
    def name(self) -> str | None:
        """The backend's name."""
        return None if self.status is None else self.status.name

    @property
    def note(self) -> str | None:
        """A sentence on the trial, None if there was none."""
        if self.status is None or self.trial is None:
            return None
        times = ", ".join(
            f"{result.backend} failed ({result.failure})"
            if result.failure is not None
            else f"{result.backend} {result.request_s:.3g} s"
            for result in self.trial.results
        )
        return (
            f"{self.name} was the fastest in a trial on {self.trial.measured_at}; a prompt of {PROMPT_TOKENS} tokens "
            f"and an answer of {ANSWER_TOKENS} from a few layers took: {times}."
        )


def select_backend(name: str, *, require: bool = False) -> BackendChoice:
    """Return the backend of a name, or the best for "auto"; one that cannot run is replaced by the best that can.

    With `require` it is not replaced: BackendUnavailableError says why it cannot run. So it does if nothing can take
    its place. A named one that can run is the only one that is probed. Raises UnknownBackendError for a name that is
    not installed.
    """
    if name == "auto":
        return _best_backend(require=require)
    wanted = probe(_installed_backend(name))
    if wanted.availability.available:
        return BackendChoice(wanted.backend)
    if require:
        raise _unavailable(wanted)
    return _in_place_of(wanted, _usable_auto(list_backends()))


def choose_auto(statuses: Iterable[BackendStatus], *, remeasure: bool = False) -> AutoChoice:
    """Return the best usable backend: that of the highest score, or of a trial where a score is only what it may be.

    A trial is remembered for a month on the same machine; with `remeasure` it is run anew.
    """
    usable = [status for status in statuses if status.availability.available and status.availability.score > 0]
    ranked = sorted(usable, key=lambda status: -status.availability.score)
    sure = next((status for status in ranked if not status.availability.needs_trial), None)
    least = 0 if sure is None else sure.availability.score
    contenders = [
        status
        for status in ranked
        if status is sure or (status.availability.needs_trial and status.availability.score >= least)
    ]
    if len(contenders) < 2:
        return AutoChoice(next(iter(contenders), None))
    trial = _trial(contenders, remeasure=remeasure)
    if trial.results[0].failure is not None:
        return AutoChoice(sure or contenders[0], trial)
    return AutoChoice(next(status for status in contenders if status.name == trial.results[0].backend), trial)


def _trial(contenders: Sequence[BackendStatus], *, remeasure: bool) -> Trial:
    device = device_profile()
    taking_part = {status.name: status.availability.details for status in contenders}
    identity = identity_of(device_description(), "trial", taking_part, device.usable_cores)
    trial = None if remeasure else recall(identity, Trial, _TRIAL_GOOD_FOR)
    if trial is None:
        progress.info("Measuring once which is faster here: %s ...", ", ".join(taking_part))
        backends = [status.backend for status in contenders]
        trial = Trial(identity, now(), run_trial(backends, device.usable_cores, device.available_memory_bytes))
        keep(trial)
    return trial


def _best_backend(*, require: bool) -> BackendChoice:
    """Return the best usable backend; the note, or with `require` the error, is about one that would be better."""
    statuses = list_backends()
    chosen, auto = _usable_auto(statuses)
    better = (
        status
        for status in statuses
        if not status.availability.available and status.availability.score > chosen.availability.score
    )
    missed = next(better, None)
    if missed is None:
        return BackendChoice(chosen.backend, auto.note)
    if require:
        raise _unavailable(missed)
    return _in_place_of(missed, (chosen, auto))


def _usable_auto(statuses: Sequence[BackendStatus]) -> tuple[BackendStatus, AutoChoice]:
    """Choose for "auto"; raise BackendUnavailableError if nothing can be chosen."""
    auto = choose_auto(statuses)
    if auto.status is None:
        reasons = " ".join(f"{status.name}: {status.availability.reason}" for status in statuses)
        raise BackendUnavailableError(
            f"No backend can be chosen by itself here. {reasons}",
            "Mend what a reason names, or choose the slow --backend reference.",
        )
    return auto.status, auto


def _in_place_of(missed: BackendStatus, taken: tuple[BackendStatus, AutoChoice]) -> BackendChoice:
    chosen, auto = taken
    note = f"{chosen.name} computes instead of {missed.name}, which cannot run here: {missed.availability.reason}"
    return BackendChoice(chosen.backend, note if auto.note is None else f"{note} {auto.note}", is_fallback=True)


def _installed_backend(name: str) -> Backend:
    installed = {backend.name: backend for backend in installed_backends()}
    if name not in installed:
        raise UnknownBackendError(
            f"There is no backend {name!r}; installed are {', '.join(sorted(installed))}.",
            "Choose one of them, or 'auto'.",
        )
    return installed[name]


def _unavailable(status: BackendStatus) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"Backend {status.name!r} cannot run here: {status.availability.reason}",
        "See `bonsai-edge backends` for the ones that can.",
    )
