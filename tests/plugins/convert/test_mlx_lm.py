"""The packs that we write, run by mlx_lm: the same tokens and nearly the same logits."""

import warnings
from importlib.resources import files

import numpy as np
import pytest

from agreement import compare_logits
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.text.tokenizer import Tokenizer
from bonsai_edge_convert.conversion import convert
from gguf_files import CHATML_TEMPLATE, write_random_model

pytestmark = pytest.mark.peer

LEAST_COSINE = 0.9995
TEXT = "drive 2 meters to the kitchen, it's behind you\n\n and pick up the red mug left of the laptop, please"


@pytest.fixture(scope="module")
def mlx():
    """Import mlx and mlx_lm; their imports warn of things that are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        core = pytest.importorskip("mlx.core", reason="mlx is not installed (pip install 'mlx[cpu]>=0.32.4')")
        lm = pytest.importorskip("mlx_lm", reason="mlx_lm is not installed (pip install mlx-lm)")
    return core, lm


@pytest.fixture(params=["seedling", "random", "untied"])
def gguf(request, tmp_path):
    if request.param == "seedling":
        return files("bonsai_edge") / "data" / "seedling.gguf"
    return write_random_model(tmp_path / "random.gguf", tied=request.param == "random", layers=3)


@pytest.mark.filterwarnings("ignore")
def test_a_written_pack_runs_in_mlx_lm_with_the_same_logits(mlx, gguf, tmp_path, logits_of):
    mx, mlx_lm = mlx
    convert(gguf, tmp_path / "pack")
    model, tokenizer = mlx_lm.load(str(tmp_path / "pack"))
    checkpoint = open_checkpoint(gguf)
    token_ids = Tokenizer.from_metadata(checkpoint.metadata, checkpoint.spec.vocab_size, gguf).encode(TEXT)
    assert tokenizer.encode(TEXT) == token_ids
    assert tokenizer.decode(token_ids) == TEXT
    assert checkpoint.metadata["tokenizer.ggml.eos_token_id"] in tokenizer.eos_token_ids
    found = np.array(model(mx.array([token_ids]))[0].astype(mx.float32))
    agreement = compare_logits(logits_of(gguf, token_ids), found)
    assert agreement.least_cosine >= LEAST_COSINE, str(agreement)


@pytest.mark.filterwarnings("ignore")
def test_float16_norms_make_mlx_compute_in_float16_and_still_agree(mlx, make, tmp_path, logits_of):
    mx, mlx_lm = mlx
    gguf = make.gguf(layers=3)
    convert(make.pack(gguf), tmp_path / "rounded.gguf")
    convert(tmp_path / "rounded.gguf", tmp_path / "half")
    model, tokenizer = mlx_lm.load(str(tmp_path / "half"))
    token_ids = tokenizer.encode(TEXT)
    logits = model(mx.array([token_ids]))[0]
    assert logits.dtype == mx.float16
    agreement = compare_logits(logits_of(tmp_path / "rounded.gguf", token_ids), np.array(logits.astype(mx.float32)))
    assert agreement.least_cosine >= LEAST_COSINE, str(agreement)


@pytest.mark.filterwarnings("ignore")
def test_the_chat_template_is_applied_as_carried(mlx, make, tmp_path):
    _, mlx_lm = mlx
    convert(make.gguf(), tmp_path / "pack")
    _, tokenizer = mlx_lm.load(str(tmp_path / "pack"))
    turn = [{"role": "user", "content": "hello"}]
    assert tokenizer.chat_template == CHATML_TEMPLATE
    assert tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    )
