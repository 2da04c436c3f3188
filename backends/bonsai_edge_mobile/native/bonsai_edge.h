/* The C interface of the kernels that are compiled ahead of time: one library, nothing beside it, no allocation.
 *
 * A library has several variants of each kernel, one for an instruction set; ask once which is best here:
 *
 *     int variant = bonsai_edge_best_variant();
 *
 * All functions may be called from any thread. Memory is the caller's. Nothing is checked: sizes must be what they are
 * said to be, and what is read and what is written must not overlap. */
#ifndef BONSAI_EDGE_H
#define BONSAI_EDGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when a function below does; compare it with bonsai_edge_interface(). */
#define BONSAI_EDGE_INTERFACE 1

/* Bytes and columns of a block of GGUF's Q1_0: a float16 scale, then 128 sign bits, lowest bit first, 1 for plus. */
#define BONSAI_EDGE_BLOCK_BYTES 18
#define BONSAI_EDGE_BLOCK_COLUMNS 128

int bonsai_edge_interface(void);

/* A hash of the sources that the kernels were compiled from. */
const char *bonsai_edge_version(void);

/* Variants are numbered from 0, the fastest first; the last one runs on every processor of the architecture. */
int bonsai_edge_num_variants(void);
int bonsai_edge_best_variant(void);
const char *bonsai_edge_variant_name(int variant);
int bonsai_edge_variant_is_supported(int variant);

/* How much memory bonsai_edge_multiply needs, a multiple of 64. */
size_t bonsai_edge_workspace_bytes(int variant, int64_t num_columns, int64_t num_tokens);

/* Set out[t * out_stride + r] to the product of row r of a Q1_0 matrix and x[t * num_columns ...], for all of num_rows
 * rows and num_tokens tokens. The activations are rounded to int8 with a scale for every 32 columns, as the engine does.
 *
 * rows: num_rows times num_columns / 128 blocks, as they lie in a GGUF file. num_columns: a multiple of 128.
 * x: float32 (num_tokens, num_columns). out: float32, rows of out_stride floats. workspace: memory of
 * bonsai_edge_workspace_bytes(), aligned to 64 bytes. Threads may share a matrix out by its rows, each with a workspace
 * of its own; a result does not depend on how. */
void bonsai_edge_multiply(
    int variant, const void *rows, int64_t num_rows, int64_t num_columns, const float *x, int64_t num_tokens, float *out,
    int64_t out_stride, void *workspace);

/* What the Python runtime uses: a whole step of a model. `arguments` is the table of bonsai_edge/cpu_step/arguments.py,
 * whose types are bonsai_edge_step_signature(); kv_type 0 is f16, 1 is q8, 2 is q4. All num_threads threads must call it
 * at once, with the same arguments. bonsai_edge_table_tokens() and bonsai_edge_spare_tiles() are sizes of some arrays. */
const char *bonsai_edge_step_signature(void);
int bonsai_edge_table_tokens(int variant);
int bonsai_edge_spare_tiles(int variant);
void bonsai_edge_run_step(int variant, int kv_type, const int64_t *arguments, int64_t num_threads, int64_t thread);

#ifdef __cplusplus
}
#endif

#endif
