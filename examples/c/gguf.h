/* Reads where the matrices of a GGUF file lie; see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#ifndef GGUF_H
#define GGUF_H

#include <stddef.h>
#include <stdint.h>

enum { GGML_TYPE_Q1_0 = 41, GGUF_MOST_AXES = 4 };

struct gguf_tensor {
    const char *name; /* not terminated */
    size_t name_length;
    uint32_t type, num_axes;
    uint64_t shape[GGUF_MOST_AXES]; /* columns first */
    const void *data;
};

struct gguf_file {
    const uint8_t *bytes;
    size_t size;
    uint64_t num_tensors;
    struct gguf_tensor *tensors;
};

/* Map a file and find its tensors; return NULL, or what is wrong with it. */
const char *gguf_open(struct gguf_file *file, const char *path);

/* Return the tensor of a name; NULL if there is none. */
const struct gguf_tensor *gguf_find(const struct gguf_file *file, const char *name);

void gguf_close(struct gguf_file *file);

#endif
