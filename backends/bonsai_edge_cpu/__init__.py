"""The CPU backend: Numba kernels that read GGUF blocks in place, a whole step of the model in one compiled call."""
