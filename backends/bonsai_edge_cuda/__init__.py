"""The CUDA backend: CUDA C++ kernels for NVIDIA GPUs, a decode step of the model in one graph."""
