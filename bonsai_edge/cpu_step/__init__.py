"""What a compiled step on the CPU works on: memory, its layout, the team of threads, and the runner around the call.

The kernels themselves are a backend's. Two backends make the same call, `bonsai_edge_cpu` compiles it when it first
runs and `bonsai_edge_mobile` has it compiled ahead of time; since backends do not know one another, what both need lies
here, and needs NumPy alone.
"""
