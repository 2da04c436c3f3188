"""Models of the 8B shape are converted in less than 1 GB of memory."""

import json
import shutil
import subprocess
import sys

import pytest

from random_bonsai import cached_random_bonsai

pytestmark = pytest.mark.slow

MOST_BYTES = 10**9
CODE = """
import resource, sys
from pathlib import Path
from bonsai_edge_convert.conversion import convert
convert(Path(sys.argv[1]), Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def peak_bytes(source, destination):
    """Convert in a process of its own and return its peak resident memory, mapped files included."""
    arguments = [sys.executable, "-c", CODE, str(source), str(destination)]
    return int(subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=900).stdout)


def write_zeros(directory, shapes):
    """Write a checkpoint of zeros as a file without blocks on the disk; they are read like any others."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    with (directory / "model.safetensors").open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        file.truncate(8 + len(encoded) + end)


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """Return the pack of an 8B model and the peak memory of writing it."""
    path = tmp_path_factory.mktemp("large") / "pack"
    return path, peak_bytes(cached_random_bonsai("8b"), path)


def test_gguf_to_mlx_and_back_stays_below_a_gigabyte_and_gives_the_same_file(pack, tmp_path):
    path, peak_there = pack
    back = tmp_path / "back.gguf"
    peak_back = peak_bytes(path, back)
    assert max(peak_there, peak_back) < MOST_BYTES
    assert subprocess.run(["cmp", back, cached_random_bonsai("8b")], check=False).returncode == 0


def test_an_unpacked_checkpoint_with_the_largest_tensors_stays_below_a_gigabyte(pack, tmp_path):
    directory = tmp_path / "unpacked"
    shutil.copytree(pack[0], directory, ignore=shutil.ignore_patterns("*.safetensors", "gguf.json"))
    config = json.loads((directory / "config.json").read_text())
    del config["quantization"]
    (directory / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    hidden, ffn, rows, block = 4096, 12288, config["vocab_size"], "model.layers.0."
    write_zeros(
        directory,
        {
            "model.embed_tokens.weight": (rows, hidden), "lm_head.weight": (rows, hidden),
            "model.norm.weight": (hidden,),
            f"{block}input_layernorm.weight": (hidden,), f"{block}post_attention_layernorm.weight": (hidden,),
            f"{block}self_attn.q_proj.weight": (hidden, hidden), f"{block}self_attn.k_proj.weight": (1024, hidden),
            f"{block}self_attn.v_proj.weight": (1024, hidden), f"{block}self_attn.o_proj.weight": (hidden, hidden),
            f"{block}self_attn.q_norm.weight": (128,), f"{block}self_attn.k_norm.weight": (128,),
            f"{block}mlp.gate_proj.weight": (ffn, hidden), f"{block}mlp.up_proj.weight": (ffn, hidden),
            f"{block}mlp.down_proj.weight": (hidden, ffn),
        },
    )  # fmt: skip
    assert peak_bytes(directory, tmp_path / "out.gguf") < MOST_BYTES
