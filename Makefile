# Everything happens in .venv, made with the standard library's venv and pip. `make` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

# Of `make bundle`: the machine that it is for, its Python, and a GGUF file to put in.
PLATFORM       ?= linux-aarch64
PYTHON_VERSION ?= 3.11
MODEL          ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types test-slow test-chaos test-peer test-train test-arm64 test-x86-emulated kernels test-cuda cubins cuda-bundle wheel fuzz soak bench bench-rpc
.PHONY: bench-peer seedling eval-seedling ablation clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# A stamp for each set of dependencies; pyproject.toml is where they are declared.
$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --quiet --upgrade "pip>=25.1"
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --quiet --group dev
	@touch $@

$(VENV)/.installed-peer: $(VENV)/.installed-dev
	CMAKE_ARGS="-DGGML_NATIVE=ON" $(PIP) install --quiet --no-binary llama-cpp-python --editable ".[peer]" --group peer
	@touch $@

$(VENV)/.installed-train: $(VENV)/.installed-dev
	$(PIP) install --quiet --editable ".[train]" --group train
	@touch $@

$(VENV)/.installed-bundle: $(VENV)/.installed
	$(PIP) install --quiet --group bundle
	@touch $@

# The library of the mobile backend for this kind of machine, from the sources of the kernels.
KERNEL_SOURCES := $(wildcard backends/bonsai_edge_cpu/*.py backends/bonsai_edge_cpu/*/*.py bonsai_edge/cpu_step/*.py) \
  $(wildcard backends/bonsai_edge_mobile/native/*) backends/bonsai_edge_mobile/building.py \
  backends/bonsai_edge_mobile/targets.py
$(VENV)/.kernels: $(VENV)/.installed-dev $(KERNEL_SOURCES)
	$(BIN)/bonsai-edge kernels build
	@touch $@

demo: $(VENV)/.installed  ## a robot command becomes streamed JSON over ZeroMQ, from the embedded model
	$(BIN)/python examples/robot_commands.py

test: lint $(VENV)/.kernels  ## lint, types and the fast tests: what CI runs
	$(BIN)/python -m pytest -m "not slow and not peer and not emulated and not gpu" $(PYTEST_ARGS)

test-cuda: $(VENV)/.installed-dev  ## the CUDA backend on the GPU of this machine, and compute-sanitizer if it is there
	BONSAI_EDGE_TEST_GPU=1 $(BIN)/python -m pytest -k cuda tests/backends/test_contract.py $(PYTEST_ARGS)
	BONSAI_EDGE_TEST_GPU=1 $(BIN)/python -m pytest -m gpu --timeout 1200 tests/backends/cuda $(PYTEST_ARGS)

cubins: $(VENV)/.installed-dev  ## compile the CUDA kernels for the architectures that a wheel ships; needs no GPU
	$(BIN)/python -m bonsai_edge_cuda.compiler

cuda-bundle: cubins  ## pack what benchmarks/cuda_machine.sh needs on a machine with a GPU and without a network
	benchmarks/cuda_bundle.sh $(BIN)/python

kernels: $(VENV)/.kernels  ## compile the kernels of the mobile backend for this kind of machine; a few minutes

wheel: $(VENV)/.installed-dev  ## the wheel with the mobile backend's kernels for all targets; some ten minutes
	$(BIN)/bonsai-edge kernels build --target all
	$(PIP) wheel --quiet --no-deps --wheel-dir dist .

lint: $(VENV)/.installed-dev  ## style, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.installed-dev  ## put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-slow: $(VENV)/.installed-dev  ## the tests that take minutes or gigabytes
	$(BIN)/python -m pytest -m "slow and not peer" --timeout 3600 $(PYTEST_ARGS)

test-chaos: $(VENV)/.installed-dev  ## kill, stop and flood a server, and break its connections
	$(BIN)/python -m pytest tests/rpc/chaos tests/examples $(PYTEST_ARGS)

fuzz: $(VENV)/.installed-dev  ## send a million mutated messages to a server; some minutes
	$(BIN)/python benchmarks/rpc_fuzz.py $(FUZZ_ARGS)

soak: $(VENV)/.installed  ## keep a server busy for half an hour and watch its memory
	$(BIN)/python benchmarks/rpc_soak.py $(SOAK_ARGS)

test-peer: $(VENV)/.installed-peer  ## agreement with llama.cpp and MLX; builds llama-cpp-python first (about 10 minutes)
	$(BIN)/python -m pytest -m peer --timeout 3600 $(PYTEST_ARGS)

test-train: $(VENV)/.installed-train  ## the tests of training and of conversions that need PyTorch
	$(BIN)/python -m pytest -m "not slow and not peer" tests/plugins/train tests/plugins/convert $(PYTEST_ARGS)

test-arm64: $(VENV)/.installed-dev  ## the CPU and the mobile backend on emulated Arm boards; see tests/emulated/arm64.sh
	tests/emulated/arm64.sh build
	$(BIN)/bonsai-edge kernels build --target linux-arm64
	$(BIN)/python -m pytest -m emulated -k arm64 --timeout 3600 $(PYTEST_ARGS)

test-x86-emulated: $(VENV)/.kernels  ## the mobile backend on x86-64 processors that Bochs emulates, AVX-512 among them
	$(BIN)/python -m pytest -m emulated --timeout 3600 tests/emulated/test_x86_64.py $(PYTEST_ARGS)

bundle: $(VENV)/.installed-bundle  ## pack what installs without a network: PLATFORM=linux-aarch64|linux-x86_64 (docs/offline-bundle.md)
	$(BIN)/python bundle/build.py --platform $(PLATFORM) --python-version $(PYTHON_VERSION) $(if $(MODEL),--model "$(MODEL)")

test-bundle: $(VENV)/.installed-dev $(VENV)/.installed-bundle  ## install bundles with the network cut off, also on emulated 64-bit Arm
	$(BIN)/python -m pytest tests/packaging/test_offline_bundle.py --timeout 3600 $(PYTEST_ARGS)

bench: $(VENV)/.installed  ## prompt and decode speed of the embedded model, and the share of the memory bandwidth
	$(BIN)/bonsai-edge bench --model seedling -p 128 -n 64

bench-rpc: $(VENV)/.installed  ## what clients see of a loaded server: latencies, shares, lost messages
	$(BIN)/python benchmarks/rpc_load.py $(BENCH_ARGS)

bench-peer: $(VENV)/.installed-peer  ## speed against llama.cpp, 1.7B and 8B shapes; about an hour
	$(BIN)/python benchmarks/vs_llama_cpp.py $(BENCH_ARGS)
	$(BIN)/python benchmarks/publish.py

seedling: $(VENV)/.installed-train  ## train the embedded model anew (needs PyTorch; see docs/seedling.md)
	$(BIN)/bonsai-edge train seedling --out runs/seedling --force
	$(BIN)/bonsai-edge export runs/seedling bonsai_edge/data/seedling.gguf --force

ablation: $(VENV)/.installed-train  ## train a small model in float32 and in 1 bit, and compare them; about an hour
	$(BIN)/bonsai-edge train ablation-float32 --force
	$(BIN)/bonsai-edge train ablation-q1_0 --force
	$(BIN)/python benchmarks/ablation.py

eval-seedling: $(VENV)/.installed-dev  ## score the embedded model on held-out and on hand-written sentences
	$(BIN)/python benchmarks/seedling_accuracy.py

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
