/* edge-lstm-c MODEL [TEXT…]: answers each text, or each line of standard input, as edge-lstm predict does.
 *
 *     --all               every label's probability behind the answer
 *     --unfamiliar SHARE  marks texts unlike those that the model learnt from, and at most this share of the others
 *     --check             runs the file's golden rows instead
 *     --kernel NAME       takes this kernel, not the best: avx512-vnni, avx-vnni, avx2, sse2, neon-dot, neon, plain */
#include "edge_lstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int all;
static double above = -1; /* a text with a higher score is unfamiliar; below 0 none is */

static void fail(const char *what, const char *why) {
    fprintf(stderr, "error: %s: %s\n", what, why);
    exit(1);
}

static void *room(void *data, size_t size) {
    data = realloc(data, size);
    if (!data) fail("memory", "there is not enough");
    return data;
}

static char *read_all(FILE *file, const char *path, size_t *size) {
    size_t most = 1 << 20, got;
    char *data = room(NULL, most);
    if (!file) fail(path, "it cannot be opened; check the path");
    for (*size = 0; (got = fread(data + *size, 1, most - *size, file)) > 0;)
        if ((*size += got) == most) data = room(data, most *= 2);
    if (ferror(file)) fail(path, "it cannot be read; give the path of a model file");
    return data;
}

/* A line of any length without its end, in memory that the next one takes; NULL behind the last. */
static const char *read_line(size_t *size) {
    static char *data;
    static size_t most;
    int c;
    for (*size = 0; (c = getchar()) != EOF && c != '\n'; data[(*size)++] = (char)c)
        if (*size == most) data = room(data, most = 2 * most + 1024);
    if (c == EOF && !*size) return NULL;
    if (*size && data[*size - 1] == '\r') --*size;
    return data ? data : "";
}

/* No control character is in a label. What changes the direction or ends the line is shown as an escape. */
static void print_label(const char *label) {
    for (const unsigned char *at = (const unsigned char *)label; *at; at++) {
        unsigned c = 0; /* a code point from U+2000 to U+207F, or none */
        if (at[0] == 0xE2 && (at[1] & 0xFE) == 0x80) c = 0x2000u | (at[1] & 1u) << 6 | (at[2] & 63u);
        if (at[0] == 0xD8 && at[1] == 0x9C) printf("\\u061c"), at++;
        else if (c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069))
            printf("\\u%04x", c), at += 2;
        else putchar(*at);
    }
}

static size_t largest(const float *values, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (values[i] > values[best]) best = i;
    return best;
}

/* Those that reach their threshold, the most probable first. left: a copy of the probabilities, which it changes. */
static void print_labels(const edge_lstm *model, float *left) {
    size_t labels = edge_lstm_labels(model), i;
    const char *joint = "";
    for (i = 0; i < labels; i++)
        if ((double)left[i] < edge_lstm_threshold(model, i)) left[i] = -1;
    while (left[i = largest(left, labels)] >= 0) {
        fputs(joint, stdout), joint = "|";
        print_label(edge_lstm_label(model, i));
        left[i] = -1;
    }
}

static void answer(const edge_lstm *model, edge_lstm_worker *worker, const char *text, size_t size, float *probabilities) {
    size_t labels = edge_lstm_labels(model);
    const char *status = edge_lstm_predict(worker, text, size, probabilities);
    size_t best = largest(probabilities, labels);
    if (above >= 0 && (!strcmp(status, "ok") || !strcmp(status, "truncated")) &&
        edge_lstm_unfamiliarity(worker, text, size, probabilities) > above)
        status = "unfamiliar";
    memcpy(probabilities + labels, probabilities, labels * sizeof *probabilities);
    if (edge_lstm_threshold(model, 0) > 0) print_labels(model, probabilities + labels);
    else print_label(edge_lstm_label(model, best));
    printf("\t%.6f\t%s", (double)probabilities[best], status);
    for (size_t i = 0; all && i < labels; i++) printf("\t%.9g", (double)probabilities[i]);
    putchar('\n');
    if (fflush(stdout)) fail("standard output", "it cannot be written");
}

int main(int count, char **arguments) {
    int checks = 0, i = 1;
    size_t size, rows, wrong;
    float worst;
    const char *error, *kernel = NULL, *share = NULL, *text;
    for (; i < count && !strncmp(arguments[i], "--", 2); i++) {
        if (!strcmp(arguments[i], "--all")) all = 1;
        else if (!strcmp(arguments[i], "--check")) checks = 1;
        else if (!strcmp(arguments[i], "--kernel") && i + 1 < count) kernel = arguments[++i];
        else if (!strcmp(arguments[i], "--unfamiliar") && i + 1 < count) share = arguments[++i];
        else break;
    }
    if (i >= count || !strncmp(arguments[i], "--", 2))
        return fputs("usage: edge-lstm-c [--all] [--unfamiliar SHARE] [--check] [--kernel NAME] MODEL [TEXT...]\n", stderr), 2;
    const char *path = arguments[i++], *file = read_all(fopen(path, "rb"), path, &size);
    size_t needs = edge_lstm_needs(file, size, kernel, &error);
    edge_lstm *model = needs ? edge_lstm_open(file, size, kernel, room(NULL, needs), needs, &error) : NULL;
    if (!model) fail(path, error);
    if (share && (above = edge_lstm_unfamiliar_above(model, atof(share))) < 0)
        fail(path, "it has no threshold for this share; give one such as 0.05, or export it with more texts");
    needs = edge_lstm_worker_needs(model);
    edge_lstm_worker *worker = edge_lstm_worker_start(model, room(NULL, needs), needs);
    if (checks) {
        wrong = edge_lstm_check(worker, &rows, &worst);
        printf("%zu of %zu golden rows, largest difference %.1e\n", rows - wrong, rows, (double)worst);
        return wrong > 0;
    }
    float *probabilities = room(NULL, 2 * edge_lstm_labels(model) * sizeof *probabilities);
    if (i < count)
        for (; i < count; i++) answer(model, worker, arguments[i], strlen(arguments[i]), probabilities);
    else
        while ((text = read_line(&size))) answer(model, worker, text, size, probabilities);
    return 0;
}
