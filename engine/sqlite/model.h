/* A model file that a connection has open, and its last text. */
#ifndef EDGE_LSTM_SQLITE_MODEL_H
#define EDGE_LSTM_SQLITE_MODEL_H

#include "estimate.h"

#include <stdio.h>
#include <sys/stat.h>

#define OUT_OF_MEMORY "out of memory"
enum { MOST_FILE_BYTES = 512 << 20, KEPT_BYTES = 1 << 16 };

typedef struct model {
    struct model *next;
    char digest[SHA256_DIGITS + 1];
    void *file;
    void *memory;
    edge_lstm *engine;
    edge_lstm_worker *worker;
    double lowest;        /* a text whose label is less probable gets none */
    float *probabilities; /* [labels]: of the last text; behind it the worker's memory */
    const char *status;
    size_t labels;
    int is_multi_label;
    int is_kept; /* the last text is: another function may ask for it again */
    size_t size; /* of it */
    char text[KEPT_BYTES];
    char path[];
} model;

static void close_model(model *m) {
    sqlite3_free(m->file);
    sqlite3_free(m->memory);
    sqlite3_free(m->probabilities);
    sqlite3_free(m);
}

static void *load_file(const char *path, size_t *size, const char **error) {
    struct stat about;
    FILE *file = NULL;
    *error = "it is not a file that can be read, of at most 512 MiB";
    if (stat(path, &about) == 0 && S_ISREG(about.st_mode) && about.st_size <= MOST_FILE_BYTES)
        file = fopen(path, "rb");
    if (!file)
        return NULL;
    *size = (size_t)about.st_size;
    void *bytes = sqlite3_malloc64(*size + 1);
    if (!bytes)
        *error = OUT_OF_MEMORY;
    else if (fread(bytes, 1, *size, file) == *size)
        *error = NULL;
    fclose(file);
    return bytes;
}

/* Open the file. Return NULL, or an error. */
static const char *start(model *m) {
    const char *error;
    size_t size = 0;
    m->file = load_file(m->path, &size, &error);
    if (error)
        return error;
    size_t needs = edge_lstm_needs(m->file, size, NULL, &error);
    m->memory = sqlite3_malloc64(needs);
    if (needs && !m->memory)
        return OUT_OF_MEMORY;
    m->engine = edge_lstm_open(m->file, size, NULL, m->memory, needs, &error);
    if (!m->engine)
        return error;
    sha256(slice_of(m->file, size), m->digest);
    m->labels = edge_lstm_labels(m->engine);
    m->is_multi_label = edge_lstm_threshold(m->engine, 0) > 0;
    if (!m->is_multi_label)
        m->lowest = lowest_probability(m->engine->metadata[ABSTENTION]);
    needs = edge_lstm_worker_needs(m->engine);
    m->probabilities = sqlite3_malloc64(m->labels * sizeof(float) + needs);
    if (!m->probabilities)
        return OUT_OF_MEMORY;
    m->worker = edge_lstm_worker_start(m->engine, m->probabilities + m->labels, needs);
    return NULL;
}

#endif
