"""What every message of a client means, on the network thread: answered here, or handed to the right one."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence

import psutil

from bonsai_edge.errors import InvalidRequestError, ProtocolError
from bonsai_edge.rpc.codec import Envelope, decode_client_message, request_id_of
from bonsai_edge.rpc.compute import ComputeThread
from bonsai_edge.rpc.job import Route
from bonsai_edge.rpc.messages import (
    FEATURES,
    HEARTBEAT_INTERVAL_MS,
    PROTOCOL_VERSION,
    Bye,
    Cancel,
    Cancelling,
    Chat,
    ClientMessage,
    Credit,
    Detokenize,
    Generate,
    GetModelInfo,
    GetStatus,
    Hello,
    Limits,
    ModelInfo,
    Ping,
    Pong,
    ServerMessage,
    ServerStatus,
    Text,
    TokenIds,
    Tokenize,
    Welcome,
)
from bonsai_edge.rpc.outbox import Delivery, Outbox
from bonsai_edge.rpc.problems import (
    DUPLICATE_REQUEST,
    INTERNAL_ERROR,
    MODEL_LOADING,
    QUEUE_FULL,
    SERVER_STOPPING,
    problem_of,
    rejection,
    unsupported_features,
)
from bonsai_edge.rpc.scheduler import Scheduler
from bonsai_edge.rpc.security.access import Access
from bonsai_edge.rpc.served_model import ServedModel
from bonsai_edge.rpc.text_thread import TextDone, TextThread
from bonsai_edge.version import __version__

logger = logging.getLogger(__name__)

_MODEL_LOADING_RETRY_MS = 1_000


class Service:
    """Receives messages one at a time; nothing here waits for the model or for a client."""

    def __init__(
        self,
        compute: ComputeThread,
        text: TextThread,
        scheduler: Scheduler,
        outbox: Outbox,
        limits: Limits,
        access: Access,
    ) -> None:
        self.boot_id = uuid.uuid4().hex
        self._compute = compute
        self._text = text
        self._scheduler = scheduler
        self._outbox = outbox
        self._limits = limits
        self._access = access
        self._model: ServedModel | None = None
        self._is_loaded = False
        self._is_stopping = False
        self._started_at = time.monotonic()
        self._process = psutil.Process()

    def start(self, model: ServedModel) -> None:
        """Answer with a model from now on."""
        self._model = model
        self._is_loaded = True
        self._scheduler.start(model)

    def note_unloaded(self) -> None:
        """Tell from now on that the model is not in memory; questions about it and texts are answered as before."""
        self._is_loaded = False

    def stop(self) -> None:
        """End all requests and reject new ones."""
        self._is_stopping = True
        self._scheduler.stop()

    def receive(self, parts: Sequence[bytes], user: str | None = None) -> None:
        """Act on what the ROUTER received: identity, perhaps a REQ socket's empty frame, and the message.

        `user` is the user id of the connection; `Access` knows what it may do.
        """
        delimited = len(parts) > 1 and not parts[1]
        route, frames = Route(parts[0], delimited), parts[1 + delimited :]
        try:
            envelope = decode_client_message(frames)
            problem = self._access.refusal(user, route, envelope)
            if problem is None:
                self._dispatch(route, envelope)
            else:
                self._reply(route, envelope.request_id, rejection(problem))
        except ProtocolError as exc:
            self._reply(route, request_id_of(frames), problem_of(exc))
        except Exception:
            logger.exception("A message could not be handled.")
            self._reply(route, request_id_of(frames), INTERNAL_ERROR)

    def take_text(self, done: TextDone) -> None:
        """Pass on an answer of the text thread."""
        self._text.pending.discard(done.request_id)
        self._reply(done.route, done.request_id, done.answer)

    def status(self) -> ServerStatus:
        """Return how the server is doing, engine included."""
        last_step_at = self._compute.last_step_at
        now = time.monotonic()
        return ServerStatus(
            state="stopping" if self._is_stopping else "loading" if self._model is None else "ready",
            boot_id=self.boot_id,
            server_version=__version__,
            uptime_s=now - self._started_at,
            model=None if self._model is None else self._model.name,
            backend=None if self._model is None else self._model.backend_name,
            active=self._scheduler.num_active,
            queued=self._scheduler.num_queued,
            steps=self._compute.steps,
            seconds_since_step=None if last_step_at is None else now - last_step_at,
            rss_bytes=self._process.memory_info().rss,
            loaded=self._is_loaded,
            backend_note=None if self._model is None else self._model.backend_note,
        )

    def _dispatch(self, route: Route, envelope: Envelope[ClientMessage]) -> None:
        request_id, message = envelope.request_id, envelope.message
        missing = set(envelope.header.requires) - FEATURES
        if missing:
            self._reply(route, request_id, rejection(unsupported_features(missing)))
        elif isinstance(message, Generate | Chat):
            self._scheduler.accept(route, request_id, message, envelope.header)
        elif isinstance(message, Tokenize | Detokenize | GetModelInfo):
            self._ask_model(route, request_id, message)
        elif isinstance(message, Credit):
            self._scheduler.add_credit(route.client, message)
        elif isinstance(message, Bye):
            self._scheduler.end_client(route.client, says_bye=True)
        else:
            self._reply(route, request_id, self._answer(message, route.client))

    def _answer(self, message: Hello | GetStatus | Cancel | Ping, client: bytes) -> ServerMessage:
        if isinstance(message, Hello):
            return self._welcome()
        if isinstance(message, GetStatus):
            return self.status()
        if isinstance(message, Cancel):
            return Cancelling(tuple(filter(self._scheduler.cancel, message.request_ids)))
        expected = self._text.pending
        lost = (id_ for id_ in message.waiting_for if not self._scheduler.answers(id_, client) and id_ not in expected)
        return Pong(self.status(), tuple(lost))

    def _welcome(self) -> Welcome:
        model = self._model
        return Welcome(
            protocol=PROTOCOL_VERSION,
            server_version=__version__,
            boot_id=self.boot_id,
            model=None if model is None else model.name,
            backend=None if model is None else model.backend_name,
            context=None if model is None else model.context,
            features=tuple(sorted(FEATURES)),
            limits=self._limits,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
        )

    def _ask_model(self, route: Route, request_id: bytes, message: Tokenize | Detokenize | GetModelInfo) -> None:
        model = self._model
        if self._is_stopping:
            self._reply(route, request_id, rejection(SERVER_STOPPING))
        elif model is None:
            self._reply(route, request_id, rejection(MODEL_LOADING, retry_after_ms=_MODEL_LOADING_RETRY_MS))
        elif isinstance(message, GetModelInfo):
            self._reply(route, request_id, _model_info(model))
        elif request_id in self._text.pending:
            self._reply(route, request_id, rejection(DUPLICATE_REQUEST))
        elif not self._text.submit(route, request_id, _text_work(model, message)):
            self._reply(route, request_id, rejection(QUEUE_FULL))

    def _reply(self, route: Route, request_id: bytes, message: ServerMessage) -> None:
        if self._outbox.send(route, request_id, message) is Delivery.CLIENT_GONE:
            self._scheduler.end_client(route.client)


def _model_info(model: ServedModel) -> ModelInfo:
    return ModelInfo(
        name=model.name,
        architecture=model.spec.architecture,
        backend=model.backend_name,
        context=model.context,
        threads=model.threads,
        load_s=model.load_s,
        vocab_size=model.spec.vocab_size,
        num_layers=model.spec.num_layers,
        hidden_size=model.spec.hidden_size,
    )


def _text_work(model: ServedModel, message: Tokenize | Detokenize) -> Callable[[], TokenIds | Text]:
    if isinstance(message, Tokenize):
        text, special = message.text, message.special
        return lambda: TokenIds(tuple(model.tokenizer.encode(text, special=special)))
    token_ids = message.token_ids
    return lambda: Text(_detokenized(model, token_ids))


def _detokenized(model: ServedModel, token_ids: Sequence[int]) -> str:
    highest = max(token_ids, default=0)
    if highest >= model.spec.vocab_size:
        raise InvalidRequestError(
            f"There is no token {highest}; the vocabulary has {model.spec.vocab_size}.",
            "Use the ids that this model's tokenizer returns.",
        )
    return model.tokenizer.decode(list(token_ids))
