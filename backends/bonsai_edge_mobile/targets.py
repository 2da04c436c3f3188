"""The machines that kernels are compiled for, and the instruction sets that each library chooses among."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """An instruction set of the CPU backend, and what LLVM may use for it: the least processor and its features."""

    isa: str
    processor: str
    features: str


@dataclass(frozen=True)
class Target:
    """A kind of machine.

    `summary` says whom its library serves, `triple` is the machine in LLVM's words and `zig` in Zig's; `sources` are
    files of `native/`; `variants` come in the order in which they are tried; `library` is an archive if it ends in .a.
    """

    name: str
    summary: str
    triple: str
    zig: str
    sources: tuple[str, ...]
    variants: tuple[Variant, ...]
    library: str
    link_options: tuple[str, ...]


# `prefer-256-bit` is a choice of LLVM against the heat of early AVX-512; the kernels are laid out for whole registers.
_X86_64 = (
    Variant("avx512_vnni", "x86-64-v4", "+avx2,+fma,+f16c,+avx512f,+avx512bw,+avx512vl,+avx512vnni,-prefer-256-bit"),
    Variant("avx_vnni", "x86-64-v3", "+avx2,+fma,+f16c,+avxvnni"),
    Variant("avx2", "x86-64-v3", "+avx2,+fma,+f16c"),
    Variant("portable", "x86-64", ""),
)
# Android and Apple keep register x18 for themselves, so nobody gets it.
_ARM64 = (
    Variant("neon_i8mm", "generic", "+neon,+fp-armv8,+v8.2a,+dotprod,+i8mm,+reserve-x18"),
    Variant("neon_dotprod", "generic", "+neon,+fp-armv8,+v8.2a,+dotprod,+reserve-x18"),
    Variant("neon", "generic", "+neon,+fp-armv8,+reserve-x18"),
)
# Android loads only libraries whose segments suit pages of 16 KiB (since Android 15, for all sizes of pages).
_ELF_OPTIONS = ("-nostdlib", "-Wl,-z,max-page-size=16384", "-Wl,-z,defs", "-Wl,-s")

TARGETS = {
    target.name: target
    for target in (
        Target(
            "linux-x86_64",
            "Linux, with glibc or musl",
            "x86_64-unknown-linux-gnu",
            "x86_64-linux-none",
            ("kernels.c", "linux_calls.c", "cpu_features_x86_64.c"),
            _X86_64,
            "libbonsai_edge-linux-x86_64.so",
            (*_ELF_OPTIONS, "-Wl,-soname,libbonsai_edge-linux-x86_64.so"),
        ),
        Target(
            "linux-arm64",
            "Linux with glibc or musl, and Android",
            "aarch64-unknown-linux-gnu",
            "aarch64-linux-none",
            ("kernels.c", "linux_calls.c", "cpu_features_aarch64.c"),
            _ARM64,
            "libbonsai_edge-linux-arm64.so",
            (*_ELF_OPTIONS, "-Wl,-soname,libbonsai_edge-linux-arm64.so"),
        ),
        Target(
            "macos-arm64",
            "macOS 11 and later on Apple silicon",
            "arm64-apple-macosx11.0.0",
            "aarch64-macos.11.0",
            ("kernels.c", "cpu_features_aarch64.c"),
            _ARM64,
            "libbonsai_edge-macos-arm64.dylib",
            ("-Wl,-install_name,@rpath/libbonsai_edge-macos-arm64.dylib",),
        ),
        Target(
            "ios-arm64",
            "iOS 13 and later",
            "arm64-apple-ios13.0.0",
            "aarch64-ios.13.0",
            ("kernels.c", "cpu_features_aarch64.c"),
            _ARM64,
            "libbonsai_edge-ios-arm64.a",  # for an app to link: without Apple's SDK nothing else can be made for iOS
            (),
        ),
    )
}
