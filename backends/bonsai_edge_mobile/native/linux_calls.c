/* System calls of Linux, by number, and what kernels expect of a C library. */
#include "linux_calls.h"

#if defined(__x86_64__)

enum { SYS_READ = 0, SYS_CLOSE = 3, SYS_SCHED_YIELD = 24, SYS_OPENAT = 257 };

static long system_call(long number, long a, long b, long c, long d)
{
    long result;
    register long fourth __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

enum { SYS_OPENAT = 56, SYS_CLOSE = 57, SYS_READ = 63, SYS_SCHED_YIELD = 124 };

static long system_call(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}

#endif

enum { AT_FDCWD = -100, READ_ONLY_CLOSE_ON_EXEC = 02000000 };

int open_for_reading(const char *path)
{
    return (int)system_call(SYS_OPENAT, AT_FDCWD, (long)path, READ_ONLY_CLOSE_ON_EXEC, 0);
}

long read_bytes(int file, void *buffer, size_t size) { return system_call(SYS_READ, file, (long)buffer, (long)size, 0); }

long close_file(int file) { return system_call(SYS_CLOSE, file, 0, 0, 0); }

/* What threads that wait for long at a barrier call. */
int sched_yield(void) { return (int)system_call(SYS_SCHED_YIELD, 0, 0, 0, 0); }

/* What LLVM calls where it finds loops that fill or copy memory; the build forbids it to find them here. */
void *memset(void *destination, int value, size_t size)
{
    unsigned char *bytes = destination;
    for (size_t index = 0; index < size; index++) bytes[index] = (unsigned char)value;
    return destination;
}
