"""Chooses the next token from logits. Greedy is exact; the same seed gives the same tokens."""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bonsai_edge.errors import InvalidRequestError, MalformedModelError
from bonsai_edge.generation import MOST_LOGIT_BIAS, GenerationOptions

Logits = npt.NDArray[np.float32]


_METADATA_KEYS = {
    "temperature": "general.sampling.temp",
    "top_k": "general.sampling.top_k",
    "top_p": "general.sampling.top_p",
    "min_p": "general.sampling.min_p",
    "repetition_penalty": "general.sampling.penalty_repeat",
}


@dataclass(frozen=True)
class SamplingDefaults:
    """What a model file recommends where a request says nothing; greedy if it says nothing either."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, object], path: Path) -> SamplingDefaults:
        """Read the `general.sampling.*` keys of a GGUF file that are present.

        Raises MalformedModelError for a value that a request could not ask for either.
        """
        found = {}
        for field, key in _METADATA_KEYS.items():
            if key not in metadata:
                continue
            try:
                found[field] = getattr(msgspec.convert({field: metadata[key]}, GenerationOptions), field)
            except msgspec.ValidationError as exc:
                raise MalformedModelError(
                    f"Key {key!r} of {path} is {metadata[key]!r}: {exc}.", "Convert the model again, or remove the key."
                ) from exc
        return cls(**found)


class Sampler:
    """The sampling state of one request: options resolved against the model's defaults, random state, recent tokens.

    `history` are the prompt's tokens, which the penalties see too. Raises InvalidRequestError for a logit bias that no
    vocabulary of this size can follow.
    """

    def __init__(
        self, options: GenerationOptions, defaults: SamplingDefaults, vocab_size: int, history: Sequence[int] = ()
    ) -> None:
        self.seed = secrets.randbits(63) if options.seed is None else options.seed
        self._options = options
        self._temperature = _first(options.temperature, defaults.temperature)
        self._top_k = int(_first(options.top_k, defaults.top_k))
        self._top_p = _first(options.top_p, defaults.top_p)
        self._min_p = _first(options.min_p, defaults.min_p)
        self._repetition_penalty = _first(options.repetition_penalty, defaults.repetition_penalty)
        self._random = np.random.Generator(np.random.PCG64(self.seed))
        self._history = deque(history, maxlen=options.penalty_window)
        _check_logit_bias(options.logit_bias, vocab_size)

    def sample(self, logits: Logits) -> int:
        """Choose a token from float32 (vocab_size,) logits, which are overwritten, and remember it.

        Raises MalformedModelError for logits that are not finite, which only a damaged file gives.
        """
        if not np.isfinite(logits.max()):
            raise MalformedModelError(
                "The model computed logits that are not numbers.",
                "Download the file again and compare its checksum; `--backend reference` tells whether it is the file.",
            )
        for token_id, bias in self._options.logit_bias.items():
            logits[token_id] += np.float32(bias)
        self._penalize(logits)
        token_id = int(np.argmax(logits)) if self._temperature == 0 else self._draw(logits)
        self._history.append(token_id)
        return token_id

    def _penalize(self, logits: Logits) -> None:
        """Lower what was said before: repetition (arXiv:1909.05858), presence and frequency (OpenAI's definitions)."""
        options = self._options
        is_off = self._repetition_penalty == 1 and options.presence_penalty == 0 and options.frequency_penalty == 0
        if is_off or not self._history:
            return
        seen, counts = np.unique(self._history, return_counts=True)
        values = logits[seen]
        penalty = np.float32(self._repetition_penalty)
        values = np.where(values > 0, values / penalty, values * penalty)
        logits[seen] = values - options.presence_penalty - options.frequency_penalty * counts.astype(np.float32)

    def _draw(self, logits: Logits) -> int:
        candidates = self._most_likely(logits)
        # Filters look at probabilities before temperature, as llama.cpp's default sampler chain does.
        probabilities = _softmax(logits[candidates].astype(np.float64))
        if self._top_p < 1:
            keep = int(np.searchsorted(np.cumsum(probabilities), self._top_p)) + 1
            candidates, probabilities = candidates[:keep], probabilities[:keep]
        if self._min_p > 0:
            keep = int(np.count_nonzero(probabilities >= self._min_p * probabilities[0]))
            candidates = candidates[:keep]
        weights = _softmax(logits[candidates].astype(np.float64), self._temperature)
        cumulative = np.cumsum(weights)
        drawn = np.searchsorted(cumulative, self._random.random() * cumulative[-1], side="right")
        return int(candidates[min(int(drawn), len(candidates) - 1)])

    def _most_likely(self, logits: Logits) -> npt.NDArray[np.intp]:
        """Return the top-k token ids, most likely first, ties by id."""
        if 0 < self._top_k < len(logits):
            threshold = np.partition(logits, -self._top_k)[-self._top_k]
            candidates = np.flatnonzero(logits >= threshold)
        else:
            candidates = np.arange(len(logits))
        ordered: npt.NDArray[np.intp] = candidates[np.argsort(-logits[candidates], kind="stable")]
        return ordered[: self._top_k] if self._top_k else ordered


def _check_logit_bias(logit_bias: Mapping[int, float], vocab_size: int) -> None:
    for token_id, bias in logit_bias.items():
        if token_id >= vocab_size:
            raise InvalidRequestError(
                f"logit_bias names token {token_id}; the vocabulary has {vocab_size} tokens.",
                f"Use token ids from 0 to {vocab_size - 1}.",
            )
        if not (bias == -math.inf or -MOST_LOGIT_BIAS <= bias <= MOST_LOGIT_BIAS):  # NaN compares false
            raise InvalidRequestError(
                f"logit_bias of token {token_id} is {bias}; supported are {-MOST_LOGIT_BIAS:g} to "
                f"{MOST_LOGIT_BIAS:g} and -inf.",
                "Use -inf to forbid a token.",
            )
    if list(logit_bias.values()).count(-math.inf) == vocab_size:
        raise InvalidRequestError(f"logit_bias forbids all {vocab_size} tokens.", "Leave at least one.")


def _softmax(logits: npt.NDArray[np.float64], temperature: float = 1.0) -> npt.NDArray[np.float64]:
    with np.errstate(over="ignore"):  # a tiny temperature may make -inf, whose exponential is the right 0
        weights = np.exp((logits - logits[0]) / temperature)
    return weights / weights.sum()


def _first(asked: float | None, default: float) -> float:
    return default if asked is None else asked
