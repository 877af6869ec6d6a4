/* fuzz SECONDS SEED MODEL…: damages model files at random, and texts, and runs them with each kernel: nothing may crash or
 * hang, and each kernel has to give plain C's bits.
 *
 * Build it with sanitizers. With -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION the digest is not checked, so that the
 * damage gets behind it; without, every damaged file must be refused.
 *
 * With -DLIBFUZZER and clang's libFuzzer, what is damaged next follows from the branches that were taken. An input is then
 * a text of TEXT bytes with a model file behind it:
 *
 *     for model in *.onnx; do (head -c 256 TEXTS; cat $model) > corpus/$(basename $model); done
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined,float-cast-overflow -fno-sanitize-recover=all -DLIBFUZZER \
 *         -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION -Iengine tests/engine/fuzz.c engine/edge_lstm.c -o fuzz
 *     ./fuzz -max_total_time=3600 -max_len=300000 corpus */
#include "edge_lstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state;

static void *had(void *memory) { /* or there is none, and no file */
    if (!memory) perror("fuzz"), exit(2);
    return memory;
}

static void fail(const char *why) {
    fprintf(stderr, "%s\n", why);
    abort();
}

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
        case 3: memset(data + at, chance(2) ? 0xFF : 0, chance(2) ? 1 : n); break;
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

/* Returns the probabilities of texts, [texts, labels], side by side or one by one; NULL where the file is refused. */
static float *probabilities(const unsigned char *file, size_t size, const char *kernel, const char *const *starts,
                            const size_t *sizes, size_t texts, int side_by_side, size_t *bytes) {
    const char *error;
    size_t needs = edge_lstm_needs(file, size, kernel, &error), labels, k, rows;
    float *result, worst;
    void *memory, *more;
    edge_lstm *model;
    edge_lstm_worker *worker;
    if (!needs && (!error || strchr(error, '\n'))) fail("refused without one line");
    if (!needs || needs >= 1u << 26) return NULL;
    memory = had(malloc(needs));
    model = edge_lstm_open(file, size, kernel, memory, needs, &error);
    if (!model && (!error || strchr(error, '\n'))) fail("refused without one line");
    if (!model || (needs = edge_lstm_worker_needs(model)) >= 1u << 26) return free(memory), NULL;
    labels = edge_lstm_labels(model);
    result = had(malloc(*bytes = texts * labels * sizeof *result));
    worker = had(edge_lstm_worker_start(model, more = had(malloc(needs)), needs));
    if (side_by_side)
        edge_lstm_predict_many(worker, starts, sizes, texts, result, NULL);
    else
        for (k = 0; k < texts; k++) edge_lstm_predict(worker, starts[k], sizes[k], result + k * labels);
    for (k = 0; k < texts; k++) edge_lstm_unfamiliarity(worker, starts[k], sizes[k], result + k * labels);
    edge_lstm_unfamiliar_above(model, 0.05);
    edge_lstm_check(worker, &rows, &worst);
    for (k = 0; k < labels; k++) (void)strlen(edge_lstm_label(model, k));
    return free(more), free(memory), result;
}

/* Answers pieces of a text, each in memory of its own: to read behind one is an error. Returns whether the file was
 * opened. The bits have to be those of plain C, whatever is damaged. */
static int answered(const unsigned char *file, size_t size, const char *kernel, const unsigned char *text, size_t length) {
    size_t sizes[8], texts = 1 + chance(7), k, bytes, expected;
    char *pieces[8];
    float *ours, *plain;
    int opened;
    for (k = 0; k < texts; k++) {
        size_t from = chance((uint32_t)length);
        sizes[k] = k ? chance((uint32_t)(length - from) + 1) : length - from;
        pieces[k] = memcpy(had(malloc(sizes[k] + !sizes[k])), text + from, sizes[k]);
    }
    ours = probabilities(file, size, kernel, (const char *const *)pieces, sizes, texts, 1, &bytes);
    plain = ours ? probabilities(file, size, "plain", (const char *const *)pieces, sizes, texts, 0, &expected) : NULL;
    if (plain && (bytes != expected || memcmp(ours, plain, bytes))) fail(kernel);
    opened = ours != NULL;
    for (k = 0; k < texts; k++) free(pieces[k]);
    return free(plain), free(ours), opened;
}

static const char *any_kernel(void) {
    const char *kernels[8];
    uint32_t count = 0;
    while (count < 8 && (kernels[count] = edge_lstm_kernels(count))) count++;
    return kernels[chance(count)];
}

#ifdef LIBFUZZER
enum { TEXT = 256 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed) {
    state = 2 * (uint64_t)seed + 1;
    return size < 2 || chance(2) ? LLVMFuzzerMutate(data, size, room) : damage(data, size, room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t i;
    if (size <= TEXT) return 0;
    for (state = 1, i = 0; i < size; i++) state = (state ^ data[i]) * 1099511628211u; /* FNV-1a: the same for the same input */
    state += !state;
    answered(data + TEXT, size - TEXT, any_kernel(), data, TEXT);
    return 0;
}
#else
int main(int count, char **arguments) {
    static unsigned char text[3000];
    time_t end;
    unsigned long runs = 0, answers = 0;
    if (count < 4) return fputs("usage: fuzz SECONDS SEED MODEL...\n", stderr), 2;
    state = strtoull(arguments[2], NULL, 10) * 2 + 1;
    for (end = time(NULL) + (time_t)atof(arguments[1]); time(NULL) < end;) {
        FILE *file = had(fopen(arguments[3 + chance((uint32_t)count - 3)], "rb"));
        size_t room = 1 << 22, size, i, k;
        unsigned char *whole = had(malloc(room));
        size = fread(whole, 1, room / 2, file);
        fclose(file);
        for (i = 0; i < 200; i++, runs++) {
            unsigned char *copy = had(malloc(size + 2000)), *data;
            size_t damaged = damage(memcpy(copy, whole, size), size, size + 2000);
            data = memcpy(had(malloc(damaged)), copy, damaged); /* no byte more: reading on is an error */
            for (k = 0; k < sizeof text; k++)
                text[k] = chance(3) ? (unsigned char)"aeinost lr.\xCE\xA3\xC4\xB0"[chance(15)] : (unsigned char)chance(256);
            if (answered(data, damaged, any_kernel(), text, chance(8) ? 200 : sizeof text)) {
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
                if (damaged != size || memcmp(data, whole, size)) fail("a damaged file was answered");
#endif
                answers++;
            }
            free(copy), free(data);
        }
        free(whole);
    }
    printf("%lu damaged files, %lu of them opened and run\n", runs, answers);
    return 0;
}
#endif
