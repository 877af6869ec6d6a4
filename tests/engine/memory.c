/* memory MODEL: memory may lie anywhere, too little is refused, and so are ids of no word. */
#include "edge_lstm.c"

#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments) {
    static unsigned char file[1 << 22];
    const char *error;
    size_t size = fread(file, 1, sizeof file, fopen(arguments[count - 1], "rb"));
    size_t needs, more, rows, i, small = 0;
    needs = edge_lstm_needs(file, size, NULL, &error);
    for (i = 0; i < 64; i += 7) {
        unsigned char *memory = malloc(needs + i), *other;
        float p[2], worst;
        edge_lstm *model = edge_lstm_open(file, size, NULL, memory + i, needs, &error);
        edge_lstm_worker *worker;
        if (!model) return 1;
        more = edge_lstm_worker_needs(model);
        other = malloc(more + i);
        worker = edge_lstm_worker_start(model, other + i, more);
        if (!worker || edge_lstm_check(worker, &rows, &worst)) return 1;
        edge_lstm_predict(worker, "A wonderful film.", 17, p);
        if (edge_lstm_run(worker, (const int32_t[]){-1}, 1, 1, p)) return 2;
        if (edge_lstm_run(worker, (const int32_t[]){1 << 20}, 1, 1, p)) return 2;
        if (edge_lstm_run(worker, (const int32_t[]){1}, 1, 0, p)) return 2;
        small += !edge_lstm_worker_start(model, other + i, more - 1);
        model = edge_lstm_open(file, size, NULL, memory + i, needs - 1, &error);
        small += !model && strstr(error, "memory");
        free(memory), free(other);
    }
    small += !edge_lstm_open(file, size, NULL, NULL, 0, &error) && strstr(error, "memory");
    return small == 21 ? 0 : 3;
}
