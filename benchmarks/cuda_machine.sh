#!/usr/bin/env bash
# Measures and tests the CUDA backend on a machine with an NVIDIA GPU and without a network, in one command:
#
#     bash benchmarks/cuda_machine.sh build/cuda-bundle OUT
#
# Needs there: Python 3.12 with NumPy, click, rich, jinja2, tokenizers, matplotlib and pytest, CMake, ninja, and the CUDA
# toolkit (nvcc, cuBLAS, compute-sanitizer). All else is in the bundle (`make cuda-bundle`, which is made elsewhere).
# Builds llama.cpp with CUDA for this GPU while it tests the backend and makes the models; then measures. OUT gets
# cuda.json, cuda.svg, page.md and a log of each step. A step that fails does not keep the others from running; the last
# line names it, and the exit status is 1 then.
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

failed=()
# Run step $1, the rest being its command, with its output in a log of its name.
step() {
  local name=$1
  shift
  echo "== $name"
  "$@" > "$out/$name.log" 2>&1 || failed+=("$name")
  tail -n 3 "$out/$name.log"
}

build_llama_cpp() {
  cmake -G Ninja -S "$source/vendor/llama.cpp" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DGGML_CUDA=ON \
    -DCMAKE_CUDA_ARCHITECTURES=native -DBUILD_SHARED_LIBS=ON -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF \
    -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF &&
    cmake --build "$work/build" --target llama
}

find_gpu() {
  python3 -m bonsai_edge backends && python3 -m bonsai_edge backends --json | python3 -c '
import json, sys
cuda = next(backend for backend in json.load(sys.stdin)["backends"] if backend["name"] == "cuda")
print(cuda["reason"])
sys.exit(not cuda["available"])'
}

make_models() {
  PYTHONPATH="benchmarks:$PYTHONPATH" python3 -c '
from random_bonsai import cached_random_bonsai
for size in ("1.7b", "4b", "8b"):
    print(cached_random_bonsai(size))'
}

run_tests() {
  BONSAI_EDGE_TEST_GPU=1 timeout "$1" python3 -m pytest -q -p no:cacheprovider "${@:2}"
}

check_kernels() {
  if ! command -v compute-sanitizer; then
    echo "compute-sanitizer is not in PATH; it comes with the CUDA toolkit."
    return 1
  fi
  run_tests 120 -m gpu tests/backends/cuda
}

measure() {
  python3 benchmarks/cuda_speed.py --out "$out/cuda.json" > "$out/page.md"
}

build_llama_cpp > "$out/llama-cpp-build.log" 2>&1 &
build=$!

finish_llama_cpp() {
  wait "$build" && return
  tail -n 2 "$out/llama-cpp-build.log"
  return 1
}

step find-gpu find_gpu
step make-models make_models
step contract-tests run_tests 240 -k cuda tests/backends/test_contract.py
step llama-cpp finish_llama_cpp
step measure measure
step compute-sanitizer check_kernels

cat "$out/page.md"
if ((${#failed[@]})); then
  echo "FAILED: ${failed[*]}. The logs are in $out."
  exit 1
fi
echo "Every step succeeded. The results are in $out."
