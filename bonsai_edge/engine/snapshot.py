"""What is cached of a text, as bytes: lent by `Engine.snapshot`, given back to `Engine.restore`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PrefixSnapshot:
    """The keys and values of the first tokens of a text; empty if none of them are cached.

    pages: one uint8 (page_bytes,) for every page of PAGE_TOKENS tokens that is started, in the layout of a runner of
    the same backend, model and KV type; made while they are asked for, so that they need not all be in memory twice.
    The last page may be partial: what it has beyond `token_ids` is never read.
    """

    token_ids: tuple[int, ...]
    pages: Iterable[npt.NDArray[np.uint8]]
