"""What a server says when it does not do what it was asked, and how a client turns it into an exception again."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from bonsai_edge.errors import (
    BonsaiError,
    BusyError,
    ContextOverflowError,
    ForbiddenError,
    InvalidRequestError,
    KVCacheFullError,
    MalformedModelError,
    ModelNotFoundError,
    ProtocolError,
    RemoteError,
    SessionStorageError,
    UnsupportedModelError,
)
from bonsai_edge.rpc.messages import ErrorMessage, Rejected

logger = logging.getLogger(__name__)

LOCAL_CLASSES: dict[str, type[BonsaiError]] = {
    error.code: error
    for error in (
        BusyError,
        ContextOverflowError,
        ForbiddenError,
        InvalidRequestError,
        KVCacheFullError,
        ProtocolError,
        UnsupportedModelError,
    )
}
"""Codes that a client raises as the class that the Python API raises; all others are RemoteErrors."""
_SERVER_FILE_ERRORS = (ModelNotFoundError, MalformedModelError, SessionStorageError)
_RETRYABLE = (BusyError.code, KVCacheFullError.code)

QUEUE_FULL = ErrorMessage(
    code=BusyError.code, message="The server's queue is full.", remedy="Send the request again later.", retryable=True
)
MODEL_LOADING = ErrorMessage(
    code="model_loading",
    message="The model is still loading.",
    remedy="Send the request again later; `status` says when the model is ready.",
    retryable=True,
)
DUPLICATE_REQUEST = ErrorMessage(
    code="duplicate_request",
    message="A request with this id is being worked on; it goes on.",
    remedy="Give each request an id of its own.",
    retryable=False,
)
UNKNOWN_REQUEST = ErrorMessage(
    code="unknown_request",
    message="The server does not know a request with this id, because it was restarted or the answer is too old.",
    remedy="Send the request again without `resume_from`.",
    retryable=True,
)
DEADLINE_EXCEEDED = ErrorMessage(
    code="deadline_exceeded",
    message="The deadline passed before the answer was complete.",
    remedy="Allow more time, ask for fewer tokens, or send the request when the server is less busy.",
    retryable=True,
)
SLOW_READER = ErrorMessage(
    code="slow_reader",
    message="The answer was not read as fast as it was made, and the queue for it is full.",
    remedy="Read faster, or ask for the answer as a whole with `stream` set to 'none'.",
    retryable=True,
)
SERVER_STOPPING = ErrorMessage(
    code="server_stopping",
    message="The server is stopping.",
    remedy="Send the request again when it has been restarted.",
    retryable=True,
)
HALTED = ErrorMessage(
    code="halted",
    message="The server is halted and takes no generations.",
    remedy="Send the request again when it has been resumed; `status` says why it was halted.",
    retryable=True,
)
ENGINE_RESTARTED = ErrorMessage(
    code="engine_restarted",
    message="The engine hung and is restarted.",
    remedy="Send the request again; the server's boot id changes.",
    retryable=True,
)
WRONG_ENDPOINT = ErrorMessage(
    code="wrong_endpoint",
    message="The control endpoint takes no work.",
    remedy="Send it to the work endpoint, one port lower.",
    retryable=False,
)
REPLY_TOO_LARGE = ErrorMessage(
    code="reply_too_large",
    message="The answer is larger than a message may be.",
    remedy="Ask for it in smaller parts.",
    retryable=False,
)
NOT_ALLOWED = ErrorMessage(
    code=ForbiddenError.code,
    message="The key of this connection is not allowed, or not any more.",
    remedy="Have it allowed with `bonsai-edge keys allow`.",
    retryable=False,
)
OF_ANOTHER_KEY = ErrorMessage(
    code=ForbiddenError.code,
    message="The request belongs to another key.",
    remedy="Leave it alone, or use a key with the role `control`.",
    retryable=False,
)
ROUTING_ID_CHOSEN = ErrorMessage(
    code=ForbiddenError.code,
    message="The client has chosen its routing id, which a server with keys does not accept.",
    remedy="Leave ZMQ_ROUTING_ID unset.",
    retryable=False,
)
QUOTA_USED = ErrorMessage(
    code=BusyError.code,
    message="As many requests of this key wait or run as it may have.",
    remedy="Send the request again when one of them has ended.",
    retryable=True,
)
INTERNAL_ERROR = ErrorMessage(
    code="internal_error",
    message="The server failed on this request.",
    remedy="The server's log has the details; please report them.",
    retryable=False,
)


def unsupported_features(names: set[str]) -> ErrorMessage:
    """Say which required features this server does not have."""
    return ErrorMessage(
        code="unsupported_feature",
        message=f"The server lacks the required features {', '.join(sorted(names))}.",
        remedy="Leave them out, or use a server whose WELCOME lists them.",
        retryable=False,
    )


def role_missing(role: str) -> ErrorMessage:
    """Say which role a key would need."""
    return ErrorMessage(
        code=ForbiddenError.code,
        message=f"The role of this key does not allow that; it takes {role!r}.",
        remedy="Have the key allowed again with `bonsai-edge keys allow --role`.",
        retryable=False,
    )


def problem_of(error: BonsaiError) -> ErrorMessage:
    """Return the message for an exception; what names files of the server goes to its log instead."""
    if isinstance(error, _SERVER_FILE_ERRORS):
        logger.error("A request failed: %s", error)
        return ErrorMessage(
            code=error.code,
            message="The server's files do not let it answer.",
            remedy="The server's log says which, and why.",
            retryable=False,
        )
    code = error.remote_code if isinstance(error, RemoteError) else error.code
    return ErrorMessage(
        code=code, message=error.cause, remedy=error.remedy, retryable=code in _RETRYABLE, details=error.details
    )


def rejection(
    problem: ErrorMessage, *, queue_position: int | None = None, retry_after_ms: int | None = None
) -> Rejected:
    """Return the message for a request that is not accepted."""
    return Rejected(
        code=problem.code,
        message=problem.message,
        remedy=problem.remedy,
        retryable=problem.retryable,
        queue_position=queue_position,
        retry_after_ms=retry_after_ms,
    )


def exception_of(problem: ErrorMessage | Rejected) -> BonsaiError:
    """Return the exception for a message: the local class of that code where there is one, else a RemoteError."""
    remedy = problem.remedy
    if isinstance(problem, Rejected) and problem.retry_after_ms is not None:
        remedy = f"Send the request again in about {problem.retry_after_ms / 1000:.1f} s."
    details = problem.details if isinstance(problem, ErrorMessage) else {}
    local_class = LOCAL_CLASSES.get(problem.code)
    if local_class is ContextOverflowError:
        return _context_overflow(problem.message, remedy, details)
    if local_class is not None:
        return local_class(problem.message, remedy)
    return RemoteError(problem.message, remedy, problem.code, details)


def _context_overflow(cause: str, remedy: str, details: Mapping[str, int]) -> BonsaiError:
    try:
        numbers = {name: details[name] for name in ("prompt_tokens", "limit", "max_tokens")}
    except KeyError:  # a server of an earlier version sends none
        return RemoteError(cause, remedy, ContextOverflowError.code, details)
    return ContextOverflowError(cause, remedy, **numbers)
