"""What the tests of the server ask of a raw peer."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from bonsai_edge.generation import GenerationResult
from bonsai_edge.rpc.messages import (
    Accepted,
    ErrorMessage,
    Generate,
    GetStatus,
    Header,
    Rejected,
    ServerStatus,
)

if TYPE_CHECKING:
    from conftest import RawPeer

DEADLINE_S = 10.0


def new_id() -> bytes:
    return uuid.uuid4().bytes


def begin(peer: RawPeer, prompt: str, header: Header | None = None) -> bytes:
    """Send a generation and wait until it is accepted."""
    request_id = new_id()
    peer.send(Generate(prompt), request_id, header)
    assert isinstance(peer.expect(request_id), Accepted)
    return request_id


def ask_status(peer: RawPeer) -> ServerStatus:
    request_id = new_id()
    peer.send(GetStatus(), request_id)
    status = peer.expect(request_id)
    assert isinstance(status, ServerStatus)
    return status


def expect_result(peer: RawPeer, request_id: bytes) -> GenerationResult:
    result = peer.expect(request_id)
    assert isinstance(result, GenerationResult)
    return result


def expect_error(peer: RawPeer, request_id: bytes) -> ErrorMessage:
    error = peer.expect(request_id)
    assert isinstance(error, ErrorMessage)
    return error


def expect_rejection(peer: RawPeer, request_id: bytes) -> Rejected:
    rejected = peer.expect(request_id)
    assert isinstance(rejected, Rejected)
    return rejected
