/* Reads memory with several threads as fast as a plain C loop can, in the manner of STREAM (McCalpin, 1995).

   cc -O3 -march=native -pthread stream_read.c -o stream_read && ./stream_read THREADS BYTES REPETITIONS

   Prints bytes/s of the best repetition: all bytes over the time from the first thread's start to the last one's end. */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MOST_THREADS = 256, MOST_REPETITIONS = 1000 };

static pthread_barrier_t start;
static size_t num_words;
static int repetitions;
static double began[MOST_THREADS][MOST_REPETITIONS], ended[MOST_THREADS][MOST_REPETITIONS];
static volatile uint64_t result; /* so that the reads are not optimized away */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void *read_block(void *argument) {
    size_t thread = (size_t)argument, num_bytes = num_words * sizeof(uint64_t);
    uint64_t *words = mmap(NULL, num_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (words == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    madvise(words, num_bytes, MADV_HUGEPAGE); /* as NumPy's large arrays have */
    memset(words, 1, num_bytes);
    for (int repetition = 0; repetition < repetitions; repetition++) {
        uint64_t combined = 0;
        pthread_barrier_wait(&start);
        began[thread][repetition] = now();
        for (size_t i = 0; i < num_words; i++)
            combined |= words[i];
        ended[thread][repetition] = now();
        result = combined;
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s THREADS BYTES REPETITIONS\n", argv[0]);
        return 2;
    }
    size_t num_threads = strtoull(argv[1], NULL, 10);
    num_words = num_threads ? strtoull(argv[2], NULL, 10) / num_threads / sizeof(uint64_t) : 0;
    repetitions = atoi(argv[3]);
    if (num_words == 0 || num_threads > MOST_THREADS || repetitions < 1 || repetitions > MOST_REPETITIONS) {
        fprintf(stderr, "1 to %d threads, 1 to %d repetitions, a word for each thread\n", MOST_THREADS, MOST_REPETITIONS);
        return 2;
    }
    pthread_t threads[MOST_THREADS];
    pthread_barrier_init(&start, NULL, (unsigned)num_threads);
    for (size_t thread = 0; thread < num_threads; thread++)
        if (pthread_create(&threads[thread], NULL, read_block, (void *)thread) != 0) {
            perror("pthread_create");
            return 1;
        }
    for (size_t thread = 0; thread < num_threads; thread++)
        pthread_join(threads[thread], NULL);
    double best = 0;
    for (int repetition = 0; repetition < repetitions; repetition++) {
        double first = began[0][repetition], last = ended[0][repetition];
        for (size_t thread = 1; thread < num_threads; thread++) {
            if (began[thread][repetition] < first)
                first = began[thread][repetition];
            if (ended[thread][repetition] > last)
                last = ended[thread][repetition];
        }
        double bytes_per_s = (double)(num_threads * num_words * sizeof(uint64_t)) / (last - first);
        if (bytes_per_s > best)
            best = bytes_per_s;
    }
    printf("%.0f\n", best);
    return 0;
}
