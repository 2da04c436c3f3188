"""The published models that `pull` knows by name: where they are, what they must hash to, and what they must answer.

Files, sizes, revisions and digests are those of the public repositories `prism-ml/Bonsai-*-gguf` on Hugging Face. The
known answers are the float32 results that bitgpu (github.com/stfurkan/bitgpu) publishes as its test fixtures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_hub.errors import NoKnownAnswersError, UnknownModelError


@dataclass(frozen=True)
class KnownAnswer:
    """A prompt as text and as token ids, and the tokens that greedy decoding appends to it."""

    prompt: str
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


@dataclass(frozen=True)
class HubFile:
    """A file on the hub at a revision; `digests` are the SHA-256 it may have, empty when only the hub can tell."""

    name: str
    repository: str
    filename: str
    revision: str = "main"
    num_bytes: int | None = None
    digests: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublishedModel:
    """A model of the catalogue; the number of layers and the hidden size tell it from the others."""

    file: HubFile
    num_layers: int
    hidden_size: int
    known_answers: tuple[KnownAnswer, ...]

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.file.name


_CAPITALS = "The capital of France is Paris. The capital of Japan is"
_CAPITALS_IDS = (785, 6722, 315, 9625, 374, 12095, 13, 576, 6722, 315, 6323, 374)


def _capitals(answer_ids: str) -> tuple[KnownAnswer, ...]:
    return (KnownAnswer(_CAPITALS, _CAPITALS_IDS, tuple(map(int, answer_ids.split()))),)


PUBLISHED_MODELS: tuple[PublishedModel, ...] = (
    PublishedModel(
        HubFile(
            name="bonsai-1.7b",
            repository="prism-ml/Bonsai-1.7B-gguf",
            filename="Bonsai-1.7B-Q1_0.gguf",
            revision="210a9e99f79cb184909d49595906526eb2b3dd9a",
            num_bytes=248_302_272,
            digests=("3d7c6c90dd98717a203adb22d5eacd2581850e40aa5327e144b97766cae5f7e3",),
        ),
        num_layers=28,
        hidden_size=2048,
        # Tokyo, Washington, D.C., London, Amsterdam
        known_answers=_capitals(
            "26194 13 576 6722 315 279 3639 4180 374 6515 11 422 727 13 576 6722 "
            "315 279 3639 15072 374 7148 13 576 6722 315 279 25662 374 37741 13 576"
        ),
    ),
    PublishedModel(
        HubFile(
            name="bonsai-4b",
            repository="prism-ml/Bonsai-4B-gguf",
            filename="Bonsai-4B-Q1_0.gguf",
            revision="78f2c2bacd0904ffaba24b4873ed975e5818354a",
            num_bytes=572_270_624,
            digests=("4524b3f997f0f06444e568d1f26e2efd69effa3218c7ad3047432fb171e42168",),
        ),
        num_layers=36,
        hidden_size=2560,
        # Tokyo, Washington, D.C., London, Canberra
        known_answers=_capitals(
            "26194 13 576 6722 315 279 3639 4180 374 6515 11 422 727 13 576 6722 "
            "315 279 3639 15072 374 7148 13 576 6722 315 8330 374 68790 13 576 6722"
        ),
    ),
    PublishedModel(
        HubFile(
            name="bonsai-8b",
            repository="prism-ml/Bonsai-8B-gguf",
            filename="Bonsai-8B-Q1_0.gguf",
            revision="48516770dd04643643e9f9019a2a349cf26c5dbd",
            num_bytes=1_158_654_496,
            digests=(
                "284a335aa3fb2ced3b1b01fcb40b08aa783e3b70832767f0dd2e3fdfa134bd54",
                "ead25897bc034fa52569d0c6d054ce38216f95db09900c8add8f6bbfb370cff1",  # an earlier upload, same size
            ),
        ),
        num_layers=36,
        hidden_size=4096,
        # Tokyo, Berlin, Washington, D.C., Ottawa
        known_answers=_capitals(
            "26194 13 576 6722 315 9856 374 19846 13 576 6722 315 279 3639 4180 374 "
            "6515 11 422 727 13 576 6722 315 6864 374 32166 13 576 6722 315 8330"
        ),
    ),
)

_HUB_FILE = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)/(?P<filename>(?:\w[\w.-]*/)*\w[\w.-]*\.gguf)", re.ASCII)


def find_hub_file(name: str) -> HubFile:
    """Return the file that a name of the catalogue or `org/repo/file.gguf` stands for; raises UnknownModelError."""
    for model in PUBLISHED_MODELS:
        if model.name == name:
            return model.file
    match = _HUB_FILE.fullmatch(name)
    if match is None:
        raise UnknownModelError(
            f"There is no published model {name!r}.", f"Give one of {_known_names()}, or a file as org/repo/file.gguf."
        )
    return HubFile(name, match["repository"], match["filename"])


def recognize(spec: ModelSpec) -> PublishedModel:
    """Return the published model of this shape; raises NoKnownAnswersError."""
    for model in PUBLISHED_MODELS:
        if (model.num_layers, model.hidden_size) == (spec.num_layers, spec.hidden_size):
            return model
    raise NoKnownAnswersError(
        f"No answers are published for {spec.name}, a model of {spec.num_layers} layers and hidden size "
        f"{spec.hidden_size}.",
        f"There are some for {_known_names()}.",
    )


def _known_names() -> str:
    return ", ".join(model.name for model in PUBLISHED_MODELS)
