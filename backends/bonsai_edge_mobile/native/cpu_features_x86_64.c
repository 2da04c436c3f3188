/* What an x86-64 processor and its system support, by CPUID and XGETBV; the levels are those of the x86-64 psABI. */
#include <cpuid.h>
#include <stdint.h>

#include "cpu_features.h"

#define ALL_OF(value, bits) (((value) & (bits)) == (bits))

/* Leaf 1, ECX: FMA, MOVBE, POPCNT, OSXSAVE, AVX, F16C. Leaf 7, EBX: BMI1, AVX2, BMI2. Leaf 0x80000001, ECX: LZCNT. */
#define V3_LEAF_1_ECX (1u << 12 | 1u << 22 | 1u << 23 | 1u << 27 | 1u << 28 | 1u << 29)
#define V3_LEAF_7_EBX (1u << 3 | 1u << 5 | 1u << 8)
#define V3_EXTENDED_ECX (1u << 5)
/* Leaf 7, EBX: AVX512F, DQ, CD, BW, VL; ECX: AVX512_VNNI. Leaf 7.1, EAX: AVX_VNNI. */
#define V4_LEAF_7_EBX (1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31)
#define VNNI_LEAF_7_ECX (1u << 11)
#define VNNI_LEAF_7_1_EAX (1u << 4)
/* What the system saves of a thread: the 256-bit registers, and those of AVX-512. */
#define SAVES_AVX 0x06u
#define SAVES_AVX512 0xE6u

static uint32_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

int bonsai_edge_has_avx2(void)
{
    uint32_t eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !ALL_OF(ecx, V3_LEAF_1_ECX)) return 0;
    if (!ALL_OF(saved_registers(), SAVES_AVX)) return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !ALL_OF(ebx, V3_LEAF_7_EBX)) return 0;
    return __get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx) && ALL_OF(ecx, V3_EXTENDED_ECX);
}

int bonsai_edge_has_avx_vnni(void)
{
    uint32_t eax, ebx, ecx, edx;
    if (!bonsai_edge_has_avx2() || !__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) return 0;
    return ALL_OF(eax, VNNI_LEAF_7_1_EAX);
}

int bonsai_edge_has_avx512_vnni(void)
{
    uint32_t eax, ebx, ecx, edx;
    if (!bonsai_edge_has_avx2() || !ALL_OF(saved_registers(), SAVES_AVX512)) return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return 0;
    return ALL_OF(ebx, V4_LEAF_7_EBX) && ALL_OF(ecx, VNNI_LEAF_7_ECX);
}

int bonsai_edge_has_portable(void) { return 1; }
