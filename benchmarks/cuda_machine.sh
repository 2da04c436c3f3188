#!/usr/bin/env bash
# Measures and tests the CUDA backend on a machine with an NVIDIA GPU and without a network, in one command:
#
#     bash benchmarks/cuda_machine.sh build/cuda-bundle OUT
#
# Needs there: Python 3.12 with NumPy, click, rich, jinja2, tokenizers and matplotlib, CMake, ninja, and the CUDA toolkit
# (nvcc). All else is in the bundle (`make cuda-bundle`, which is made elsewhere). Builds llama.cpp with CUDA for this GPU
# while it tests the backend and makes the models; then measures. OUT gets cuda.json, cuda.svg, page.md and the logs.
set -euo pipefail
cd "$(dirname "$0")/.."
bundle=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m pip install --quiet --no-index --no-deps --target "$work/site" "$bundle"/wheels/*.whl
mkdir "$work/peer"
tar -xzf "$bundle/llama-cpp.tar.gz" -C "$work/peer"
source=$(echo "$work"/peer/llama_cpp_python-*)
export PYTHONPATH="$work/site:$source" PYTHONUNBUFFERED=1
export BONSAI_EDGE_PEER_CACHE="$work/peer" BONSAI_EDGE_BENCH_CACHE="$work/models" BONSAI_EDGE_KERNEL_CACHE="$work/kernels"
ln -s "$work/build/bin" "$source/llama_cpp/lib"  # where the Python package looks for the libraries

build_llama_cpp() {
  cmake -G Ninja -S "$source/vendor/llama.cpp" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DGGML_CUDA=ON \
    -DCMAKE_CUDA_ARCHITECTURES=native -DBUILD_SHARED_LIBS=ON -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF \
    -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF &&
    cmake --build "$work/build" --target llama
}
build_llama_cpp > "$out/llama-cpp-build.log" 2>&1 &
build=$!

python3 -m bonsai_edge backends | tee "$out/backends.txt"
for size in 1.7b 4b 8b; do
  PYTHONPATH="benchmarks:$PYTHONPATH" python3 -c "from random_bonsai import cached_random_bonsai as m; m('$size')"
done
BONSAI_EDGE_TEST_GPU=1 timeout 240 python3 -m pytest -q -p no:cacheprovider -k cuda tests/backends/test_contract.py \
  > "$out/contract.log" 2>&1 || echo "THE CONTRACT TESTS FAIL: see contract.log"
tail -n 3 "$out/contract.log"
wait "$build" || echo "LLAMA.CPP DID NOT BUILD: see llama-cpp-build.log"

python3 benchmarks/cuda_speed.py --out "$out/cuda.json" | tee "$out/page.md"
BONSAI_EDGE_TEST_GPU=1 timeout 120 python3 -m pytest -q -p no:cacheprovider -m gpu tests/backends/cuda \
  > "$out/compute-sanitizer.log" 2>&1 || echo "COMPUTE-SANITIZER: see compute-sanitizer.log"
tail -n 3 "$out/compute-sanitizer.log"
