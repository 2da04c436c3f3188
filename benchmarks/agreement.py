"""How far two runs of the same model over the same text are apart, position by position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.float32]

_ROWS_AT_ONCE = 32  # float64 temporaries of 151,669 columns stay below 40 MB each


@dataclass(frozen=True)
class Agreement:
    """The distance of one run from another over `num_positions` positions."""

    num_positions: int
    mean_kl: float
    least_cosine: float
    same_top_share: float
    largest_difference: float

    def __str__(self) -> str:
        return (
            f"{self.num_positions} positions: mean KL {self.mean_kl:.2e}, cosine >= {self.least_cosine:.8f}, "
            f"same top token {100 * self.same_top_share:.2f} %, largest difference {self.largest_difference:.2e}"
        )


def compare_logits(expected: Logits, found: Logits) -> Agreement:
    """Compare logits (num_positions, vocab_size); KL is from `expected` to `found`, in nats."""
    if expected.shape != found.shape:
        raise ValueError(f"cannot compare logits of the shapes {expected.shape} and {found.shape}")
    kl, cosines, same_top, differences = [], [], [], []
    for start in range(0, len(expected), _ROWS_AT_ONCE):
        p, q = (rows[start : start + _ROWS_AT_ONCE].astype(np.float64) for rows in (expected, found))
        kl.append(kl_divergence(p, q))
        cosines.append(np.sum(p * q, axis=1) / (np.linalg.norm(p, axis=1) * np.linalg.norm(q, axis=1)))
        same_top.append(p.argmax(axis=1) == q.argmax(axis=1))
        differences.append(np.abs(p - q).max(axis=1))
    return Agreement(
        num_positions=len(expected),
        mean_kl=float(np.concatenate(kl).mean()),
        least_cosine=float(np.concatenate(cosines).min()),
        same_top_share=float(np.concatenate(same_top).mean()),
        largest_difference=float(np.concatenate(differences).max()),
    )


def kl_divergence(p_logits: npt.NDArray[np.float64], q_logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the KL divergence of softmax(q) from softmax(p) for each row, in nats."""
    log_p, log_q = _log_softmax(p_logits), _log_softmax(q_logits)
    divergence: npt.NDArray[np.float64] = np.sum(np.exp(log_p) * (log_p - log_q), axis=1)
    return divergence


def _log_softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return log_probabilities
