"""What every message of a client means, on the network thread: answered here, or handed to the right one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from bonsai_edge.errors import BonsaiError, BusyError, InvalidRequestError, ProtocolError
from bonsai_edge.rpc.codec import Envelope, decode_client_message, request_id_of
from bonsai_edge.rpc.desk import Desk
from bonsai_edge.rpc.job import Route
from bonsai_edge.rpc.messages import (
    FEATURES,
    Bye,
    Chat,
    ClientMessage,
    Credit,
    Detokenize,
    ErrorMessage,
    Generate,
    GetModelInfo,
    ModelInfo,
    Rejected,
    ServerMessage,
    Text,
    TokenIds,
    Tokenize,
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
from bonsai_edge.rpc.scheduler_control import SchedulerControl
from bonsai_edge.rpc.security.access import Access
from bonsai_edge.rpc.security.receiving import Received
from bonsai_edge.rpc.served_model import ServedModel
from bonsai_edge.rpc.text_thread import TextDone, TextThread

logger = logging.getLogger(__name__)

_MODEL_LOADING_RETRY_MS = 1_000


class Service:
    """Receives messages one at a time; nothing here waits for the model or for a client."""

    def __init__(
        self,
        desk: Desk,
        text: TextThread,
        scheduler: Scheduler,
        requests: SchedulerControl,
        outbox: Outbox,
        access: Access,
    ) -> None:
        self._desk = desk
        self._text = text
        self._scheduler = scheduler
        self._requests = requests
        self._outbox = outbox
        self._access = access

    def start(self, model: ServedModel) -> None:
        """Answer with a model from now on."""
        self._desk.model = model
        self._desk.is_loaded = True
        self._requests.note_loaded()
        self._scheduler.start(model)

    def note_unloaded(self) -> None:
        """Tell from now on that the model is not in memory; questions about it and texts are answered as before."""
        self._desk.is_loaded = False
        self._requests.note_unloaded()
        self._scheduler.note_unloaded()

    def drain(self) -> None:
        """Reject new requests, and let those that were accepted go on."""
        self._desk.is_stopping = True
        self._requests.drain()

    def stop(self) -> None:
        """End all requests and reject new ones."""
        self._desk.is_stopping = True
        self._scheduler.stop()

    def give_up(self, problem: ErrorMessage) -> None:
        """End all requests with a problem and reject new ones."""
        self._requests.end_all(problem)
        self.stop()

    def receive(self, received: Received) -> None:
        """Act on what the ROUTER received."""
        route, frames = received.route, received.frames
        try:
            envelope = decode_client_message(frames)
            problem = self._access.refusal(received.user, route, envelope)
            if problem is None:
                self._dispatch(route, envelope)
            else:
                self._reply(route, envelope.request_id, self._rejection(problem))
        except ProtocolError as exc:
            self._reply(route, request_id_of(frames), problem_of(exc))
        except BonsaiError as exc:
            self._reply(route, request_id_of(frames), rejection(problem_of(exc)))
        except Exception:
            logger.exception("A message could not be handled.")
            self._reply(route, request_id_of(frames), INTERNAL_ERROR)

    def take_text(self, done: TextDone) -> None:
        """Pass on an answer of the text thread."""
        self._text.pending.discard(done.request_id)
        self._reply(done.route, done.request_id, done.answer)

    def _dispatch(self, route: Route, envelope: Envelope[ClientMessage]) -> None:
        request_id, message = envelope.request_id, envelope.message
        missing = set(envelope.header.requires) - FEATURES
        if missing:
            self._reply(route, request_id, rejection(unsupported_features(missing)))
        elif isinstance(message, Generate | Chat):
            self._requests.accept(route, request_id, message, envelope.header)
        elif isinstance(message, Tokenize | Detokenize | GetModelInfo):
            self._ask_model(route, request_id, message)
        elif isinstance(message, Credit):
            self._scheduler.add_credit(route.client, message)
        elif isinstance(message, Bye):
            self._scheduler.end_client(route.client, says_bye=True)
        else:
            answer = self._desk.answer(message, route.client)
            self._requests.finish()  # the place of what was cancelled is free when its client hears of it
            self._reply(route, request_id, answer)

    def _ask_model(self, route: Route, request_id: bytes, message: Tokenize | Detokenize | GetModelInfo) -> None:
        model = self._desk.model
        if self._desk.is_stopping:
            self._reply(route, request_id, rejection(SERVER_STOPPING))
        elif model is None:
            self._reply(route, request_id, rejection(MODEL_LOADING, retry_after_ms=_MODEL_LOADING_RETRY_MS))
        elif isinstance(message, GetModelInfo):
            self._reply(route, request_id, _model_info(model))
        elif request_id in self._text.pending:
            self._reply(route, request_id, rejection(DUPLICATE_REQUEST))
        elif not self._text.submit(route, request_id, _text_work(model, message)):
            self._reply(route, request_id, self._rejection(QUEUE_FULL))

    def _rejection(self, problem: ErrorMessage) -> Rejected:
        is_busy = problem.code == BusyError.code
        return rejection(problem, retry_after_ms=self._scheduler.retry_after_ms() if is_busy else None)

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
