"""Token ids of a running generation to text, as it comes."""

from __future__ import annotations

import codecs

from bonsai_edge.text.tokenizer import Tokenizer


class Detokenizer:
    """Turns tokens into whole characters; what a token leaves unfinished waits for the next.

    The pieces joined are what `Tokenizer.decode` makes of all tokens at once.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """Return the characters that this token completes, often "" within a character of several tokens."""
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def finish(self) -> str:
        """Return U+FFFD if the last character was left unfinished, else ""."""
        return self._decoder.decode(b"", final=True)
