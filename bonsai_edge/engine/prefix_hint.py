"""Tells the log when a prompt puts what changes before what stays, so that its long rest cannot be reused."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from bonsai_edge.engine.prefix_cache import CachedPage, Match
from bonsai_edge.kv_cache import PAGE_TOKENS

logger = logging.getLogger(__name__)

_LEAST_TOKENS = 256  # shorter prompts are computed anew soon enough


def log_early_difference(match: Match, prompt_ids: Sequence[int]) -> None:
    """Log where a long prompt first differs from a cached text whose further text it repeats; never the text itself.

    That it repeats it is taken from one whole page, the next after the difference.
    """
    if len(prompt_ids) < _LEAST_TOKENS:
        return
    differing = match.tail or next(reversed(match.last.children.values()), None)
    following = None if differing is None else _next_whole_page(differing)
    if following is not None and _contains(prompt_ids[match.num_tokens :], following.token_ids):
        logger.info(
            "A prompt of %d tokens differs from a cached one of at least %d at token %d, counted from 0, and repeats "
            "its text after that: what changes from prompt to prompt, such as a time, is better put after what stays.",
            len(prompt_ids),
            (len(match.pages) + 2) * PAGE_TOKENS,
            match.num_tokens,
        )


def _next_whole_page(page: CachedPage) -> CachedPage | None:
    return next((child for child in page.children.values() if len(child.token_ids) == PAGE_TOKENS), None)


def _contains(text: Sequence[int], part: Sequence[int]) -> bool:
    return np.array(part, np.int32).tobytes() in np.array(text, np.int32).tobytes()
