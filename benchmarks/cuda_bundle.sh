#!/usr/bin/env bash
# Collects in build/cuda-bundle what cuda_machine.sh needs and cannot fetch on a machine without a network: the wheel of
# this project with its cubins, the wheels of small libraries for Python 3.12 on x86-64, and llama.cpp's source.
#
#     make cuda-bundle          (or: benchmarks/cuda_bundle.sh PYTHON)
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
bundle=build/cuda-bundle
libraries=(cuda-core==1.2.2 cuda-bindings==12.9.10 cuda-pathfinder msgspec platformdirs gguf pyzmq python-json-logger
  diskcache prometheus-client nvidia-ml-py pytest-timeout pluggy psutil)
platforms=()
for version in 2_28 2_27 2_26 2_24 2_17 2_12; do platforms+=(--platform "manylinux_${version}_x86_64"); done

rm -rf "$bundle"
mkdir -p "$bundle/wheels"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$bundle/wheels" .
"$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
  "${platforms[@]}" --platform manylinux2014_x86_64 --platform any --dest "$bundle/wheels" "${libraries[@]}"
source=$(PYTHONPATH=benchmarks "$python" -c 'from llama_cpp_source import fetch_llama_cpp_source as f; print(f())')
tar -czf "$bundle/llama-cpp.tar.gz" -C "$(dirname "$source")" $(cd "$(dirname "$source")" && ls -d \
  "$(basename "$source")"/llama_cpp "$(basename "$source")"/vendor/llama.cpp/{CMakeLists.txt,LICENSE,src,ggml,include,cmake,vendor} \
  "$(basename "$source")"/vendor/llama.cpp/models/ggml-vocab-qwen2.gguf)
du -sh "$bundle"
