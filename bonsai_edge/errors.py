"""Every error that a user, a file or a peer can cause: one sentence of cause, one of remedy, a stable code.

BonsaiError
├── ModelNotFoundError         model_not_found         no such file, or not a file
├── MalformedModelError        malformed_model         the file is damaged or hostile
├── UnsupportedModelError      unsupported_model       a sound file that this version cannot run
├── UnknownBackendError        unknown_backend         no backend of that name is installed
├── BackendUnavailableError    backend_unavailable     installed, but cannot run on this machine
├── InsufficientMemoryError    insufficient_memory     the plan does not fit; nothing was allocated
├── InvalidBoardProfileError   invalid_board_profile   a board's TOML file contradicts its schema
├── InvalidRequestError        invalid_request         a parameter is of the wrong type or out of range
├── ContextOverflowError       context_overflow        prompt and answer do not fit into the context
├── KVCacheFullError           kv_cache_full           other generations hold the pages that are needed
├── SessionError
│   ├── SessionNotFoundError   session_not_found       no session is kept under this name
│   ├── SessionExistsError     session_exists          a fork would replace another session
│   ├── SessionForeignError    session_foreign         a save would replace what only another model can use
│   ├── SessionNotCachedError  session_not_cached      the KV cache holds nothing of what is to be saved
│   ├── SessionTooLargeError   session_too_large       larger than all sessions together may become
│   ├── WriteBudgetError       write_budget_exceeded   more than may be written to the storage in a day
│   └── SessionStorageError    session_storage         the disk is full, read-only or failing
└── RpcError
    ├── EndpointError          bad_endpoint            an address that cannot be bound or connected
    ├── EndpointInUseError     endpoint_in_use         another process listens there
    ├── KeyFileError           bad_keys                a key or allow-list is missing, damaged or open to others
    ├── HandshakeError         handshake_failed        the server refused this client's key, or is another one
    ├── ForbiddenError         forbidden               the key does not allow what was asked for
    ├── ServerUnreachableError server_unreachable      nobody answered within the time-out
    ├── ProtocolError          protocol_error          a peer sent a message that cannot be understood
    ├── BusyError              busy                    the server's queue is full; try again later
    ├── EngineHungError        engine_hung             a server gave up an engine that does not move
    └── RemoteError            (the server's code)     the server refused or failed the request
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class BonsaiError(Exception):
    """Base of all errors of this package that are not programming mistakes.

    `cause` says what was expected and what was found; `remedy` says what to do next. Both are whole sentences.
    """

    code: ClassVar[str] = "error"

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy

    @property
    def details(self) -> dict[str, int]:
        """The numbers of the cause by name, for programs; they travel in JSON and over the wire."""
        return {}

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy}"


class ModelNotFoundError(BonsaiError):
    """The model path does not name a readable file."""

    code = "model_not_found"


class MalformedModelError(BonsaiError):
    """The model file contradicts its own format."""

    code = "malformed_model"


class UnsupportedModelError(BonsaiError):
    """The model file is well formed but needs something that is not implemented."""

    code = "unsupported_model"


class UnknownBackendError(BonsaiError):
    """No installed backend has the requested name."""

    code = "unknown_backend"


class BackendUnavailableError(BonsaiError):
    """The requested backend is installed but cannot run here."""

    code = "backend_unavailable"


class InsufficientMemoryError(BonsaiError):
    """The memory plan exceeds what the device or cgroup has."""

    code = "insufficient_memory"


class InvalidBoardProfileError(BonsaiError):
    """A board's TOML file cannot be read or says what it must not."""

    code = "invalid_board_profile"


class InvalidRequestError(BonsaiError):
    """A request parameter has the wrong type or is out of range."""

    code = "invalid_request"


class ContextOverflowError(BonsaiError):
    """Prompt plus answer exceed the context, and nothing was computed: `prompt_tokens` + `max_tokens` > `limit`.

    `prompt_tokens` counts the prompt as it was sent. `max_tokens` is the room that the answer must have: what was asked
    for, or what the overflow policy leaves when nothing was.
    """

    code = "context_overflow"

    def __init__(self, cause: str, remedy: str, *, prompt_tokens: int, limit: int, max_tokens: int) -> None:
        super().__init__(cause, remedy)
        self.prompt_tokens = prompt_tokens
        self.limit = limit
        self.max_tokens = max_tokens

    @property
    def details(self) -> dict[str, int]:
        """The three numbers."""
        return {"prompt_tokens": self.prompt_tokens, "limit": self.limit, "max_tokens": self.max_tokens}


class KVCacheFullError(BonsaiError):
    """The KV cache has too few free pages because other generations are under way."""

    code = "kv_cache_full"


class SessionError(BonsaiError):
    """Base of what can go wrong with sessions on disk; one that cannot be restored is no error but a miss."""

    code = "session_error"


class SessionNotFoundError(SessionError):
    """No session is kept under the name."""

    code = "session_not_found"


class SessionExistsError(SessionError):
    """The name that a fork should get is taken."""

    code = "session_exists"


class SessionForeignError(SessionError):
    """The name holds a session that only another model, or a newer version, can use; saving would lose it."""

    code = "session_foreign"


class SessionNotCachedError(SessionError):
    """The KV cache holds no page of what should be saved."""

    code = "session_not_cached"


class SessionTooLargeError(SessionError):
    """The session is larger than all sessions together may become."""

    code = "session_too_large"


class WriteBudgetError(SessionError):
    """Saving would write more than the day's budget, which protects flash storage, has left."""

    code = "write_budget_exceeded"


class SessionStorageError(SessionError):
    """The directory of the sessions cannot be read or written; what was saved before is as it was."""

    code = "session_storage"


class RpcError(BonsaiError):
    """Base of what can go wrong between a client and a server."""

    code = "rpc_error"


class EndpointError(RpcError):
    """An endpoint is malformed, or not allowed."""

    code = "bad_endpoint"


class EndpointInUseError(EndpointError):
    """Another process already listens on the endpoint."""

    code = "endpoint_in_use"


class KeyFileError(RpcError):
    """Keys or an allow-list cannot be used: missing, damaged, or open to other users."""

    code = "bad_keys"


class HandshakeError(RpcError):
    """Client and server do not accept each other: keys that are not known, or given on one side only."""

    code = "handshake_failed"


class ForbiddenError(RpcError):
    """The server knows the client and does not let it do this."""

    code = "forbidden"


class ServerUnreachableError(RpcError):
    """No answer came within the time-out."""

    code = "server_unreachable"


class ProtocolError(RpcError):
    """A peer sent frames that do not follow the protocol."""

    code = "protocol_error"


class BusyError(RpcError):
    """The server's queue is full."""

    code = "busy"


class EngineHungError(RpcError):
    """The engine of a server did not move for too long; only a new process is rid of it.

    `halt_reason` is what the server was halted for, None if it was not: a new one should be halted too.
    """

    code = "engine_hung"

    def __init__(self, cause: str, remedy: str, halt_reason: str | None = None) -> None:
        super().__init__(cause, remedy)
        self.halt_reason = halt_reason


class RemoteError(RpcError):
    """The server answered with an error; `remote_code` is its stable code."""

    code = "remote_error"

    def __init__(
        self, cause: str, remedy: str, remote_code: str, remote_details: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(cause, remedy)
        self.remote_code = remote_code
        self.remote_details = dict(remote_details or {})

    @property
    def details(self) -> dict[str, int]:
        """The numbers that the server sent."""
        return self.remote_details
