/* The hash tables of words, pieces and n-grams: open addressing, at most three quarters full. */
#ifndef EDGE_LSTM_INDEX_H
#define EDGE_LSTM_INDEX_H

#include "model.h"

/* A slot of the vocabulary's table: eight bits of the hash, and the number of a line, from 1.
 * 0 if it is empty. */
#define SLOT_TAG 0xFF000000u
#define SLOT_LINE 0x00FFFFFFu

/* The start of a word's hash and of a piece's: a word and a piece may have the same letters. */
enum { WORD_SEED = 1, PIECE_SEED = 2 };

/* In tables of chance entries no search gets this far. */
enum { MAX_PROBES = 2048 };

/* Return the number of slots of a table: a power of two. */
static uint64_t table_size(uint64_t entries) {
    uint64_t slots = 2;
    while (slots * 3 < entries * 4)
        slots *= 2;
    return slots;
}

/* Return the slot where a search begins. */
ALWAYS_INLINE uint32_t first_slot(uint32_t hash, uint32_t mask) {
    return (hash ^ hash >> 15) & mask;
}

/* Return whether a search ended so far from where it began that the entries must have been chosen
 * to fill one place. Then each would take as many steps as there are entries before it. */
static int is_far(ptrdiff_t slot, uint32_t hash, uint32_t mask) {
    return (((uint32_t)slot - first_slot(hash, mask)) & mask) > MAX_PROBES;
}

static uint32_t hash_ngram(int32_t left, int32_t right) {
    return ((uint32_t)left * 0x9E3779B1u ^ (uint32_t)right) * 0x85EBCA6Bu;
}

/* Return the slot of an n-gram, or the empty slot for it. A slot holds a row's number from 1. */
static uint32_t *find_ngram(const edge_lstm *m, int32_t left, int32_t right) {
    uint32_t slot = first_slot(hash_ngram(left, right), m->ngram_mask);
    while (m->ngram_slots[slot] != 0) {
        const struct ngram *found = &m->ngrams[m->ngram_slots[slot] - 1];
        if (found->left == left && found->right == right)
            break;
        slot = (slot + 1) & m->ngram_mask;
    }
    return m->ngram_slots + slot;
}

/* Return the hash of one byte more (FNV-1a). */
ALWAYS_INLINE uint32_t hash_byte(uint32_t hash, uint32_t byte) {
    return (hash ^ byte) * 16777619u;
}

/* Return whether a line of the vocabulary is this word or piece. */
ALWAYS_INLINE int is_line(const edge_lstm *m, uint32_t line, const unsigned char *text, size_t size,
                          int is_piece) {
    if (is_piece != (line > (uint32_t)m->num_words))
        return 0;
    uint32_t start = m->line_starts[line - 1];
    size_t line_size = m->line_starts[line] - start - 1; /* without the line's end */
    return line_size == size && memcmp(m->metadata[VOCABULARY].at + start, text, size) == 0;
}

/* Return the slot of a word or piece, or the empty slot for it. */
static uint32_t *find_line(const edge_lstm *m, const unsigned char *text, size_t size,
                           uint32_t hash, int is_piece) {
    uint32_t slot = first_slot(hash, m->line_mask);
    while (m->line_slots[slot] != 0) {
        uint32_t entry = m->line_slots[slot];
        int has_tag = ((entry ^ hash) & SLOT_TAG) == 0;
        if (has_tag && is_line(m, entry & SLOT_LINE, text, size, is_piece))
            break;
        slot = (slot + 1) & m->line_mask;
    }
    return m->line_slots + slot;
}

/* Fill the vocabulary's table. Return whether that took few steps a line. */
static int index_vocabulary(edge_lstm *m) {
    slice lines = m->metadata[VOCABULARY];
    slice line;
    for (int32_t n = 0; next_line(&lines, &line); n++) {
        int is_piece = n >= m->num_words;
        size_t size = slice_length(line);
        m->line_starts[n + 1] = m->line_starts[n] + (uint32_t)size + 1;
        uint32_t hash = is_piece ? PIECE_SEED : WORD_SEED;
        for (size_t i = 0; i < size; i++)
            hash = hash_byte(hash, line.at[i]);
        uint32_t *slot = find_line(m, line.at, size, hash, is_piece);
        if (is_far(slot - m->line_slots, hash, m->line_mask))
            return 0;
        *slot = (hash & SLOT_TAG) | (uint32_t)(n + 1); /* of equal lines the last counts */
    }
    return 1;
}

#endif
