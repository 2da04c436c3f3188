"""Converts models to and from the 1-bit GGUF files that bonsai-edge runs: `bonsai-edge convert SRC DST`.

Needs the extra `convert` (gguf and safetensors). Nothing that runs a model imports this package.
"""
