"""Runs the mobile backend with the embedded model: products and steps of one token, of a few and of many.

`python mobile_batches.py` prints as JSON what computed, what it answered, and how many rows of a batch differ in
any bit from the same row alone, for each size of a batch. It needs neither Numba nor pytest.
"""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt

import bonsai_edge
from bonsai_edge_mobile.library import load_kernels
from robot_answers import COMMANDS, PROMPT

BATCHES = (2, 3, 8, 21, 22, 24, 33)
"""Sizes that AVX-512 multiplies by looked-up sums (2 to 21 tokens), by tables, and by one and then the other."""
NUM_ROWS, NUM_COLUMNS = 70, 640


def matrix_and_tokens() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return a packed Q1_0 matrix, and the most tokens that a batch multiplies it by; rounding changes none of them."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (NUM_ROWS, NUM_COLUMNS // 128, 18), dtype=np.uint8)
    blocks[:, :, :2] = rng.uniform(0.01, 0.02, (*blocks.shape[:2], 1)).astype("<f2").view(np.uint8)
    x = rng.integers(-127, 128, (max(BATCHES), NUM_COLUMNS)).astype(np.float32)
    x[:, ::32] = 127.0  # every scale is then 1
    return blocks.reshape(NUM_ROWS, -1), x


def main() -> None:
    """Print the results."""
    kernels = load_kernels()
    packed, x = matrix_and_tokens()
    alone = np.concatenate([kernels.multiply(packed, token[None]) for token in x])
    different = {n: int((kernels.multiply(packed, x[:n]) != alone[:n]).any(axis=1).sum()) for n in BATCHES}
    with bonsai_edge.load("seedling", backend="mobile", require_backend=True) as model:
        texts = [model.generate_text([{"role": "user", "content": each}], temperature=0).text for each in COMMANDS]
        logits = model.logits(PROMPT)
        with model.engine.sequence(len(PROMPT)) as sequence:
            one_by_one = np.concatenate([sequence.logits([token]) for token in PROMPT])
        together = {n: int((model.logits(PROMPT[:n]) != one_by_one[:n]).any(axis=1).sum()) for n in BATCHES}
    found = {
        "isa": kernels.isa,
        "product": alone.tolist(),
        "product_rows_that_differ": different,
        "texts": texts,
        "logits": logits[-1].tolist(),
        "step_rows_that_differ": together,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
