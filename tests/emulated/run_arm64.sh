#!/usr/bin/env bash
# Runs the checks of the CPU kernels on emulated 64-bit Arm processors, one for each instruction set.
#
# Needs Debian or Ubuntu with qemu-user-static and the foreign architecture arm64:
#   sudo dpkg --add-architecture arm64 && sudo apt-get update && sudo apt-get install qemu-user-static
# An Arm Python is unpacked below ~/.cache (or $BONSAI_EDGE_ARM64_ROOT); nothing is installed.
set -euo pipefail
repository="$(cd "$(dirname "$0")/../.." && pwd)"
root="${BONSAI_EDGE_ARM64_ROOT:-$HOME/.cache/bonsai-edge-arm64}"
pip="$1" # the pip that downloads the wheels

if [ ! -e "$root/.complete" ]; then
    mkdir -p "$root/debs" "$root/wheels" "$root/system" "$root/site"
    python="$(apt-cache depends python3 | awk '/Depends: python3\.[0-9]+$/ {print $2; exit}')"
    packages="libc6 libstdc++6 libgcc-s1 zlib1g libexpat1 libffi8 libssl3 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 libcrypt1"
    packages="$packages $python $python-minimal lib$python-minimal lib$python-stdlib"
    # shellcheck disable=SC2046  # one word a package is meant
    (cd "$root/debs" && apt-get download -qq $(printf '%s:arm64 ' $packages))
    for deb in "$root"/debs/*.deb; do dpkg -x "$deb" "$root/system"; done
    platforms=()
    for tag in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014; do platforms+=(--platform "${tag}_aarch64"); done
    "$pip" download --quiet --only-binary=:all: "${platforms[@]}" --python-version "${python#python}" \
        --implementation cp -d "$root/wheels" numba numpy gguf platformdirs msgspec pluggy
    for wheel in "$root"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$root/site"; done
    echo "$python" >"$root/.complete"
fi

# cpu, instruction set, LLVM features: under emulation LLVM cannot ask the processor what it is.
while read -r cpu isa features; do
    echo "$isa on $cpu"
    env QEMU_CPU="$cpu" NUMBA_CPU_NAME="$cpu" NUMBA_CPU_FEATURES="$features" BONSAI_EDGE_CPU_ISA="$isa" \
        NUMBA_CACHE_DIR="$root/cache" PYTHONDONTWRITEBYTECODE=1 \
        PYTHONPATH="$root/site:$repository:$repository/backends:$repository/tests/support" \
        qemu-aarch64-static -L "$root/system" "$root/system/usr/bin/$(cat "$root/.complete")" \
        "$repository/tests/support/kernel_checks.py"
done <<'MACHINES'
cortex-a76 neon_dotprod +neon,+dotprod,+fullfp16,+fp-armv8,+v8.2a
cortex-a72 neon +neon,+fp-armv8
cortex-a72 portable +neon,+fp-armv8
MACHINES
