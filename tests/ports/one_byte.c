/* one_byte MODEL STEP MASK…: opens the file with one byte changed (exclusive or), at every STEP-th place and at each of
 * the last 100, by each mask → how many files were tried, and the places of those that were opened. */
#include "edge_lstm.h"

#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments) {
    static unsigned char data[1 << 22];
    FILE *file = fopen(arguments[1], "rb");
    size_t size = file ? fread(data, 1, sizeof data, file) : 0, step = strtoul(arguments[2], NULL, 10), at, needs, room = 0;
    unsigned long tried = 0;
    const char *error;
    void *arena = NULL;
    int i;
    if (!edge_lstm_needs(data, size, &error)) return fprintf(stderr, "%s\n", error), 1;
    for (at = 0; at < size; at++)
        for (i = 3; i < count && (at % step == 0 || at + 100 >= size); i++, tried++) {
            unsigned char mask = (unsigned char)strtoul(arguments[i], NULL, 10);
            data[at] ^= mask;
            needs = edge_lstm_needs(data, size, &error);
            if (needs > room && needs < 1u << 26) free(arena), arena = malloc(room = needs);
            if (needs && needs <= room && edge_lstm_open(data, size, arena, room, &error)) printf("%lu ", (unsigned long)at);
            data[at] ^= mask;
        }
    free(arena), fclose(file);
    printf("of %lu\n", tried);
    return 0;
}
