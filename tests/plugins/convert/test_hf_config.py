"""`config.json`: both spellings of RoPE scaling, and refusals of what cannot be carried."""

import json

import pytest

from bonsai_edge.errors import MalformedModelError, ModelNotFoundError, UnsupportedModelError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.model_spec import YarnScaling
from bonsai_edge_convert.hf_config import read_config, read_spec, write_pack_config

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}


@pytest.fixture
def read(make, tmp_path):
    """Return a function that reads the config of a random model with some fields changed; None removes one."""
    config = make.config(make.gguf())

    def run(**changes):
        path = tmp_path / "tiny" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({k: v for k, v in (config | changes).items() if v is not None}))
        return read_spec(read_config(path), path)

    return run


def test_the_spec_is_that_of_the_gguf_file_with_the_same_values(make, read):
    expected = open_checkpoint(make.gguf("expected.gguf")).spec
    found = read()
    assert found.name == "tiny"
    assert {k: v for k, v in vars(found).items() if k != "name"} == {
        k: v for k, v in vars(expected).items() if k != "name"
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_scaling": YARN},
        {"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 1024}},
        {"rope_scaling": None, "rope_parameters": YARN},
        {"rope_scaling": None, "rope_theta": None, "rope_parameters": {**YARN, "rope_theta": 1e6}},
        {"rope_parameters": {**YARN, "rope_theta": 1e6}},
        {"rope_scaling": {**YARN, "beta_fast": 32, "beta_slow": 1.0, "attention_factor": 1.1386294361119891}},
    ],
    ids=json.dumps,
)
def test_all_spellings_of_yarn_are_read(read, changes):
    spec = read(**changes)
    assert spec.yarn == YarnScaling(factor=4.0, original_context_length=1024)
    assert spec.rope_base == 1e6


def test_an_mlx_pack_may_name_its_quantization_twice(read):
    quantization = {"bits": 1, "group_size": 128, "mode": "affine"}
    assert read(quantization=quantization, quantization_config=quantization).num_layers == 1


@pytest.mark.parametrize("scaling", [None, {"rope_type": "default"}, {"rope_theta": 1e6, "rope_type": "default"}])
def test_models_without_scaling_are_read(read, scaling):
    assert read(rope_scaling=scaling).yarn is None


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"model_type": "llama"}, "has the model_type 'llama'; supported is 'qwen3'."),
        ({"model_type": None}, "has the model_type None; supported is 'qwen3'."),
        ({"hidden_act": "gelu"}, "has hidden_act = 'gelu'; supported is 'silu'."),
        ({"attention_bias": True}, "has attention_bias = True; supported is False."),
        ({"use_sliding_window": True}, "has use_sliding_window = True; supported is False."),
        ({"hidden_size": 192}, "gives matrices of 192 columns; supported are multiples of 128."),
        ({"rope_scaling": {**YARN, "rope_type": "linear"}}, "scales RoPE by 'linear'; supported are 'default' and"),
        ({"rope_scaling": {**YARN, "mscale": 1.0}}, "has the RoPE parameter 'mscale', which is not supported."),
        ({"rope_scaling": {**YARN, "beta_fast": 16}}, "has the RoPE parameter beta_fast = 16; supported is 32."),
        ({"rope_scaling": {**YARN, "attention_factor": 1.0}}, "attention_factor = 1.0; supported is 1.13863."),
        ({"quantization_config": {"quant_method": "fp8"}}, "has a quantization_config, so its weights are packed"),
        ({"quantization": {"bits": 4, "group_size": 64}}, 'has the quantization {"bits": 4, "group_size": 64}; '),
        ({"quantization": {"bits": 1, "group_size": 128, "lm_head": False}}, 'supported is {"group_size": 128, "bits"'),
    ],
    ids=str,
)
def test_what_cannot_be_carried_is_refused(read, changes, cause):
    with pytest.raises(UnsupportedModelError) as raised:
        read(**changes)
    assert cause in raised.value.cause


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"head_dim": None}, "Object missing required field `head_dim`"),
        ({"num_hidden_layers": "2"}, "Expected `int`, got `str` - at `$.num_hidden_layers`"),
        ({"num_hidden_layers": 10**6}, "Expected `int` <= 1024 - at `$.num_hidden_layers`"),
        ({"rope_theta": None}, "has rope_theta None; expected a number from 1 to 1e12."),
        ({"rope_parameters": {**YARN, "factor": 2.0}}, "contradicts itself about RoPE."),
        ({"rope_parameters": {**YARN, "rope_theta": 5e6}}, "contradicts itself about RoPE."),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "needs factor and original_max_position_embeddings"),
    ],
    ids=str,
)
def test_contradictions_and_missing_fields_are_refused(read, changes, cause):
    with pytest.raises(MalformedModelError) as raised:
        read(**changes)
    assert cause in raised.value.cause


def test_a_missing_or_broken_config_is_refused(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"There is no .*config\.json"):
        read_config(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(MalformedModelError, match="cannot be understood"):
        read_config(tmp_path / "config.json")


@pytest.mark.parametrize("yarn", [True, False])
def test_a_written_config_is_read_as_the_same_spec(make, tmp_path, yarn):
    spec = open_checkpoint(make.gguf(f"{tmp_path.name}.gguf", yarn=yarn, extra_metadata={"general.name": "tiny"})).spec
    path = tmp_path / "tiny" / "config.json"
    path.parent.mkdir()
    write_pack_config(path, spec, {"eos_token_id": 3})
    config = json.loads(path.read_text())
    assert read_spec(read_config(path), path) == spec
    assert config["rms_norm_eps"] == 1e-6
    assert config["quantization"] == {"group_size": 128, "bits": 1}
    assert config["eos_token_id"] == 3
