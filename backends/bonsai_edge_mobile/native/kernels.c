/* Chooses among the variants of each kernel, which LLVM compiled from the kernels of the CPU backend.
 *
 * The build names them in VARIANTS, the fastest first, each as V(name, table_tokens, spare_tiles). */
#include "bonsai_edge.h"

#include "cpu_features.h"

#define EXPORT __attribute__((visibility("default")))

typedef void step_function(const int64_t *arguments, int64_t num_threads, int64_t thread);
typedef void multiply_function(const int64_t *arguments);

#define V(name, table_tokens, spare_tiles) \
    extern step_function bonsai_edge_##name##_step_f16, bonsai_edge_##name##_step_q8, bonsai_edge_##name##_step_q4; \
    extern multiply_function bonsai_edge_##name##_multiply;
VARIANTS
#undef V

struct variant {
    const char *name;
    int (*is_supported)(void);
    int table_tokens, spare_tiles;
    step_function *step[3];
    multiply_function *multiply;
};

#define V(name, table_tokens, spare_tiles) \
    {#name, \
     bonsai_edge_has_##name, \
     table_tokens, \
     spare_tiles, \
     {bonsai_edge_##name##_step_f16, bonsai_edge_##name##_step_q8, bonsai_edge_##name##_step_q4}, \
     bonsai_edge_##name##_multiply},
static const struct variant variants[] = {VARIANTS};
#undef V

enum { NUM_VARIANTS = sizeof variants / sizeof variants[0] };

EXPORT int bonsai_edge_interface(void) { return BONSAI_EDGE_INTERFACE; }

EXPORT const char *bonsai_edge_version(void) { return VERSION; }

EXPORT const char *bonsai_edge_step_signature(void) { return STEP_SIGNATURE; }

EXPORT int bonsai_edge_num_variants(void) { return NUM_VARIANTS; }

EXPORT const char *bonsai_edge_variant_name(int variant) { return variants[variant].name; }

EXPORT int bonsai_edge_variant_is_supported(int variant) { return variants[variant].is_supported(); }

EXPORT int bonsai_edge_table_tokens(int variant) { return variants[variant].table_tokens; }

EXPORT int bonsai_edge_spare_tiles(int variant) { return variants[variant].spare_tiles; }

EXPORT int bonsai_edge_best_variant(void)
{
    int variant = 0;
    while (variant < NUM_VARIANTS - 1 && !variants[variant].is_supported()) variant++;
    return variant;
}

EXPORT void bonsai_edge_run_step(
    int variant, int kv_type, const int64_t *arguments, int64_t num_threads, int64_t thread)
{
    variants[variant].step[kv_type](arguments, num_threads, thread);
}

/* The arrays of bonsai_edge.cpu_step.workspace that a product works on, laid out one after the other. */
enum { QUANTS, SCALES, NEGATIVE_SUMS, COLUMNS, COLUMN_SCALES, TABLES, SUMS, NUM_ARRAYS };
enum { GROUPS = 4, TABLES_OF_BLOCK = 32, ENTRIES = 16, MAX_TABLE_ROWS = 768, CACHE_LINE_BYTES = 64 };

struct array {
    int64_t item_bytes;
    int num_axes;
    int64_t shape[4];
};

static void describe(int variant, int64_t num_columns, int64_t num_tokens, struct array arrays[NUM_ARRAYS])
{
    int64_t tokens = variants[variant].table_tokens, blocks = num_columns / BONSAI_EDGE_BLOCK_COLUMNS;
    int64_t tiles = (num_tokens + tokens - 1) / tokens, rows = tiles * tokens;
    arrays[QUANTS] = (struct array){1, 3, {rows, blocks, BONSAI_EDGE_BLOCK_COLUMNS}};
    arrays[SCALES] = (struct array){4, 3, {rows, blocks, GROUPS}};
    arrays[NEGATIVE_SUMS] = (struct array){4, 3, {rows, blocks, GROUPS}};
    arrays[COLUMNS] = (struct array){
        1, 4, {tiles + variants[variant].spare_tiles, blocks, BONSAI_EDGE_BLOCK_COLUMNS, tokens}};
    arrays[COLUMN_SCALES] = (struct array){4, 4, {tiles, blocks, GROUPS, tokens}};
    arrays[TABLES] = (struct array){2, 3, {TABLES_OF_BLOCK, ENTRIES, tokens}};
    arrays[SUMS] = (struct array){4, 2, {MAX_TABLE_ROWS, tokens}};
}

static int64_t num_items(const struct array *array)
{
    int64_t product = 1;
    for (int axis = 0; axis < array->num_axes; axis++) product *= array->shape[axis];
    return product;
}

static int64_t padded_bytes(const struct array *array)
{
    int64_t num_bytes = num_items(array) * array->item_bytes;
    return (num_bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES * CACHE_LINE_BYTES;
}

EXPORT size_t bonsai_edge_workspace_bytes(int variant, int64_t num_columns, int64_t num_tokens)
{
    struct array arrays[NUM_ARRAYS];
    int64_t total = 0;
    describe(variant, num_columns, num_tokens, arrays);
    for (int index = 0; index < NUM_ARRAYS; index++) total += padded_bytes(&arrays[index]);
    return (size_t)total;
}

/* Append an array to a table of arguments, as bonsai_edge/cpu_step/arguments.py does; return where it ends. */
static int64_t *append(int64_t *end, const struct array *array, const void *address, int64_t row_bytes)
{
    int64_t stride = array->item_bytes;
    *end++ = 0;
    *end++ = 0;
    *end++ = num_items(array);
    *end++ = array->item_bytes;
    *end++ = (int64_t)address;
    for (int axis = 0; axis < array->num_axes; axis++) *end++ = array->shape[axis];
    for (int axis = array->num_axes - 1; axis >= 0; axis--) {
        end[axis] = stride;
        stride *= array->shape[axis];
    }
    if (row_bytes) end[0] = row_bytes;
    return end + array->num_axes;
}

EXPORT void bonsai_edge_multiply(
    int variant, const void *rows, int64_t num_rows, int64_t num_columns, const float *x, int64_t num_tokens, float *out,
    int64_t out_stride, void *workspace)
{
    struct array arrays[NUM_ARRAYS];
    int64_t table[128], *end = table;
    int64_t row_bytes = num_columns / BONSAI_EDGE_BLOCK_COLUMNS * BONSAI_EDGE_BLOCK_BYTES;
    char *memory = workspace;
    describe(variant, num_columns, num_tokens, arrays);
    end = append(end, &(struct array){1, 2, {num_rows, row_bytes}}, rows, 0);
    end = append(end, &(struct array){4, 2, {num_tokens, num_columns}}, x, 0);
    for (int index = 0; index < NUM_ARRAYS; index++) {
        end = append(end, &arrays[index], memory, 0);
        memory += padded_bytes(&arrays[index]);
    }
    end = append(end, &(struct array){4, 2, {num_tokens, num_rows}}, out, out_stride * (int64_t)sizeof(float));
    *end = 1; /* how often it is computed */
    variants[variant].multiply(table);
}
