"""What of an answer is sent, and when: whole sentences, as much as the client has credit for, and again on demand."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Literal, TypeAlias

from bonsai_edge.generation import TextChunk, TokenLogprob

StreamMode: TypeAlias = Literal["tokens", "sentences", "none"]

_SENTENCE_END = re.compile(r"[.!?\u2026]+[\"'\u2019\u201d)\]]*\s+|[\u3002\uff01\uff1f]+|\n+")


class AnswerStream:
    """Chunks of a generation in, chunks for its client out, numbered anew without gaps.

    `credit` is how many may be sent, None for any number. What may not be sent yet is gathered and goes out as one
    chunk, so a client that reads slowly costs nothing but that text and loses none of it. All that was sent is kept to
    be sent again.
    """

    def __init__(self, mode: StreamMode = "tokens", credit: int | None = None) -> None:
        self._mode = mode
        self._credit = credit
        self._sent: list[TextChunk] = []
        self._text = ""
        self._token_ids: list[int] = []
        self._logprobs: list[TokenLogprob] = []

    def push(self, chunk: TextChunk) -> Sequence[TextChunk]:
        """Take what was made and return what is to be sent now."""
        if self._mode == "none":
            return ()
        self._text += chunk.text
        self._token_ids += chunk.token_ids
        self._logprobs += chunk.logprobs or ()
        return self._release()

    def add_credit(self, num_chunks: int) -> Sequence[TextChunk]:
        """Allow more chunks and return what is to be sent now."""
        if self._credit is not None:
            self._credit += num_chunks
        return self._release()

    def begin_credit(self, credit: int | None) -> Sequence[TextChunk]:
        """Forget the credit that there was, for a client that begins anew, and return what is to be sent now."""
        self._credit = credit
        return self._release()

    def finish(self) -> Sequence[TextChunk]:
        """Return the rest of the answer, which needs no credit."""
        return [self._chunk(len(self._text))] if self._text or self._token_ids else ()

    def sent_from(self, index: int) -> Sequence[TextChunk]:
        """Return what was sent from a chunk on."""
        return self._sent[index:]

    @property
    def num_bytes(self) -> int:
        """About how much memory it holds."""
        return sum(map(_num_bytes, self._sent)) + sys.getsizeof(self._text)

    def _release(self) -> Sequence[TextChunk]:
        if self._credit == 0:
            return ()
        end = len(self._text)
        if self._mode == "sentences":
            end = max((match.end() for match in _SENTENCE_END.finditer(self._text)), default=0)
        if not end:
            return ()
        if self._credit is not None:
            self._credit -= 1
        return [self._chunk(end)]

    def _chunk(self, end: int) -> TextChunk:
        """Cut off the beginning of what is gathered; tokens whose text is cut go with the first part."""
        chunk = TextChunk(
            index=len(self._sent),
            text=self._text[:end],
            token_ids=self._token_ids,
            logprobs=self._logprobs or None,
        )
        self._text, self._token_ids, self._logprobs = self._text[end:], [], []
        self._sent.append(chunk)
        return chunk


def _num_bytes(chunk: TextChunk) -> int:
    """Return about what a chunk takes: an int has 28 bytes, a float 24, and each a reference of 8."""
    top = sum(len(each.top) for each in chunk.logprobs or ())
    of_logprobs = 104 * len(chunk.logprobs or ()) + 124 * top
    return sys.getsizeof(chunk.text) + 36 * len(chunk.token_ids) + of_logprobs + 96
