"""Names and paths of models."""

from pathlib import Path

import pytest

import bonsai_edge
from bonsai_edge.errors import ModelNotFoundError
from bonsai_edge.model_store import models_directory, resolve_model_path, stored_path
from gguf_files import write_random_model


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty models directory, and another empty one to work in."""
    monkeypatch.setenv("BONSAI_EDGE_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "models"


def test_the_directory_is_the_users_data_directory(monkeypatch):
    monkeypatch.delenv("BONSAI_EDGE_MODELS", raising=False)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name, appauthor: Path("/data") / name)
    assert models_directory() == Path("/data/bonsai-edge/models")


def test_the_directory_may_be_set_and_begin_with_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BONSAI_EDGE_MODELS", "~/robot")
    assert models_directory() == tmp_path / "robot"


def test_a_name_may_have_the_suffix_or_not(store):
    assert stored_path("bonsai-1.7b") == stored_path("bonsai-1.7b.gguf") == store / "bonsai-1.7b.gguf"


@pytest.mark.parametrize("name", ["bonsai-1.7b", "bonsai-1.7b.gguf", "org/repo/file.gguf"])
def test_a_stored_model_is_found_by_name(store, name):
    path = stored_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert resolve_model_path(name) == path


def test_an_existing_file_comes_before_a_stored_model_of_that_name(store):
    (store / "robot.gguf").touch()
    Path("robot.gguf").touch()
    assert resolve_model_path("robot.gguf") == Path("robot.gguf")


def test_a_directory_does_not_hide_a_stored_model(store):
    (store / "robot.gguf").touch()
    Path("robot").mkdir()
    assert resolve_model_path("robot") == store / "robot.gguf"


@pytest.mark.parametrize("path", ["absent.gguf", "some/absent", "./absent", "../absent", "/absent"])
def test_an_absent_path_stays_as_it_is(store, path):
    assert resolve_model_path(path) == Path(path)


def test_an_empty_name_is_refused_as_such(store):
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_model_path("")
    assert caught.value.cause == "The model name is empty."


def test_a_home_that_nobody_has_is_refused(store):
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_model_path("~nosuchuser/x.gguf")
    assert caught.value.cause == "The home directory in '~nosuchuser/x.gguf' cannot be determined."
    assert caught.value.remedy == "Give the path without '~', or set HOME or BONSAI_EDGE_MODELS to a directory."


def test_a_models_directory_in_a_home_that_nobody_has_is_refused(store, monkeypatch):
    monkeypatch.setenv("BONSAI_EDGE_MODELS", "~nosuchuser/models")
    with pytest.raises(ModelNotFoundError, match=r"^The home directory in '~nosuchuser/models' cannot be determined"):
        resolve_model_path("robot")


@pytest.mark.parametrize(("models", "whose"), [("", "of this user"), ("~/models", "in '~/models'")])
def test_a_process_without_a_home_is_told_so(store, monkeypatch, models, whose):
    def find_nobody(user_id):
        raise KeyError(user_id)

    for variable in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", find_nobody)
    monkeypatch.setenv("BONSAI_EDGE_MODELS", models)
    with pytest.raises(ModelNotFoundError, match=f"^The home directory {whose} cannot be determined"):
        resolve_model_path("robot")


def test_a_name_longer_than_any_files_is_refused(store):
    with pytest.raises(
        ModelNotFoundError, match=r"^The model file 'a{200}' cannot be looked up: File name too long\."
    ) as caught:
        resolve_model_path("a" * 5000)
    assert caught.value.remedy == "Check the path."


def test_nothing_outside_the_directory_has_a_name(store):
    (store.parent / "secret.gguf").touch()
    assert resolve_model_path("../models/../secret") == Path("../models/../secret")


def test_a_name_that_is_not_there_is_refused_with_the_command_that_fetches_it(store):
    with pytest.raises(ModelNotFoundError) as caught:
        bonsai_edge.load("bonsai-1.7b")
    assert caught.value.cause == f"There is no model 'bonsai-1.7b' in {store}, and no file of that name."
    assert caught.value.remedy == (
        "Run `bonsai-edge pull bonsai-1.7b` to fetch it; `bonsai-edge models` lists the names."
    )


def test_load_takes_a_name(store):
    write_random_model(store / "bonsai-1.7b.gguf")
    with bonsai_edge.load("bonsai-1.7b", backend="reference", context=32) as model:
        assert model.name == "bonsai-1.7b"
