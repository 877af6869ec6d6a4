/* fuzz SECONDS SEED MODEL…: damages model files at random, and texts, and runs them with each kernel: nothing may crash or hang.
 *
 * Build it with sanitizers. With -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION the digest is not checked, so that the
 * damage gets behind it; without, every damaged file must be refused. */
#include "edge_lstm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state;

static uint32_t chance(uint32_t below) { /* xorshift64* */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)((state * 2685821657736338717u) >> 33) % below;
}

static size_t place(size_t size) { /* anywhere; half the time where the metadata and the graph's structure are */
    if (chance(2) && size > 2000) return chance(2) ? chance(1000) : size - 1 - chance(size > 9000 ? 9000 : (uint32_t)size);
    return chance((uint32_t)size);
}

static size_t damage(unsigned char *data, size_t size, size_t room) {
    static const char digits[] = "0123456789-+.eE\"{}[],:\\/";
    int changes = 1 + (int)chance(4);
    while (changes-- && size > 1) {
        size_t at = place(size), n = 1 + chance(chance(4) ? 8 : 400), from = place(size);
        if (n > size - at) n = size - at;
        if (n > size - from) n = size - from;
        switch (chance(8)) {
        case 0: data[at] ^= (unsigned char)(1u << chance(8)); break;
        case 1: data[at] = (unsigned char)chance(256); break;
        case 2: data[at] = (unsigned char)digits[chance(sizeof digits - 1)]; break;
        case 3: data[at] = chance(2) ? 0xFF : 0; break;
        case 4: memmove(data + at, data + from, n); break;
        case 5: /* a piece less */
            memmove(data + at, data + at + n, size - at - n);
            size -= n;
            break;
        case 6: /* a piece more */
            if (size + n > room) break;
            memmove(data + at + n, data + at, size - at);
            size += n;
            break;
        default: size = chance(20) ? size : 1 + at; break; /* cut */
        }
    }
    return size;
}

int main(int count, char **arguments) {
    static unsigned char text[3000];
    time_t end;
    unsigned long runs = 0, answers = 0;
    const char *kernels[8];
    uint32_t count_kernels = 0;
    double seconds = count > 3 ? atof(arguments[1]) : 0;
    if (count < 4) return fputs("usage: fuzz SECONDS SEED MODEL...\n", stderr), 2;
    while (count_kernels < 8 && (kernels[count_kernels] = edge_lstm_kernels(count_kernels))) count_kernels++;
    state = strtoull(arguments[2], NULL, 10) * 2 + 1;
    for (end = time(NULL) + (time_t)seconds; time(NULL) < end;) {
        FILE *file = fopen(arguments[3 + chance((uint32_t)count - 3)], "rb");
        unsigned char *whole, *data;
        size_t size, room = 1 << 22;
        int i;
        if (!file || !(whole = malloc(room))) return perror("fuzz"), 2;
        size = fread(whole, 1, room / 2, file);
        fclose(file);
        for (i = 0; i < 200; i++, runs++) {
            const char *error;
            size_t damaged, needs, k;
            void *arena, *memory;
            edge_lstm *model;
            edge_lstm_worker *worker;
            const char *kernel = kernels[chance(count_kernels)];
            unsigned char *copy = malloc(size + 2000);
            if (!copy) return perror("fuzz"), 2;
            memcpy(copy, whole, size);
            damaged = damage(copy, size, size + 2000);
            if (!(data = malloc(damaged))) return perror("fuzz"), 2; /* no byte more: reading on is an error */
            memcpy(data, copy, damaged);
            free(copy);
            needs = edge_lstm_needs(data, damaged, kernel, &error);
            if (!needs && (!error || strchr(error, '\n'))) return fputs("refused without one line\n", stderr), 1;
            if (needs && needs < 1u << 26 && (arena = malloc(needs))) {
                if ((model = edge_lstm_open(data, damaged, kernel, arena, needs, &error)) &&
                    (needs = edge_lstm_worker_needs(model)) < 1u << 26 && (memory = malloc(needs))) {
                    size_t labels = edge_lstm_labels(model), texts = 1 + chance(7), sizes[8];
                    const char *starts[8];
                    float *probabilities = malloc(8 * labels * sizeof *probabilities);
                    if (!probabilities || !(worker = edge_lstm_worker_start(model, memory, needs))) return perror("fuzz"), 2;
                    for (k = 0; k < sizeof text; k++)
                        text[k] = chance(3) ? (unsigned char)"aeinost lr.\xCE\xA3\xC4\xB0"[chance(15)] : (unsigned char)chance(256);
                    for (k = 0; k < texts; k++) {
                        size_t from = chance(sizeof text);
                        starts[k] = (const char *)text + from, sizes[k] = chance((uint32_t)(sizeof text - from));
                    }
                    edge_lstm_predict_many(worker, starts, sizes, texts, probabilities, NULL);
                    edge_lstm_predict(worker, (const char *)text, chance(sizeof text), probabilities);
                    edge_lstm_check(worker, NULL, NULL);
                    for (k = 0; k < labels; k++) (void)strlen(edge_lstm_label(model, k));
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
                    if (damaged != size || memcmp(data, whole, size)) return fputs("a damaged file was answered\n", stderr), 1;
#endif
                    answers++;
                    free(probabilities), free(memory);
                }
                free(arena);
            }
            free(data);
        }
        free(whole);
    }
    printf("%lu damaged files, %lu of them opened and run\n", runs, answers);
    return 0;
}
