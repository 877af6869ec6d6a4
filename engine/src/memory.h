/* Lays out the memory of a model and of a worker, which the caller gives. */
#ifndef EDGE_LSTM_MEMORY_H
#define EDGE_LSTM_MEMORY_H

#include "model.h"
#include "packing.h"
#include "vocabulary.h"

enum { ALIGNMENT = 64 };           /* of each array: that of the widest vectors */
enum { BYTES_OF_REPLACEMENT = 3 }; /* U+FFFD in UTF-8, which a byte of a label may become */

/* Hands out memory from its base; without one it only counts. */
typedef struct {
    unsigned char *base;
    uint64_t used;
} arena;

/* Return an arena in memory of any alignment, or one that counts for NULL. */
static arena arena_at(void *memory) {
    arena a = {NULL, 0};
    if (memory) {
        size_t to_next = (size_t)(-(uintptr_t)memory & (ALIGNMENT - 1));
        a.base = (unsigned char *)memory + to_next;
    }
    return a;
}

/* Return room for an array, or NULL if the arena only counts. */
static void *arena_alloc(arena *a, uint64_t count, size_t size) {
    unsigned char *array = a->base ? a->base + a->used : NULL;
    uint64_t blocks = (count * size + ALIGNMENT - 1) / ALIGNMENT;
    a->used += blocks * ALIGNMENT;
    return array;
}

/* Return the bytes to ask for, at any alignment. A number that does not fit in size_t becomes one
 * that no memory has. */
static size_t arena_size(const arena *a) {
    if (a->used >= SIZE_MAX / 2)
        return SIZE_MAX / 2;
    return (size_t)a->used + ALIGNMENT - 1;
}

static void lay_out_model(edge_lstm *m, arena *a) {
    int32_t lanes = m->kernel->lanes;
    int32_t blocks = (m->hidden + lanes - 1) / lanes;
    uint64_t labels = (uint64_t)m->num_labels;
    uint64_t entries = (uint64_t)m->num_entries;
    uint64_t slots = table_size(entries);
    m->units = blocks * lanes;
    arena_alloc(a, 1, sizeof *m);
    for (int32_t d = 0; d < m->num_directions; d++) {
        packed_weights *packed = &m->weights[d];
        packed->w = arena_alloc(a, (uint64_t)blocks, block_size(m, m->embedding_dim));
        packed->r = arena_alloc(a, (uint64_t)blocks, block_size(m, m->hidden));
        packed->bias = arena_alloc(a, (uint64_t)m->units, 4 * sizeof(float));
    }

    uint64_t name_bytes = slice_length(m->metadata[LABELS]) * BYTES_OF_REPLACEMENT + labels;
    m->label_names = arena_alloc(a, labels, sizeof(char *));
    char *names = arena_alloc(a, name_bytes, 1);
    if (names)
        m->label_names[0] = names;
    m->thresholds = arena_alloc(a, m->is_multi_label ? labels : 0, sizeof(double));
    m->special = arena_alloc(a, (uint64_t)m->num_special, sizeof *m->special);

    m->slot_mask = (uint32_t)(slots - 1);
    m->slots = arena_alloc(a, slots, sizeof(uint32_t));
    m->entry_starts = arena_alloc(a, entries + 1, sizeof(uint32_t));
    m->entries = arena_alloc(a, m->entry_bytes, 1);
}

static void lay_out_state(const edge_lstm *m, lstm_state *s, arena *a) {
    uint64_t units = (uint64_t)m->units;
    s->c = arena_alloc(a, units, sizeof(float));
    s->h = arena_alloc(a, units, sizeof(float));
    s->h_sum = arena_alloc(a, units, sizeof(float));
    s->h_max = arena_alloc(a, units, sizeof(float));
    s->gates = arena_alloc(a, units, 4 * sizeof(float));
    s->x = arena_alloc(a, (uint64_t)m->embedding_dim + INPUT_PADDING, input_size(m));
    if (m->is_int8)
        s->h_q = arena_alloc(a, units + INPUT_PADDING, input_size(m));
    else
        s->h_q = (unsigned char *)s->h;
}

static void lay_out_worker(const edge_lstm *m, edge_lstm_worker *w, arena *a) {
    arena_alloc(a, 1, sizeof *w);
    for (int t = 0; t < EDGE_LSTM_TEXTS; t++) {
        sequence *s = &w->sequences[t];
        s->ids = arena_alloc(a, 2 * (uint64_t)m->max_length, sizeof(int32_t));
        for (int32_t d = 0; d < m->num_directions; d++)
            lay_out_state(m, &s->states[d], a);
    }
    w->word = arena_alloc(a, word_capacity(m), 1);
    w->ngrams_seen = arena_alloc(a, (uint64_t)m->num_ngrams / 8 + 1, 1);
    w->row = arena_alloc(a, (uint64_t)(m->ngram_dim + m->num_logits + ROW_PADDING), 1);
    w->features = arena_alloc(a, (uint64_t)(pooled_dim(m) + m->ngram_dim), sizeof(float));
    w->logits = arena_alloc(a, (uint64_t)m->num_labels, sizeof(float));
}

#endif
