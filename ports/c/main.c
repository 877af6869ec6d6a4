/* edge-lstm-c MODEL [TEXT…]: answers each text, or each line of standard input, as edge-lstm predict does.
 *
 *     --all     every label's probability behind the answer
 *     --check   runs the file's golden rows instead
 *     --time N  answers each text N times and says how long the fastest took, in µs, behind the answer */
#include "edge_lstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void fail(const char *what, const char *why) {
    fprintf(stderr, "error: %s: %s\n", what, why);
    exit(1);
}

static char *more_room(char *data, size_t room) {
    data = realloc(data, room);
    if (!data) fail("memory", "there is not enough");
    return data;
}

static char *read_file(FILE *file, size_t *size) {
    size_t room = 1 << 20, got;
    char *data = more_room(NULL, room);
    *size = 0;
    while ((got = fread(data + *size, 1, room - *size, file)) > 0)
        if ((*size += got) == room) data = more_room(data, room *= 2);
    return data;
}

/* A line of any length without its end, or NULL. */
static char *read_line(FILE *file, size_t *size) {
    size_t room = 1 << 10;
    char *data = more_room(NULL, room);
    int c;
    for (*size = 0; (c = getc(file)) != EOF && c != '\n';) {
        data[(*size)++] = (char)c;
        if (*size == room) data = more_room(data, room *= 2);
    }
    if (c == EOF && !*size) {
        free(data);
        return NULL;
    }
    if (*size && data[*size - 1] == '\r') --*size;
    return data;
}

/* No control character is in a label. What changes the direction or ends the line is shown as an escape. */
static void print_label(const char *label) {
    for (; *label; label++) {
        const unsigned char *at = (const unsigned char *)label;
        unsigned c = 0; /* a code point from U+2000 to U+207F, or none */
        if (at[0] == 0xE2 && (at[1] & 0xFE) == 0x80) c = 0x2000u | (at[1] & 1u) << 6 | (at[2] & 63u);
        if (at[0] == 0xD8 && at[1] == 0x9C) printf("\\u061c"), label++;
        else if (c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069))
            printf("\\u%04x", c), label += 2;
        else putchar(*label);
    }
}

/* Those that reach their threshold, the most probable first. */
static void print_labels(const edge_lstm *model, const float *probabilities) {
    size_t labels = edge_lstm_labels(model), last = labels, next, i;
    for (;; last = next) {
        for (next = labels, i = 0; i < labels; i++) {
            float p = probabilities[i];
            if ((double)p < edge_lstm_threshold(model, i)) continue;
            if (last < labels && !(p < probabilities[last] || (p == probabilities[last] && i > last))) continue;
            if (next == labels || p > probabilities[next]) next = i;
        }
        if (next == labels) return;
        if (last < labels) putchar('|');
        print_label(edge_lstm_label(model, next));
    }
}

static void answer(edge_lstm *model, const char *text, size_t size, float *probabilities, int all, long repeats) {
    size_t best = 0, i;
    double fastest = 0;
    long k;
    edge_lstm_status status = edge_lstm_predict(model, text, size, probabilities);
    for (k = 0; k < repeats; k++) {
        clock_t start = clock();
        double taken;
        edge_lstm_predict(model, text, size, probabilities);
        taken = (double)(clock() - start) * 1e6 / CLOCKS_PER_SEC;
        if (!k || taken < fastest) fastest = taken;
    }
    for (i = 1; i < edge_lstm_labels(model); i++)
        if (probabilities[i] > probabilities[best]) best = i;
    if (edge_lstm_threshold(model, 0) > 0) print_labels(model, probabilities);
    else print_label(edge_lstm_label(model, best));
    printf("\t%.6f\t%s", (double)probabilities[best], edge_lstm_status_name(status));
    for (i = 0; all && i < edge_lstm_labels(model); i++) printf("\t%.9g", (double)probabilities[i]);
    if (repeats) printf("\t%.1f", fastest);
    putchar('\n');
    if (fflush(stdout)) fail("standard output", "it cannot be written");
}

int main(int count, char **arguments) {
    int all = 0, check = 0, i = 1;
    long repeats = 0;
    size_t size, arena_size;
    const char *error, *path;
    char *file, *text;
    void *arena;
    float *probabilities;
    edge_lstm *model;
    FILE *source;
    for (; i < count && !strncmp(arguments[i], "--", 2); i++) {
        if (!strcmp(arguments[i], "--all")) all = 1;
        else if (!strcmp(arguments[i], "--check")) check = 1;
        else if (!strcmp(arguments[i], "--time") && i + 1 < count) repeats = atol(arguments[++i]);
        else break;
    }
    if (i >= count || !strncmp(arguments[i], "--", 2)) {
        fputs("usage: edge-lstm-c [--all] [--check] MODEL [TEXT...]\n", stderr);
        return 2;
    }
    path = arguments[i++];
    if (!(source = fopen(path, "rb"))) fail(path, "it cannot be opened; check the path");
    file = read_file(source, &size);
    if (ferror(source)) fail(path, "it cannot be read; give the path of a model file");
    fclose(source);
    if (!(arena_size = edge_lstm_needs(file, size, &error))) fail(path, error);
    arena = malloc(arena_size);
    if (!arena) fail(path, "there is not enough memory");
    if (!(model = edge_lstm_open(file, size, arena, arena_size, &error))) fail(path, error);
    if (check) {
        size_t rows, wrong;
        float worst;
        wrong = edge_lstm_check(model, &rows, &worst);
        printf("%lu of %lu golden rows, largest difference %.1e\n", (unsigned long)(rows - wrong), (unsigned long)rows,
               (double)worst);
        free(arena), free(file);
        return wrong ? 1 : 0;
    }
    probabilities = malloc(edge_lstm_labels(model) * sizeof *probabilities);
    if (!probabilities) fail(path, "there is not enough memory");
    for (size = 0; i < count; i++, size = 1) answer(model, arguments[i], strlen(arguments[i]), probabilities, all, repeats);
    if (!size)
        while ((text = read_line(stdin, &size))) {
            answer(model, text, size, probabilities, all, repeats);
            free(text);
        }
    free(probabilities), free(arena), free(file);
    return 0;
}
