"""What lies in the models directory, and under which names it can be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bonsai_edge.model_store import models_directory, resolve_model_path
from bonsai_edge_hub import catalogue
from bonsai_edge_hub.digests import noted_digest


@dataclass(frozen=True)
class StoredModel:
    """A model that a name stands for; `verified` says that its content was found to be what was published."""

    name: str
    path: str
    bytes: int
    sha256: str | None
    verified: bool


def list_stored_models() -> list[StoredModel]:
    """Return the model inside the package, then the files of the models directory by name."""
    embedded = resolve_model_path("seedling")
    directory = models_directory()
    found = sorted((_name_of(path.relative_to(directory)), path) for path in directory.rglob("*.gguf"))
    return [
        StoredModel("seedling", str(embedded), embedded.stat().st_size, None, verified=False),
        *(_describe(name, path) for name, path in found),
    ]


def _name_of(path: Path) -> str:
    """Return `name` for `name.gguf`, and `org/repo/file.gguf` for what was fetched under that name."""
    return path.stem if len(path.parts) == 1 else path.as_posix()


def _describe(name: str, path: Path) -> StoredModel:
    digest = noted_digest(path)
    published = {model.name: model.file.digests for model in catalogue.PUBLISHED_MODELS}
    verified = digest is not None and digest in published.get(name, (digest,))
    return StoredModel(name, str(path), path.stat().st_size, digest, verified)
