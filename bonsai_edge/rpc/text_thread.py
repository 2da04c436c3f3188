"""Tokenizing and detokenizing beside the network thread, which a long text must not hold up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from bonsai_edge.errors import BonsaiError
from bonsai_edge.rpc.job import Route
from bonsai_edge.rpc.messages import ErrorMessage, Text, TokenIds
from bonsai_edge.rpc.problems import INTERNAL_ERROR, problem_of

logger = logging.getLogger(__name__)

MAX_PENDING = 64


@dataclass(frozen=True)
class TextDone:
    """The answer to a request that the thread was given."""

    route: Route
    request_id: bytes
    answer: TokenIds | Text | ErrorMessage


class TextThread:
    """Answers one request after the other; used by the network thread."""

    def __init__(self, post: Callable[[TextDone], None]) -> None:
        self._post = post
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="bonsai-edge-text")
        self.pending: set[bytes] = set()

    def submit(self, route: Route, request_id: bytes, work: Callable[[], TokenIds | Text]) -> bool:
        """Have the work done and its answer posted; False when too much is waiting."""
        if len(self.pending) >= MAX_PENDING:
            return False
        self.pending.add(request_id)

        def post(future: Future[TokenIds | Text]) -> None:
            if not future.cancelled():
                self._post(TextDone(route, request_id, _answer_of(future)))

        self._executor.submit(work).add_done_callback(post)
        return True

    def stop(self) -> None:
        """Drop what waits and end the thread after its current work."""
        self._executor.shutdown(cancel_futures=True)


def _answer_of(future: Future[TokenIds | Text]) -> TokenIds | Text | ErrorMessage:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BonsaiError):
        return problem_of(error)
    logger.error("Tokenizing failed.", exc_info=error)
    return INTERNAL_ERROR
