"""One line of the log for every generation that begins, ends or is rejected; texts are never logged."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from bonsai_edge.generation import GenerationResult
from bonsai_edge.rpc.messages import Accepted, ErrorMessage, Rejected, ServerMessage

logger = logging.getLogger(__name__)


def log_message(request_id: bytes, message: ServerMessage) -> None:
    """Log what a client is told about its request."""
    if isinstance(message, Accepted):
        _log("accepted", request_id, queue_position=message.queue_position)
    elif isinstance(message, Rejected):
        _log("rejected", request_id, code=message.code)
    elif isinstance(message, ErrorMessage):
        _log("failed", request_id, code=message.code)
    elif isinstance(message, GenerationResult):
        timings, usage = message.timings, message.usage
        _log(
            "ended",
            request_id,
            finish_reason=message.finish_reason,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            queue_s=round(timings.queue_s, 6),
            prefill_s=round(timings.prefill_s, 6),
            decode_s=round(timings.decode_s, 6),
        )


def _log(event: str, request_id: bytes, **facts: Any) -> None:
    if logger.isEnabledFor(logging.INFO):
        logger.info("Request %s.", event, extra={"request_id": str(uuid.UUID(bytes=request_id)), **facts})
