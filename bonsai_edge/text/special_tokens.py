"""Finding the tokens that are written as a text of their own, such as `<|im_start|>`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping


def split_special(text: str, special: Mapping[str, int]) -> list[str | int]:
    """Cut a text into token ids and the stretches of ordinary text between them.

    As in llama.cpp, where texts of tokens overlap, the longest token goes first wherever it occurs.
    """
    parts: list[str | int] = [text] if text else []
    for token_text in sorted(special, key=lambda text: len(text.encode()), reverse=True):
        if token_text in text:
            parts = [piece for part in parts for piece in _split_part(part, token_text, special[token_text])]
    return parts


def _split_part(part: str | int, token_text: str, token_id: int) -> Iterable[str | int]:
    if isinstance(part, int):
        yield part
        return
    before, *others = part.split(token_text)
    if before:
        yield before
    for after in others:
        yield token_id
        if after:
            yield after


def protect(text: str, special_texts: Iterable[str], mark: str) -> str:
    """Put `mark` after the first character of each special text, so that none occurs in the result.

    Special texts have at least two characters; removing `mark` restores the text.
    """
    alternatives = "|".join(map(re.escape, special_texts))
    return re.sub(f"(?=(?:{alternatives}))(.)", rf"\1{mark}", text, flags=re.DOTALL) if alternatives else text
