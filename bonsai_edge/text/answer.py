"""Tokens of an answer to chunks of text, as they come."""

from __future__ import annotations

from collections.abc import Sequence

from bonsai_edge.generation import TextChunk, TokenLogprob
from bonsai_edge.text.detokenizer import Detokenizer
from bonsai_edge.text.stop_strings import StopStringFilter
from bonsai_edge.text.tokenizer import Tokenizer


class AnswerText:
    """Makes numbered chunks of whole characters; ends before the first stop string."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str]) -> None:
        self._detokenizer = Detokenizer(tokenizer)
        self._stop_filter = StopStringFilter(stop)
        self._texts: list[str] = []
        self._pending_ids: list[int] = []
        self._pending_logprobs: list[TokenLogprob] = []

    @property
    def text(self) -> str:
        """The texts of all chunks so far."""
        return "".join(self._texts)

    @property
    def is_stopped(self) -> bool:
        """Whether a stop string was met; nothing is pushed any more then."""
        return self._stop_filter.stopped

    def push(self, token_id: int, logprob: TokenLogprob | None) -> TextChunk | None:
        """Add a token, and return the chunk that it completes."""
        self._pending_ids.append(token_id)
        if logprob is not None:
            self._pending_logprobs.append(logprob)
        text = self._stop_filter.push(self._detokenizer.push(token_id))
        return self._chunk(text) if text else None

    def finish(self) -> TextChunk | None:
        """Return the last chunk, of what was held back or left unfinished."""
        rest = ""
        if not self.is_stopped:
            rest = self._stop_filter.push(self._detokenizer.finish()) + self._stop_filter.finish()
        return self._chunk(rest) if rest or self._pending_ids else None

    def _chunk(self, text: str) -> TextChunk:
        logprobs = self._pending_logprobs or None
        chunk = TextChunk(index=len(self._texts), text=text, token_ids=self._pending_ids, logprobs=logprobs)
        self._texts.append(text)
        self._pending_ids, self._pending_logprobs = [], []
        return chunk
