"""Compiles the kernels for another machine: `python -m bonsai_edge_cpu.ahead_of_time` writes one object file.

Numba's own pipeline makes the LLVM code, as it does for this machine; only the target is another one. Kernels choose
their instruction set when they are imported, so each object is made by a process of its own.
"""
