"""A loaded model: text in, text out. The one way in for the Python API, the CLI and the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from types import TracebackType
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import ModelRunner
from bonsai_edge.engine.context_shift import ShiftedContext
from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.pins import PinnedPrefixes
from bonsai_edge.engine.sampling import Sampler, SamplingDefaults
from bonsai_edge.engine.token_generation import TokenGeneration
from bonsai_edge.errors import BonsaiError, ContextOverflowError, InvalidRequestError, UnsupportedModelError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.generation import GenerationEvent, GenerationOptions, GenerationResult, Message
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.heap import give_back_free_memory
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.sessions.fingerprint import Fingerprint, take_fingerprint, tokenizer_digest
from bonsai_edge.sessions.model_sessions import ModelSessions, RestoredSession
from bonsai_edge.sessions.store import SavedSession, SessionStore, user_store
from bonsai_edge.text.answer import AnswerText
from bonsai_edge.text.chat import encode_chat
from bonsai_edge.text.chat_template import ChatTemplate
from bonsai_edge.text.overflow import fit_prompt
from bonsai_edge.text.tokenizer import Tokenizer
from bonsai_edge.text_generation import Events, Origin, TextGeneration, advance_texts

Prompt: TypeAlias = str | Sequence[Message | Mapping[str, str]]


class Model:
    """Made by `bonsai_edge.load`; a context manager.

    Generations may be interleaved and started from several threads: steps run one at a time. From its first event to
    its end a generation holds room for its prompt and `max_tokens` in the KV cache; those that run side by side must
    fit into the cache together, or KVCacheFullError is raised. A prompt that begins like an earlier one, or like one
    that is still running, shares its pages and computes only the rest.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        plan: MemoryPlan,
        load_runner: Callable[[], ModelRunner],
        *,
        name: str,
        backend_name: str,
        backend_note: str | None = None,
    ) -> None:
        self.name = name
        self.backend_name = backend_name
        self.backend_note = backend_note
        self.spec = checkpoint.spec
        self.plan = plan
        self._tokenizer_digest = tokenizer_digest(checkpoint.metadata)
        self.tokenizer = Tokenizer.from_metadata(checkpoint.metadata, self.spec.vocab_size, checkpoint.path)
        self.chat_template = ChatTemplate.from_metadata(checkpoint.metadata, checkpoint.path)
        self.sampling_defaults = SamplingDefaults.from_metadata(checkpoint.metadata, checkpoint.path)
        self.engine = Engine(load_runner())  # last, when nothing of the file can be refused any more
        self._pins = PinnedPrefixes(self.engine)
        self.load_s = 0.0

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the backend's threads and memory; what is asked of the model afterwards is refused."""
        self.engine.close()
        give_back_free_memory()

    @property
    def context(self) -> int:
        """Tokens that prompt and answer may have together."""
        return self.plan.context

    @property
    def kv_type(self) -> KVType:
        """What keys and values are kept as."""
        return self.plan.kv_type

    @property
    def threads(self) -> int:
        """Threads that the backend computes with."""
        return self.engine.runner.num_threads

    def generate(
        self, prompt: Prompt, *, cancelled: Callable[[], bool] | None = None, **options: Any
    ) -> Iterator[GenerationEvent]:
        """Stream the answer to a text or to chat messages: `TextChunk`s, and last the `GenerationResult`.

        A text goes to the model as it is; messages go through the model's chat template. `options` are the fields of
        `GenerationOptions`. `cancelled` is asked before every step. Closing the iterator ends the generation.
        Raises InvalidRequestError and ContextOverflowError at once, before the first event is asked for.
        """
        return self.stream(prompt, GenerationOptions.from_keywords(options), cancelled)

    def generate_text(
        self, prompt: Prompt, *, cancelled: Callable[[], bool] | None = None, **options: Any
    ) -> GenerationResult:
        """Return just the last event of `generate`."""
        for event in self.generate(prompt, cancelled=cancelled, **options):
            if isinstance(event, GenerationResult):
                return event
        raise AssertionError("a generation ends with its result")

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What the pages of the KV cache depend on; reads all weights when first asked for."""
        return take_fingerprint(self.engine.runner, self.backend_name, self._tokenizer_digest)

    def sessions(self, store: SessionStore | None = None) -> ModelSessions:
        """Return the conversations of this model that are kept on disk, in a store or in the user's own."""
        return ModelSessions(self, store or user_store())

    def save_session(self, name: str, prompt: Prompt | Sequence[int]) -> SavedSession:
        """Do what `ModelSessions.save` does, in the user's own store."""
        return self.sessions().save(name, prompt)

    def restore_session(self, name: str) -> RestoredSession:
        """Do what `ModelSessions.restore` does, from the user's own store."""
        return self.sessions().restore(name)

    def stream(
        self, prompt: Prompt, options: GenerationOptions, cancelled: Callable[[], bool] | None = None
    ) -> Iterator[GenerationEvent]:
        """Do what `generate` does, with options that are checked already."""
        return self._run_alone(self.begin(prompt, options, cancelled))

    def begin(
        self, prompt: Prompt, options: GenerationOptions, cancelled: Callable[[], bool] | None = None
    ) -> TextGeneration:
        """Check and tokenize a prompt, and return the answer to it, of which nothing is computed yet.

        May be called by another thread than `advance`. Raises InvalidRequestError and ContextOverflowError.
        """
        fitted = fit_prompt(
            prompt if isinstance(prompt, str) else _checked_messages(prompt),
            options,
            context=self.context,
            tokenizer=self.tokenizer,
            encode=self.encode_prompt,
        )
        sampler = Sampler(options, self.sampling_defaults, self.spec.vocab_size, fitted.token_ids)
        shifted = ShiftedContext(self.context, fitted.num_sink_tokens) if options.on_overflow == "shift" else None
        tokens = TokenGeneration(
            self.engine,
            fitted.token_ids,
            sampler,
            fitted.max_tokens,
            self.tokenizer.stop_ids,
            cancelled or (lambda: False),
            shifted,
            options,
        )
        origin = Origin(self.name, self.backend_name, self.load_s, sampler.seed, self.backend_note)
        return TextGeneration(tokens, AnswerText(self.tokenizer, options.stop), fitted, origin)

    def advance(self, generations: Sequence[TextGeneration]) -> list[Events]:
        """Bring several answers, opened and not finished, one step on; a token or a piece of a prompt each.

        The tokens of each are those that it would get alone.
        """
        return advance_texts(self.engine, generations)

    def pin(self, name: str, prefix: Prompt) -> int:
        """Keep what many prompts begin with in the KV cache under a name, and return how many tokens it has.

        `prefix` is a text, or the first messages of a chat. It is computed at once; its whole pages of 32 tokens are
        kept until `unpin`, whatever else needs memory. A prefix of that name is replaced. Raises ContextOverflowError
        if no prompt could follow it and KVCacheFullError if the cache has no room for it now.
        """
        prefix_ids = self.encode_prompt(prefix, add_generation_prompt=False)
        if len(prefix_ids) >= self.context:
            raise ContextOverflowError(
                f"The prefix has {len(prefix_ids)} tokens and the context holds {self.context}, prompt and answer "
                "included.",
                "Shorten the prefix, or load the model with a larger context.",
                prompt_tokens=len(prefix_ids),
                limit=self.context,
                max_tokens=1,
            )
        self._pins.pin(name, prefix_ids)
        return len(prefix_ids)

    def unpin(self, name: str) -> None:
        """Let a pinned prefix be forgotten when its memory is needed; raises InvalidRequestError for unknown names."""
        self._pins.unpin(name)

    @property
    def pins(self) -> Mapping[str, int]:
        """The pinned prefixes: how many tokens each has."""
        return self._pins.num_tokens

    def encode_prompt(self, prompt: Prompt, *, add_generation_prompt: bool = True) -> list[int]:
        """Return the token ids of a text or of chat messages, at least one.

        `add_generation_prompt` opens the assistant's turn after messages.
        """
        if isinstance(prompt, str):
            token_ids = self.tokenizer.encode(prompt, special=True)
            if self.tokenizer.add_bos and self.tokenizer.bos_id is not None:
                token_ids.insert(0, self.tokenizer.bos_id)
        elif self.chat_template is None:
            raise UnsupportedModelError(
                f"{self.name} has no chat template.", "Give the prompt as one text in the form the model expects."
            )
        else:
            token_ids = encode_chat(
                self.tokenizer,
                self.chat_template,
                _checked_messages(prompt),
                add_generation_prompt=add_generation_prompt,
            )
        if not token_ids:
            raise InvalidRequestError("The prompt is empty.", "Give at least one character.")
        return token_ids

    def logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Run a fresh sequence and return the logits after each token, float32 (len(token_ids), vocab_size).

        Raises InvalidRequestError for ids outside the vocabulary and ContextOverflowError for too many.
        """
        ids = np.asarray(token_ids)
        is_list = ids.ndim == 1 and ids.size > 0 and ids.dtype.kind in "iu"
        if not is_list or ids.min() < 0 or ids.max() >= self.spec.vocab_size:
            raise InvalidRequestError(
                f"Token ids must be a list of integers from 0 to {self.spec.vocab_size - 1}, at least one.",
                "Use the ids that this model's tokenizer returns.",
            )
        if ids.size > self.context:
            raise ContextOverflowError(
                f"The sequence has {ids.size} tokens and the context holds {self.context}.",
                "Load the model with a larger context.",
                prompt_tokens=ids.size,
                limit=self.context,
                max_tokens=0,
            )
        with self.engine.sequence(ids.size) as sequence:
            return sequence.logits(ids.tolist())

    def _run_alone(self, generation: TextGeneration) -> Iterator[GenerationEvent]:
        with closing(generation):
            generation.open()
            while not generation.is_finished:
                (events,) = self.advance([generation])
                if isinstance(events, BonsaiError):
                    raise events
                yield from events


def _checked_messages(messages: Sequence[Message | Mapping[str, str]]) -> list[Message]:
    try:
        return msgspec.convert(messages, list[Message])
    except msgspec.ValidationError as exc:
        raise InvalidRequestError(
            f"The messages are not valid: {exc}.", "Give a list of {'role': ..., 'content': ...}."
        ) from exc
