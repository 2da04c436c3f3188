#!/usr/bin/env bash
# A Debian tree for 64-bit Arm on another machine, and commands run in it on an emulated processor.
#
#   tests/emulated/arm64.sh build
#       makes the tree if there is none (some minutes), and installs there the aarch64 wheels of what pyproject.toml
#       asks for if that has changed. The tree lies in $BONSAI_EDGE_ARM64_ROOT or ~/.cache/bonsai-edge-arm64.
#   tests/emulated/arm64.sh run [--cpu CPU] [--without-numba] -- COMMAND [ARGUMENT ...]
#       runs a command there as cortex-a76 (the default: Raspberry Pi 5), cortex-a72 (Raspberry Pi 4) or max (all that
#       QEMU knows, with i8mm).
#
# The command starts in the current directory. It sees this repository, the current directory and /tmp under their own
# names, `python3` with the dependencies, pytest and the project itself (its sources, not a copy), and a home of its own
# that is kept, with the cache of compiled kernels. With --without-numba `python3` is that of another environment, in
# which Numba and llvmlite have not been installed. Of the environment it sees nothing: `-- env NAME=VALUE COMMAND`
# sets variables. The network is this machine's.
#
# Needs Debian or Ubuntu, root (or sudo), the packages debootstrap and qemu-user-static, and a kernel that lets
# binfmt_misc be mounted (a container needs --privileged), and `make .venv/.installed-dev` before.
set -euo pipefail
here="$(realpath "$(dirname "${BASH_SOURCE[0]}")")"
repository="$(realpath "$here/../..")"
root="$(realpath -m "${BONSAI_EDGE_ARM64_ROOT:-$HOME/.cache/bonsai-edge-arm64}")"
tree="$root/tree"
python="$repository/.venv/bin/python"
suite=bookworm # Python 3.11, as on Raspberry Pi OS
environment=venv without_numba=venv-without-numba # of Python, in /opt/bonsai-edge of the tree

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

fail() {
    echo "arm64.sh: $*" >&2
    exit 2
}

register_emulator() {
    local registry=/proc/sys/fs/binfmt_misc line=/usr/lib/binfmt.d/qemu-aarch64.conf
    [ -e "$line" ] || fail "$line is missing; install qemu-user-static."
    [ -e "$registry/register" ] || as_root mount -t binfmt_misc none "$registry" ||
        fail "binfmt_misc cannot be mounted here; a container needs --privileged."
    [ -e "$registry/qemu-aarch64" ] || as_root sh -c "cat $line > $registry/register"
}

make_tree() {
    command -v debootstrap >/dev/null || fail "debootstrap is missing; install the package of that name."
    as_root rm -rf "$tree.new"
    as_root debootstrap --arch=arm64 --variant=minbase --include=python3,python3-venv "$suite" "$tree.new"
    as_root chroot "$tree.new" python3 -m venv /opt/bonsai-edge/venv
    as_root mv "$tree.new" "$tree"
}

# pip here fetches the wheels, with this machine's settings; pip there, which alone knows its platform, installs them.
install_wheels() {
    local scratch platforms=() wanted
    scratch="$(mktemp -d)"
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$scratch" "$repository"
    "$python" -m zipfile -e "$scratch"/bonsai_edge-*.whl "$scratch"
    wanted="$(grep '^Requires-Dist' "$scratch"/bonsai_edge-*.dist-info/METADATA | sort | sha256sum) $without_numba"
    if [ "$wanted" != "$(cat "$root/installed" 2>/dev/null)" ]; then
        for tag in manylinux_2_36 manylinux_2_34 manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014; do
            platforms+=(--platform "${tag}_aarch64")
        done
        "$python" -m pip download --quiet --only-binary=:all: "${platforms[@]}" --implementation cp \
            --python-version "$(as_root chroot "$tree" python3 -c 'import platform; print(platform.python_version())')" \
            --dest "$scratch/wheels" "$(echo "$scratch"/bonsai_edge-*.whl)[convert]" \
            pytest pytest-timeout hypothesis jsonschema
        rm "$scratch"/wheels/bonsai_edge-*.whl # `run` shows the sources instead
        as_root rm -rf "$tree/opt/bonsai-edge/wheels"
        as_root cp -r "$scratch/wheels" "$tree/opt/bonsai-edge/"
        as_root chroot "$tree" sh -c 'cd /opt/bonsai-edge && pip="venv/bin/python -m pip --quiet" &&
            $pip install --no-index --no-deps wheels/*.whl && rm wheels/numba-* wheels/llvmlite-* &&
            python3 -m venv --clear --without-pip "$0" &&
            $pip --python "$0" install --no-index --no-deps wheels/*.whl && rm -r wheels' "$without_numba"
        echo "$wanted" >"$root/installed"
    fi
    rm -r "$scratch"
}

run() {
    local cpu=cortex-a76 llvm_cpu features metadata
    if [ "${1:-}" = --cpu ]; then cpu="$2" && shift 2; fi
    if [ "${1:-}" = --without-numba ]; then environment="$without_numba" && shift; fi
    [ "${1:-}" = -- ] || fail "run expects [--cpu CPU] [--without-numba] -- COMMAND, not '${1:-}'."
    shift
    # LLVM reads what a processor can do from /proc/cpuinfo, which is this machine's under emulation.
    case "$cpu" in
    cortex-a72) llvm_cpu=cortex-a72 features=+neon,+fp-armv8,+crc ;;
    cortex-a76) llvm_cpu=cortex-a76 features=+neon,+fp-armv8,+crc,+v8.2a,+lse,+rdm,+fullfp16,+dotprod ;;
    max) llvm_cpu=cortex-a710 features=+neon,+fp-armv8,+crc,+v8.6a,+lse,+rdm,+fullfp16,+dotprod,+i8mm,+bf16 ;;
    *) fail "no processor is called $cpu; there are cortex-a72, cortex-a76 and max." ;;
    esac
    [ -e "$root/installed" ] || fail "$tree is not complete; run \`$0 build\` first."
    metadata="$(echo "$repository"/.venv/lib/python3*/site-packages/bonsai_edge-*.dist-info)"
    [ -d "$metadata" ] || fail "the project is not installed; run \`make .venv/.installed-dev\` first."
    register_emulator
    as_root unshare --mount "$here/enter_tree.sh" "$tree" "$repository" "$PWD" "$metadata" \
        env -i HOME=/root LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 \
        PATH="/opt/bonsai-edge/$environment/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" \
        PYTHONPATH="$repository:$repository/backends:$repository/devices:$repository/plugins:/opt/bonsai-edge/metadata" \
        QEMU_CPU="$cpu" NUMBA_CPU_NAME="$llvm_cpu" NUMBA_CPU_FEATURES="$features" "$@"
}

case "${1:-}" in
build)
    register_emulator
    [ -x "$python" ] || fail "$python is missing; run \`make .venv/.installed-dev\` first."
    mkdir -p "$root"
    exec 9>"$root/lock" && flock 9
    [ -e "$tree" ] || make_tree
    install_wheels
    ;;
run) shift && run "$@" ;;
*) fail "the first word is build or run; the head of this file tells more." ;;
esac
