"""Trains `seedling`, the small 1-bit model that ships with bonsai-edge: `python -m bonsai_edge_train OUT.gguf`.

Needs the extra `train` (PyTorch and gguf). Nothing at run time imports this package.
"""
