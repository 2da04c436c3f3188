/* What a 64-bit Arm processor supports, as the system tells: NEON is always there, the dot product since Armv8.2, the
 * product of int8 matrices since Armv8.6. */
#include <stdint.h>

#include "cpu_features.h"

#ifdef __APPLE__

#include <stddef.h>

/* From <sys/sysctl.h>, which not every cross-compiler has. */
extern int sysctlbyname(const char *name, void *old, size_t *old_length, void *new_value, size_t new_length);

static int is_set(const char *name)
{
    int32_t value = 0;
    size_t length = sizeof value;
    return sysctlbyname(name, &value, &length, NULL, 0) == 0 && value != 0;
}

int bonsai_edge_has_neon_dotprod(void) { return is_set("hw.optional.arm.FEAT_DotProd"); }

int bonsai_edge_has_neon_i8mm(void)
{
    return bonsai_edge_has_neon_dotprod() && is_set("hw.optional.arm.FEAT_I8MM");
}

#else

#include "linux_calls.h"

/* Linux, Documentation/arch/arm64/elf_hwcaps.rst: atomics (Armv8.1), the dot product, the product of int8 matrices. */
#define AT_HWCAP 16
#define AT_HWCAP2 26
#define HWCAP_ATOMICS (1u << 8)
#define HWCAP_ASIMDDP (1u << 20)
#define HWCAP2_I8MM (1u << 13)

/* getauxval() without a C library: the kernel shows the same table as a file. */
static uint64_t auxiliary_value(uint64_t wanted)
{
    uint64_t entry[2], found = 0;
    int file = open_for_reading("/proc/self/auxv");
    if (file < 0) return 0;
    while (read_bytes(file, entry, sizeof entry) == sizeof entry) {
        if (entry[0] == wanted) found = entry[1];
    }
    close_file(file);
    return found;
}

int bonsai_edge_has_neon_dotprod(void)
{
    uint64_t wanted = HWCAP_ATOMICS | HWCAP_ASIMDDP;
    return (auxiliary_value(AT_HWCAP) & wanted) == wanted;
}

int bonsai_edge_has_neon_i8mm(void)
{
    return bonsai_edge_has_neon_dotprod() && (auxiliary_value(AT_HWCAP2) & HWCAP2_I8MM) != 0;
}

#endif

int bonsai_edge_has_neon(void) { return 1; }
