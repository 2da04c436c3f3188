/* Multiplies a Q1_0 matrix of a GGUF file by a vector, as an app would that embeds the kernels and not Python.
 *
 *     product FILE.gguf              lists the matrices
 *     product FILE.gguf MATRIX       prints the product with x[i] = (i % 7 - 3) / 4, a number a line
 */
#include <bonsai_edge.h>
#include <stdio.h>
#include <stdlib.h>

#include "gguf.h"

static void list(const struct gguf_file *file)
{
    for (uint64_t i = 0; i < file->num_tensors; i++) {
        const struct gguf_tensor *tensor = &file->tensors[i];
        if (tensor->type != GGML_TYPE_Q1_0) continue;
        printf("%.*s %llu x %llu\n", (int)tensor->name_length, tensor->name, (unsigned long long)tensor->shape[1],
               (unsigned long long)tensor->shape[0]);
    }
}

static int multiply(const struct gguf_tensor *matrix)
{
    int variant = bonsai_edge_best_variant();
    int64_t num_columns = (int64_t)matrix->shape[0], num_rows = (int64_t)matrix->shape[1];
    float *x = malloc((size_t)num_columns * sizeof *x), *out = malloc((size_t)num_rows * sizeof *out);
    void *workspace = aligned_alloc(64, bonsai_edge_workspace_bytes(variant, num_columns, 1));
    int is_ready = x && out && workspace;
    if (is_ready) {
        for (int64_t i = 0; i < num_columns; i++) x[i] = (float)(i % 7 - 3) / 4;
        bonsai_edge_multiply(variant, matrix->data, num_rows, num_columns, x, 1, out, num_rows, workspace);
        fprintf(stderr, "%s kernels\n", bonsai_edge_variant_name(variant));
        for (int64_t row = 0; row < num_rows; row++) printf("%.9g\n", (double)out[row]);
    } else {
        fputs("There is not enough memory.\n", stderr);
    }
    free(workspace);
    free(out);
    free(x);
    return is_ready ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct gguf_file file;
    int status = EXIT_SUCCESS;
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: %s FILE.gguf [MATRIX]\n", argv[0]);
        return 2;
    }
    if (bonsai_edge_interface() != BONSAI_EDGE_INTERFACE) {
        fputs("The library is of another version than its header.\n", stderr);
        return EXIT_FAILURE;
    }
    const char *problem = gguf_open(&file, argv[1]);
    if (problem) {
        fprintf(stderr, "%s cannot be read: %s.\n", argv[1], problem);
        return EXIT_FAILURE;
    }
    if (argc == 2) {
        list(&file);
    } else {
        const struct gguf_tensor *matrix = gguf_find(&file, argv[2]);
        if (matrix && matrix->type == GGML_TYPE_Q1_0) {
            status = multiply(matrix);
        } else {
            fprintf(stderr, "%s has no Q1_0 matrix %s.\n", argv[1], argv[2]);
            status = EXIT_FAILURE;
        }
    }
    gguf_close(&file);
    return status;
}
