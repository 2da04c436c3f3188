"""The few vector operations that differ between processors, one file an instruction set.

Everything else is written once, in LLVM vector types that LLVM splits to the width of the machine.
"""
