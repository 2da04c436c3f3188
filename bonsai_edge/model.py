"""A loaded model: text in, text out. The one way in for the Python API, the CLI and the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from bonsai_edge.backend import ModelRunner
from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.sampling import Sampler, SamplingDefaults
from bonsai_edge.engine.token_generation import TokenGeneration
from bonsai_edge.errors import ContextOverflowError, InvalidRequestError, UnsupportedModelError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.generation import (
    FinishReason,
    GenerationEvent,
    GenerationOptions,
    GenerationResult,
    Message,
    TextChunk,
    Timings,
    Usage,
)
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.heap import give_back_free_memory
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.text.chat import encode_chat
from bonsai_edge.text.chat_template import ChatTemplate
from bonsai_edge.text.detokenizer import Detokenizer
from bonsai_edge.text.stop_strings import StopStringFilter
from bonsai_edge.text.tokenizer import Tokenizer

Prompt: TypeAlias = str | Sequence[Message | Mapping[str, str]]


class Model:
    """Made by `bonsai_edge.load`; a context manager.

    Generations may be interleaved and started from several threads: steps run one at a time. From its first event to
    its end a generation holds room for its prompt and `max_tokens` in the KV cache; those that run side by side must
    fit into the context together, or KVCacheFullError is raised.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        plan: MemoryPlan,
        load_runner: Callable[[], ModelRunner],
        *,
        name: str,
        backend_name: str,
    ) -> None:
        self.name = name
        self.backend_name = backend_name
        self.spec = checkpoint.spec
        self.plan = plan
        self.tokenizer = Tokenizer.from_metadata(checkpoint.metadata, self.spec.vocab_size, checkpoint.path)
        self.chat_template = ChatTemplate.from_metadata(checkpoint.metadata, checkpoint.path)
        self.sampling_defaults = SamplingDefaults.from_metadata(checkpoint.metadata, checkpoint.path)
        self.engine = Engine(load_runner())  # last, when nothing of the file can be refused any more
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

    def stream(
        self, prompt: Prompt, options: GenerationOptions, cancelled: Callable[[], bool] | None = None
    ) -> Iterator[GenerationEvent]:
        """Do what `generate` does, with options that are checked already."""
        prompt_ids = self.encode_prompt(prompt)
        if len(prompt_ids) >= self.context:
            raise ContextOverflowError(
                f"The prompt has {len(prompt_ids)} tokens and the context holds {self.context}, answer included.",
                "Shorten the prompt, or load the model with a larger context.",
            )
        sampler = Sampler(options, self.sampling_defaults, self.spec.vocab_size, prompt_ids)
        room = self.context - len(prompt_ids)
        generation = TokenGeneration(
            self.engine,
            prompt_ids,
            sampler,
            min(options.max_tokens, room),
            self.tokenizer.stop_ids,
            cancelled or (lambda: False),
        )
        return self._events(generation, len(prompt_ids), options.stop, sampler.seed)

    def encode_prompt(self, prompt: Prompt) -> list[int]:
        """Return the token ids of a text or of chat messages, at least one."""
        if isinstance(prompt, str):
            token_ids = self.tokenizer.encode(prompt, special=True)
            if self.tokenizer.add_bos and self.tokenizer.bos_id is not None:
                token_ids.insert(0, self.tokenizer.bos_id)
        else:
            token_ids = self._encode_messages(prompt)
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
            )
        with self.engine.sequence(ids.size) as sequence:
            return sequence.logits(ids.tolist())

    def _encode_messages(self, messages: Sequence[Message | Mapping[str, str]]) -> list[int]:
        if self.chat_template is None:
            raise UnsupportedModelError(
                f"{self.name} has no chat template.", "Give the prompt as one text in the form the model expects."
            )
        try:
            turns = msgspec.convert(messages, list[Message])
        except msgspec.ValidationError as exc:
            raise InvalidRequestError(
                f"The messages are not valid: {exc}.", "Give a list of {'role': ..., 'content': ...}."
            ) from exc
        return encode_chat(self.tokenizer, self.chat_template, turns)

    def _events(
        self, generation: TokenGeneration, num_prompt_tokens: int, stop: Sequence[str], seed: int
    ) -> Iterator[GenerationEvent]:
        detokenizer = Detokenizer(self.tokenizer)
        stop_filter = StopStringFilter(stop)
        texts: list[str] = []
        pending_ids: list[int] = []
        finish_reason: FinishReason | None = None

        def chunk(text: str) -> TextChunk:
            event = TextChunk(index=len(texts), text=text, token_ids=list(pending_ids))
            texts.append(text)
            pending_ids.clear()
            return event

        with closing(generation.__iter__()) as token_ids:
            for token_id in token_ids:
                pending_ids.append(token_id)
                text = stop_filter.push(detokenizer.push(token_id))
                if text:
                    yield chunk(text)
                if stop_filter.stopped:
                    finish_reason = "stop"
                    break
        rest = "" if stop_filter.stopped else stop_filter.push(detokenizer.finish()) + stop_filter.finish()
        if rest or pending_ids:
            yield chunk(rest)
        yield self._result(
            generation, "".join(texts), finish_reason or generation.finish_reason, num_prompt_tokens, seed
        )

    def _result(
        self, generation: TokenGeneration, text: str, finish_reason: FinishReason, num_prompt_tokens: int, seed: int
    ) -> GenerationResult:
        return GenerationResult(
            text=text,
            token_ids=generation.token_ids,
            finish_reason=finish_reason,
            usage=Usage(num_prompt_tokens, len(generation.token_ids)),
            timings=Timings(
                load_s=self.load_s,
                prefill_s=generation.prefill_s,
                decode_s=generation.decode_s,
                prefill_tokens_per_s=_speed(generation.num_prefilled, generation.prefill_s),
                decode_tokens_per_s=_speed(generation.num_decode_steps, generation.decode_s),
            ),
            backend=self.backend_name,
            model=self.name,
            seed=seed,
        )


def _speed(num_tokens: int, seconds: float) -> float | None:
    return num_tokens / seconds if num_tokens > 0 and seconds > 0 else None
