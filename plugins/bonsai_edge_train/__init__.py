"""Trains 1-bit models natively and writes them as GGUF: `bonsai-edge train` and `bonsai-edge export`.

Needs the extra `train` (PyTorch and more). Nothing at run time imports this package.
"""
