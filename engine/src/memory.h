/* Lays out the memory of a model and of a worker, which the caller gives.
 *
 * Each layout runs twice: with an arena that only counts, to find its size, and with the memory. */
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

/* Return an arena of a size as arena_size says, in memory that is all zero. */
static arena cleared_arena(void *memory, size_t size) {
    arena a = arena_at(memory);
    memset(a.base, 0, size - (ALIGNMENT - 1));
    return a;
}

/* Return the bytes to ask for, at any alignment. A number that does not fit in size_t becomes one
 * that no memory has. */
static size_t arena_size(const arena *a) {
    if (a->used >= SIZE_MAX / 2)
        return SIZE_MAX / 2;
    return (size_t)a->used + ALIGNMENT - 1;
}

static void lay_out_lstm(const edge_lstm *m, lstm_layer *layer, arena *a) {
    int32_t lanes = m->kernel->lanes;
    int32_t blocks = (layer->hidden + lanes - 1) / lanes;
    layer->units = blocks * lanes;
    for (int32_t d = 0; d < layer->num_directions; d++) {
        packed_weights *packed = &layer->packed[d];
        packed->w = arena_alloc(a, (uint64_t)blocks, block_size(m, layer->inputs));
        packed->r = arena_alloc(a, (uint64_t)blocks, block_size(m, layer->hidden));
        packed->bias = arena_alloc(a, (uint64_t)layer->units, 4 * sizeof(float));
    }
}

/* The model itself lies at the base; its arrays follow. */
static void lay_out_model(edge_lstm *m, arena *a) {
    uint64_t labels = (uint64_t)m->num_labels;
    uint64_t entries = (uint64_t)m->num_entries;
    arena_alloc(a, 1, sizeof *m);
    for (int32_t k = 0; k < m->num_lstms; k++)
        lay_out_lstm(m, &m->lstms[k], a);

    uint64_t name_bytes = slice_length(m->metadata[LABELS]) * BYTES_OF_REPLACEMENT + labels;
    m->label_names = arena_alloc(a, labels, sizeof(char *));
    m->label_bytes = arena_alloc(a, name_bytes, 1);
    m->thresholds = arena_alloc(a, m->is_multi_label ? labels : 0, sizeof(double));
    m->special = arena_alloc(a, (uint64_t)m->num_special, sizeof *m->special);

    m->num_slots = (uint32_t)(entries * 7 / 4 + 2);
    m->slot_tags = arena_alloc(a, m->num_slots, 1);
    m->slot_numbers = arena_alloc(a, m->num_slots, sizeof(uint16_t));
    m->block_bits = find_block_bits(m);
    m->block_starts = arena_alloc(a, (entries >> m->block_bits) + 1, sizeof(uint32_t));
    m->entry_starts = arena_alloc(a, entries + 1, sizeof(uint16_t));
    m->entries = arena_alloc(a, m->entry_bytes, 1);
    m->longest_from = arena_alloc(a, 256, sizeof(int32_t));
}

/* The largest sizes of a network's layers. */
typedef struct {
    int32_t directions;
    int32_t units;
    int32_t inputs;
    int32_t outputs;  /* of a step that another LSTM reads */
    int32_t features; /* of a dense layer */
} largest_sizes;

static largest_sizes find_largest(const edge_lstm *m) {
    largest_sizes most = {0, 0, 0, 0, pooled_dim(m)};
    for (int32_t k = 0; k < m->num_lstms; k++) {
        const lstm_layer *layer = &m->lstms[k];
        raise_to(&most.directions, layer->num_directions);
        raise_to(&most.units, layer->units);
        raise_to(&most.inputs, layer->inputs);
        if (layer->gives_steps)
            raise_to(&most.outputs, num_outputs(layer));
    }
    for (int32_t k = 0; k < m->num_dense; k++)
        raise_to(&most.features, m->dense[k].inputs);
    return most;
}

/* All layers use the same states, one after another. */
static void lay_out_state(const edge_lstm *m, const largest_sizes *most, lstm_state *s, arena *a) {
    uint64_t units = (uint64_t)most->units;
    s->c = arena_alloc(a, units, sizeof(float));
    s->h = arena_alloc(a, units, sizeof(float));
    s->h_sum = arena_alloc(a, units, sizeof(float));
    s->h_max = arena_alloc(a, units, sizeof(float));
    s->gates = arena_alloc(a, units, 4 * sizeof(float));
    s->x = arena_alloc(a, (uint64_t)most->inputs + INPUT_PADDING, input_size(m));
    if (m->is_int8)
        s->h_q = arena_alloc(a, units + INPUT_PADDING, input_size(m));
    else
        s->h_q = (unsigned char *)s->h;
}

/* The worker itself lies at the base; its arrays follow. */
static void lay_out_worker(const edge_lstm *m, edge_lstm_worker *w, arena *a) {
    largest_sizes most = find_largest(m);
    uint64_t length = (uint64_t)m->max_length;
    uint64_t step_bytes = (uint64_t)most.outputs * input_size(m);
    arena_alloc(a, 1, sizeof *w);
    for (int t = 0; t < EDGE_LSTM_TEXTS; t++) {
        sequence *s = &w->sequences[t];
        s->ids = arena_alloc(a, 2 * length, sizeof(int32_t));
        for (int i = 0; i < 2 && i < m->num_lstms - 1; i++)
            s->steps[i] = arena_alloc(a, length * step_bytes, 1);
        for (int32_t d = 0; d < most.directions; d++)
            lay_out_state(m, &most, &s->states[d], a);
    }
    w->word = arena_alloc(a, word_capacity(m), 1);
    w->ngrams_seen = arena_alloc(a, seen_bytes(m), 1);
    w->row = arena_alloc(a, (uint64_t)(m->ngram_dim + m->num_logits + ROW_PADDING), 1);
    for (int i = 0; i < 2; i++)
        w->features[i] = arena_alloc(a, (uint64_t)most.features, sizeof(float));
    w->logits = arena_alloc(a, (uint64_t)m->num_labels, sizeof(float));
}

#endif
