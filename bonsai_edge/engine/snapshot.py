"""The keys and values of a prefix of tokens, copied out of the cache."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PrefixSnapshot:
    """Token ids and the pages that were computed for them.

    pages: one uint8 (page_bytes,) for every started page of PAGE_TOKENS tokens, in order; the last may be partial.
    """

    token_ids: tuple[int, ...]
    pages: list[npt.NDArray[np.uint8]]
