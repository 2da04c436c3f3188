"""Fetches published models and checks them: `bonsai-edge pull`, `models` and `verify`.

`pull` is the only part of bonsai-edge that ever uses the network, and needs the extra `hub` (huggingface_hub).
"""
