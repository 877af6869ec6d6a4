/* bench MODEL [KERNEL] < LINES: how long texts take, a line each: text → ids, and ids → answer alone and side by side.
 * The fastest of several passes, one thread. For figures, on a machine that does nothing else. */
#include "edge_lstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 100000, PASSES = 7 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static char *read_all(FILE *file, size_t *size) {
    size_t room = 1 << 20, got;
    char *data = malloc(room);
    for (*size = 0; data && (got = fread(data + *size, 1, room - *size, file)) > 0;)
        if ((*size += got) == room) data = realloc(data, room *= 2);
    return data;
}

int main(int count, char **arguments) {
    static const char *texts[MOST];
    static size_t sizes[MOST];
    const char *error, *kernel = count > 2 ? arguments[2] : NULL;
    size_t size, lines_size, n = 0, i, tokens = 0, bytes = 0, ids_count;
    FILE *source = count > 1 ? fopen(arguments[1], "rb") : NULL;
    char *file, *lines, *at, *end;
    const int32_t *ids;
    float *probabilities;
    edge_lstm *model;
    edge_lstm_worker *worker;
    double start, took, encode = 1e9, alone = 1e9, many = 1e9;
    int pass;
    if (!source) return fputs("usage: bench MODEL [KERNEL] < LINES\n", stderr), 2;
    file = read_all(source, &size), lines = read_all(stdin, &lines_size);
    i = edge_lstm_needs(file, size, kernel, &error);
    if (!i || !(model = edge_lstm_open(file, size, kernel, malloc(i), i, &error))) return fprintf(stderr, "%s\n", error), 1;
    i = edge_lstm_worker_needs(model);
    worker = edge_lstm_worker_start(model, malloc(i), i);
    for (at = lines; n < MOST && at < lines + lines_size; at = end + 1, n++) {
        end = memchr(at, '\n', (size_t)(lines + lines_size - at));
        if (!end) end = lines + lines_size;
        texts[n] = at, sizes[n] = (size_t)(end - at), bytes += sizes[n];
        edge_lstm_encode(worker, texts[n], sizes[n], &ids, &ids_count);
        tokens += ids_count;
    }
    probabilities = malloc(n * edge_lstm_labels(model) * sizeof *probabilities);
    if (!n || !probabilities) return fputs("no texts\n", stderr), 1;
    for (pass = 0; pass < PASSES; pass++) {
        start = now();
        for (i = 0; i < n; i++) edge_lstm_encode(worker, texts[i], sizes[i], &ids, &ids_count);
        encode = (took = now() - start) < encode ? took : encode;
        start = now();
        for (i = 0; i < n; i++) edge_lstm_predict(worker, texts[i], sizes[i], probabilities);
        alone = (took = now() - start) < alone ? took : alone;
        start = now();
        edge_lstm_predict_many(worker, texts, sizes, n, probabilities, NULL);
        many = (took = now() - start) < many ? took : many;
    }
    printf("%s: %lu texts, %.1f tokens each\n", edge_lstm_kernel(model), (unsigned long)n, (double)tokens / (double)n);
    printf("text to ids   %8.2f us a text, %.0f MB/s\n", 1e6 * encode / (double)n, 1e-6 * (double)bytes / encode);
    printf("alone         %8.2f us a text, %.0f ns a token without that\n", 1e6 * alone / (double)n,
           1e9 * (alone - encode) / (double)tokens);
    printf("side by side  %8.2f us a text, %.0f ns a token without that\n", 1e6 * many / (double)n,
           1e9 * (many - encode) / (double)tokens);
    return 0;
}
