"""Where models are kept on this machine, and how a name becomes a file. Knows no network."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path, PurePath

import platformdirs

from bonsai_edge.errors import ModelNotFoundError

MODELS_VARIABLE = "BONSAI_EDGE_MODELS"
"""The environment variable that names another models directory."""

_EMBEDDED_MODELS = {"seedling": "seedling.gguf"}
_SUFFIX = ".gguf"


def models_directory() -> Path:
    """Return the directory of fetched models, which need not exist.

    Raises ModelNotFoundError if it lies in a home directory that cannot be determined.
    """
    chosen = os.environ.get(MODELS_VARIABLE)
    if chosen:
        return _expand_user(chosen)
    try:
        return platformdirs.user_data_path("bonsai-edge", appauthor=False).expanduser() / "models"
    except RuntimeError as exc:
        raise _home_unknown("of this user") from exc


def stored_path(name: str) -> Path:
    """Return the file that a name has in the models directory, there or not; the suffix `.gguf` may be left out."""
    return models_directory() / (name if name.endswith(_SUFFIX) else name + _SUFFIX)


def resolve_model_path(path_or_name: str | os.PathLike[str]) -> Path:
    """Return the file of an embedded model, an existing path, or a model of that name in the models directory.

    Raises ModelNotFoundError for a plain name that is none of them, an empty one, and a path that the system refuses
    to look up; a path that does not exist is returned as it is, for the reader of the file to refuse.
    """
    name = os.fspath(path_or_name)
    if not name:
        raise ModelNotFoundError("The model name is empty.", "Give the path of a .gguf file or the name of a model.")
    if name in _EMBEDDED_MODELS:
        return Path(str(files("bonsai_edge") / "data" / _EMBEDDED_MODELS[name]))
    path = _expand_user(name)
    if _is_file(path) or not _may_be_name(name):
        return path
    stored = stored_path(name)
    if _is_file(stored):
        return stored
    if "/" not in name and not name.endswith(_SUFFIX) and not path.exists():
        raise ModelNotFoundError(
            f"There is no model {name!r} in {models_directory()}, and no file of that name.",
            f"Run `bonsai-edge pull {name}` to fetch it; `bonsai-edge models` lists the names.",
        )
    return path


def _expand_user(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as exc:
        raise _home_unknown(f"in {path!r}") from exc


def _home_unknown(whose: str) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"The home directory {whose} cannot be determined.",
        f"Give the path without '~', or set HOME or {MODELS_VARIABLE} to a directory.",
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as exc:  # a name that is too long, a directory that may not be entered
        raise ModelNotFoundError(
            f"The model file {str(path)[:200]!r} cannot be looked up: {exc.strerror}.", "Check the path."
        ) from exc


def _may_be_name(name: str) -> bool:
    """Return whether this is more than a path: `./x`, `~/x`, `/x` and `x/../y` are nothing else."""
    return not name.startswith((".", "~", "/")) and ".." not in PurePath(name).parts
