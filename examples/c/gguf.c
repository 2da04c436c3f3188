#include "gguf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STRING = 8, ARRAY = 9, NUM_TYPES = 13, ALIGNMENT = 32, BLOCK_BYTES = 18, BLOCK_COLUMNS = 128 };

/* Bytes of the values of metadata by type: uint8, int8, uint16, int16, uint32, int32, float32, bool, -, -, 64 bits. */
static const uint8_t type_bytes[NUM_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* What has been read of a file; once something lies beyond its end, nothing more is read. */
struct reader {
    const uint8_t *at, *end;
    int failed;
};

static const uint8_t *take(struct reader *reader, uint64_t num_bytes)
{
    const uint8_t *taken = reader->at;
    if (reader->failed || num_bytes > (uint64_t)(reader->end - reader->at)) {
        reader->failed = 1;
        return NULL;
    }
    reader->at += num_bytes;
    return taken;
}

static uint64_t number(struct reader *reader, size_t num_bytes)
{
    uint64_t value = 0;
    const uint8_t *bytes = take(reader, num_bytes);
    if (bytes) memcpy(&value, bytes, num_bytes); /* GGUF is little-endian, and so are the machines of the kernels */
    return value;
}

static const char *string(struct reader *reader, uint64_t *length)
{
    *length = number(reader, 8);
    return (const char *)take(reader, *length);
}

static void skip_value(struct reader *reader, uint32_t type)
{
    uint64_t length, count = 1;
    if (type == ARRAY) {
        type = (uint32_t)number(reader, 4);
        count = number(reader, 8);
    }
    if (type == STRING) {
        while (count-- && !reader->failed) string(reader, &length);
    } else if (type >= NUM_TYPES || type_bytes[type] == 0 || count > UINT64_MAX / 8) {
        reader->failed = 1;
    } else {
        take(reader, count * type_bytes[type]);
    }
}

/* Read key and value; the alignment is the only one that this example needs. */
static void read_metadata(struct reader *reader, uint64_t *alignment)
{
    uint64_t length;
    const char *key = string(reader, &length);
    uint32_t type = (uint32_t)number(reader, 4);
    static const char alignment_key[] = "general.alignment";
    if (key && type == 4 && length == sizeof alignment_key - 1 && memcmp(key, alignment_key, length) == 0) {
        *alignment = number(reader, 4);
    } else {
        skip_value(reader, type);
    }
}

static void read_tensor(struct reader *reader, struct gguf_tensor *tensor, uint64_t *offset)
{
    uint64_t length;
    tensor->name = string(reader, &length);
    tensor->name_length = (size_t)length;
    tensor->num_axes = (uint32_t)number(reader, 4);
    if (tensor->num_axes > GGUF_MOST_AXES) reader->failed = 1;
    for (uint32_t axis = 0; axis < GGUF_MOST_AXES; axis++) {
        tensor->shape[axis] = axis < tensor->num_axes && !reader->failed ? number(reader, 8) : 1;
    }
    tensor->type = (uint32_t)number(reader, 4);
    *offset = number(reader, 8);
}

/* Of other types this example does not know the size, and does not look at their data. */
static int fits(const struct gguf_tensor *tensor, uint64_t available)
{
    if (tensor->type != GGML_TYPE_Q1_0) return 1;
    uint64_t columns = tensor->shape[0], rows = tensor->shape[1];
    if (columns % BLOCK_COLUMNS || columns == 0 || tensor->num_axes > 2) return 0;
    return rows <= available / (columns / BLOCK_COLUMNS * BLOCK_BYTES);
}

static const char *read_all(struct gguf_file *file)
{
    struct reader reader = {file->bytes, file->bytes + file->size, 0};
    uint64_t alignment = ALIGNMENT, num_metadata;
    if (number(&reader, 4) != 0x46554747) return "it is not a GGUF file"; /* "GGUF" */
    if (number(&reader, 4) != 3) return "its version of GGUF is not 3";
    file->num_tensors = number(&reader, 8);
    num_metadata = number(&reader, 8);
    if (file->num_tensors > file->size) return "it is damaged";
    while (num_metadata-- && !reader.failed) read_metadata(&reader, &alignment);
    if (reader.failed || alignment == 0) return "it is damaged";
    file->tensors = calloc(file->num_tensors + 1, sizeof *file->tensors);
    uint64_t *offsets = calloc(file->num_tensors + 1, sizeof *offsets);
    const char *problem = file->tensors && offsets ? NULL : "there is not enough memory";
    for (uint64_t i = 0; i < file->num_tensors && !problem; i++) {
        read_tensor(&reader, &file->tensors[i], &offsets[i]);
        if (reader.failed) problem = "it is damaged";
    }
    uint64_t start = ((uint64_t)(reader.at - file->bytes) + alignment - 1) / alignment * alignment;
    for (uint64_t i = 0; i < file->num_tensors && !problem; i++) {
        struct gguf_tensor *tensor = &file->tensors[i];
        if (start > file->size || offsets[i] > file->size - start) problem = "it is cut off";
        else if (!fits(tensor, file->size - start - offsets[i])) problem = "a matrix is damaged or cut off";
        else tensor->data = file->bytes + start + offsets[i];
    }
    free(offsets);
    return problem;
}

const char *gguf_open(struct gguf_file *file, const char *path)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY);
    memset(file, 0, sizeof *file);
    if (descriptor < 0) return "it cannot be opened";
    const char *problem = "it cannot be mapped";
    if (fstat(descriptor, &status) == 0 && status.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
        if (bytes != MAP_FAILED) {
            file->bytes = bytes;
            file->size = (size_t)status.st_size;
            problem = read_all(file);
        }
    }
    close(descriptor);
    if (problem) gguf_close(file);
    return problem;
}

const struct gguf_tensor *gguf_find(const struct gguf_file *file, const char *name)
{
    for (uint64_t i = 0; i < file->num_tensors; i++) {
        const struct gguf_tensor *tensor = &file->tensors[i];
        if (tensor->name_length == strlen(name) && memcmp(tensor->name, name, tensor->name_length) == 0) return tensor;
    }
    return NULL;
}

void gguf_close(struct gguf_file *file)
{
    free(file->tensors);
    if (file->bytes) munmap((void *)(uintptr_t)file->bytes, file->size);
    memset(file, 0, sizeof *file);
}
