/* answers MODEL KERNEL one|many [RECORDS], answers MODEL KERNEL time PASSES: of each text its status, its ids and, behind a semicolon, the bits of how
 * unfamiliar it is, and the bits of its probabilities.
 *
 * A record is a size in decimal digits, a line feed, and so many bytes. KERNEL: a name, or - for the best; --kernels alone
 * lists those that run here. many: through edge_lstm_predict_many; the second of these is then left out. time: instead, the
 * microseconds of CPU time that a text takes in the fastest of so many passes. */
#include "edge_lstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Memory is given back when the program ends. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }

static void *room(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory) fputs("no memory\n", stderr), exit(2);
    return memory;
}

static void print_row(const char *status, const int32_t *ids, size_t count, double score, const float *probabilities,
                      size_t labels) {
    uint64_t score_bits;
    size_t i;
    memcpy(&score_bits, &score, 8);
    printf("%s\t", status);
    for (i = 0; i < count; i++) printf(i ? ",%d" : "%d", (int)ids[i]);
    if (ids) printf(";%08x%08x", (unsigned)(score_bits >> 32), (unsigned)score_bits);
    for (i = 0; i < labels; i++) {
        uint32_t bits;
        memcpy(&bits, probabilities + i, 4);
        printf("\t%08x", (unsigned)bits);
    }
    putchar('\n');
}

static void print_times(edge_lstm_worker *worker, char *const *texts, const size_t *sizes, size_t n, float *probabilities,
                        int passes) {
    static const char *const names[] = {"text to ids", "alone", "side by side"};
    const int32_t *ids;
    size_t i, k;
    clock_t fastest[3] = {0}, start, took;
    int pass, way;
    printf("%lu texts\n", (unsigned long)n); /* for who measures this process while it runs */
    fflush(stdout);
    for (pass = 0; pass < passes; pass++)
        for (way = 0; way < 3; way++) {
            start = clock();
            for (i = 0; i < n && way < 2; i++)
                if (way) edge_lstm_predict(worker, texts[i], sizes[i], probabilities);
                else edge_lstm_encode(worker, texts[i], sizes[i], &ids, &k);
            if (way == 2) edge_lstm_predict_many(worker, (const char *const *)texts, sizes, n, probabilities, NULL);
            took = clock() - start;
            if (!pass || took < fastest[way]) fastest[way] = took;
        }
    for (way = 0; way < 3; way++)
        printf("%s\t%.3f\n", names[way], 1e6 / CLOCKS_PER_SEC * (double)fastest[way] / (double)n);
}

int main(int count, char **arguments) {
    static char *texts[100000];
    static size_t sizes[100000];
    size_t size, n = 0, i, labels;
    const char *error, *kernel;
    char *file;
    float *probabilities;
    const char **statuses;
    edge_lstm *model;
    edge_lstm_worker *worker;
    FILE *source;
    unsigned long digits;
    if (count == 2 && !strcmp(arguments[1], "--kernels")) {
        for (i = 0; edge_lstm_kernels(i); i++) puts(edge_lstm_kernels(i));
        return 0;
    }
    if (count > 4 && strcmp(arguments[3], "time") && !freopen(arguments[4], "rb", stdin)) return perror("answers"), 2;
    if (count < 4 || !(source = fopen(arguments[1], "rb"))) return fputs("usage: answers MODEL KERNEL one|many|time\n", stderr), 2;
    fseek(source, 0, SEEK_END);
    size = (size_t)ftell(source);
    rewind(source);
    file = room(size);
    if (fread(file, 1, size, source) != size) return 2;
    fclose(source);
    kernel = strcmp(arguments[2], "-") ? arguments[2] : NULL;
    i = edge_lstm_needs(file, size, kernel, &error);
    if (!i || !(model = edge_lstm_open(file, size, kernel, room(i), i, &error))) return fprintf(stderr, "%s\n", error), 1;
    i = edge_lstm_worker_needs(model);
    worker = edge_lstm_worker_start(model, room(i), i);
    labels = edge_lstm_labels(model);
    for (; n < 100000 && scanf("%lu", &digits) == 1; n++) {
        size = (size_t)digits;
        getchar();
        texts[n] = room(size), sizes[n] = size;
        if (fread(texts[n], 1, size, stdin) != size) return 2;
    }
    probabilities = room(n * labels * sizeof *probabilities), statuses = room(n * sizeof *statuses);
    if (!strcmp(arguments[3], "many")) {
        edge_lstm_predict_many(worker, (const char *const *)texts, sizes, n, probabilities, statuses);
        for (i = 0; i < n; i++) print_row(statuses[i], NULL, 0, 0, probabilities + i * labels, labels);
    } else if (!strcmp(arguments[3], "time") && count > 4)
        print_times(worker, texts, sizes, n, probabilities, atoi(arguments[4]));
    else
        for (i = 0; i < n; i++) {
            const char *status = edge_lstm_predict(worker, texts[i], sizes[i], probabilities);
            double score = edge_lstm_unfamiliarity(worker, texts[i], sizes[i], probabilities);
            const int32_t *ids;
            size_t k;
            edge_lstm_encode(worker, texts[i], sizes[i], &ids, &k);
            print_row(status, ids, k, score, probabilities, labels);
        }
    return 0;
}
