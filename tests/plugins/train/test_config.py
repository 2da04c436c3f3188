"""The configuration: strict, and every mistake is one sentence that names the key."""

import sys

import pytest

if sys.version_info < (3, 11):
    pytest.importorskip("tomli", reason="needs the extra `train`")

from bonsai_edge_train.config import RECIPES, find_config, read_config, recipe_names
from bonsai_edge_train.errors import TrainingConfigError


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipe_is_valid(name):
    config = read_config(find_config(name))
    assert config.name == name
    assert config.run.directory == f"runs/{name}"


def test_the_shipped_recipes():
    assert recipe_names() == ["ablation-float32", "ablation-q1_0", "seedling"]
    assert find_config("seedling") == RECIPES / "seedling.toml"


def test_the_ablations_differ_in_weights_and_learning_rate_only():
    floats, bits = (read_config(find_config(f"ablation-{weights}")) for weights in ("float32", "q1_0"))
    assert (floats.model.weights, bits.model.weights) == ("float32", "q1_0")
    assert floats.training == bits.training
    assert floats.data == bits.data
    assert floats.schedule == bits.schedule
    shapes = [(m.vocab_size, m.hidden_size, m.intermediate_size, m.num_layers) for m in (floats.model, bits.model)]
    assert shapes[0] == shapes[1]


def test_a_configuration_is_found_by_its_path(write_config):
    path = write_config()
    assert find_config(str(path)) == path
    assert read_config(path).model.hidden_size == 128


def test_a_missing_file_lists_the_recipes():
    with pytest.raises(TrainingConfigError) as caught:
        find_config("nothing.toml")
    assert str(caught.value) == (
        "There is no configuration file at nothing.toml. Check the path, or name a shipped recipe: "
        "ablation-float32, ablation-q1_0, seedling."
    )


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"model": {"hiden_size": 256}}, "Object contains unknown field `hiden_size` in `model`."),
        ({"training": {"accumulation": True}}, "Expected `int`, got `bool` in `training.accumulation`."),
        ({"training": {"accumulation": 0}}, "Expected `int` >= 1 in `training.accumulation`."),
        ({"optimizer": {"learning_rate": "fast"}}, "Expected `float`, got `str` in `optimizer.learning_rate`."),
        ({"run": {"device": "tpu"}}, "Invalid enum value 'tpu' in `run.device`."),
        ({"wings": {"span_m": 2}}, "Object contains unknown field `wings`."),
        ({"model": {"head_dim": 32}}, "Expected `num_heads * head_dim` to be a multiple of 128, got 64 in `model`."),
        ({"data": {"generator": "robot-commands"}}, "Expected either `generator` or `train` in `data`."),
        ({"schedule": {"kind": "wsd"}}, 'Expected `decay_steps` with `kind = "wsd"`, and only there in `schedule`.'),
        (
            {"schedule": {"kind": "wsd", "decay_steps": 7}},
            "Expected `schedule.warmup_steps` and `decay_steps` to fit into `training.steps`.",
        ),
    ],
)
def test_a_mistake_is_named(write_config, changes, cause):
    path = write_config(**changes)
    with pytest.raises(TrainingConfigError) as caught:
        read_config(path)
    assert caught.value.cause == f"{path}: {cause}"


def test_what_is_not_toml_is_refused(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("steps = = 3")
    with pytest.raises(TrainingConfigError, match=r"broken\.toml is not TOML: "):
        read_config(path)
