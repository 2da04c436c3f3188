"""Log-probabilities of sampled tokens: what the model itself says, before penalties, filters and temperature."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bonsai_edge.generation import TokenLogprob


class Logprobs:
    """The log-softmax of one row of logits, float32 (vocab_size,), computed in float64."""

    def __init__(self, logits: npt.NDArray[np.float32]) -> None:
        exact = logits.astype(np.float64)
        largest = exact.max()
        self._values = exact - (largest + np.log(np.exp(exact - largest).sum()))

    def of(self, token_id: int, num_top: int) -> TokenLogprob:
        """Return that of a token, beside those of the most likely ones, ties by id."""
        top: tuple[tuple[int, float], ...] = ()
        num_top = min(num_top, len(self._values))
        if num_top:
            threshold = np.partition(self._values, -num_top)[-num_top]
            candidates = np.flatnonzero(self._values >= threshold)
            ordered = candidates[np.argsort(-self._values[candidates], kind="stable")][:num_top]
            top = tuple((int(each), float(self._values[each])) for each in ordered)
        return TokenLogprob(token_id=token_id, logprob=float(self._values[token_id]), top=top)
