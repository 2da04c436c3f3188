from __future__ import annotations

import pytest

from bonsai_edge.errors import BonsaiError, BusyError, ContextOverflowError, KVCacheFullError, RemoteError
from bonsai_edge.rpc.messages import ErrorMessage
from bonsai_edge.rpc.problems import exception_of, problem_of

NUMBERS = {"prompt_tokens": 9, "limit": 8, "max_tokens": 2}


@pytest.mark.parametrize(
    "error",
    [
        ContextOverflowError("Too long.", "Shorten it.", **NUMBERS),
        KVCacheFullError("Full.", "Wait."),
        BusyError("Busy.", "Wait."),
    ],
    ids=lambda error: error.code,
)
def test_an_error_of_the_server_is_the_same_error_at_the_client(error: BonsaiError) -> None:
    again = exception_of(problem_of(error))
    assert type(again) is type(error)
    assert (str(again), again.details) == (str(error), error.details)


def test_a_code_that_only_the_server_knows_keeps_its_numbers() -> None:
    problem = ErrorMessage(code="too_hot", message="Hot.", remedy="Cool it.", retryable=True, details={"celsius": 99})
    error = exception_of(problem)
    assert isinstance(error, RemoteError)
    assert (error.remote_code, error.details) == ("too_hot", {"celsius": 99})


def test_an_overflow_without_its_numbers_keeps_its_code() -> None:
    problem = ErrorMessage(code="context_overflow", message="Too long.", remedy="Shorten it.", retryable=False)
    error = exception_of(problem)
    assert isinstance(error, RemoteError)
    assert error.remote_code == "context_overflow"
