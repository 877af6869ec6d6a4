/* devices MODEL TEXT [KERNEL PASSES]: answers the text of a file once, or in so many passes and prints
 * the nanoseconds of the fastest, and those of a thousand dependent additions. devices.py counts its
 * instructions. */
#include "edge_lstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 1 << 20, MAX_LABELS = 100, ADDITIONS = 1000000 };

static char model_file[MOST];
static char text[MOST];

static size_t read_file(const char *path, char *out) {
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(out, 1, MOST, file) : 0;
    if (file)
        fclose(file);
    return size;
}

#ifdef TIMED
static double nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

static void print_times(edge_lstm_worker *worker, size_t size, int passes) {
    float probabilities[MAX_LABELS];
    double answer = 1e18;
    double additions = 1e18;
    for (int pass = 0; pass < passes; pass++) {
        double start = nanoseconds();
        edge_lstm_predict(worker, text, size, probabilities);
        double between = nanoseconds();
        for (unsigned i = 0, x = 1; i < ADDITIONS; i++)
            __asm__ volatile("add %0, %0" : "+r"(x)); /* each waits for the one before: a cycle */
        double end = nanoseconds();
        if (between - start < answer)
            answer = between - start;
        if (end - between < additions)
            additions = end - between;
    }
    printf("%.0f %.0f\n", answer, additions);
}
#endif

int main(int count, char **arguments) {
    float probabilities[MAX_LABELS];
    const char *error;
    const char *kernel = count > 3 ? arguments[3] : NULL;
    if (count < 3)
        return 2;
    size_t size = read_file(arguments[1], model_file);
    size_t length = read_file(arguments[2], text);
    size_t needs = edge_lstm_needs(model_file, size, kernel, &error);
    edge_lstm *model = edge_lstm_open(model_file, size, kernel, malloc(needs + 1), needs, &error);
    if (!model || edge_lstm_labels(model) > MAX_LABELS)
        return 1;
    size_t more = edge_lstm_worker_needs(model);
    edge_lstm_worker *worker = edge_lstm_worker_start(model, malloc(more), more);
#ifdef TIMED
    print_times(worker, length, atoi(arguments[4]));
#else
    edge_lstm_predict(worker, text, length, probabilities);
    printf("%lu %lu\n", (unsigned long)needs, (unsigned long)more);
#endif
    return 0;
}
