/* The few system calls that are needed on Linux and Android, made directly, so that one library serves whatever C
 * library a process has: glibc, musl or Bionic. Each returns what the kernel does, negative for an error. */
#ifndef BONSAI_EDGE_LINUX_CALLS_H
#define BONSAI_EDGE_LINUX_CALLS_H

#include <stddef.h>

int open_for_reading(const char *path);
long read_bytes(int file, void *buffer, size_t size);
long close_file(int file);

#endif
