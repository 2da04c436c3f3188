"""The mobile backend: the kernels of the CPU backend, compiled ahead of time, for where nothing can compile."""
