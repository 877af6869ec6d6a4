/* The vocabulary: its entries, which are words and then pieces of words, and the hash table that
 * finds them (open addressing, at most three quarters full).
 *
 * In the file an entry has only what differs from the one before it. They are decoded once, when
 * the model is opened, into memory: to find the beginning of an entry in the file takes many times
 * as long as to compare it, and a text asks for an entry at every word. */
#ifndef EDGE_LSTM_VOCABULARY_H
#define EDGE_LSTM_VOCABULARY_H

#include "model.h"

/* A slot of the table: eight bits of the hash, and the number of an entry, from 1. 0 if it is
 * empty. */
#define SLOT_TAG 0xFF000000u
#define SLOT_ENTRY 0x00FFFFFFu

/* The start of a word's hash and of a piece's: a word and a piece may have the same letters. */
enum { WORD_SEED = 1, PIECE_SEED = 2 };

/* In tables of chance entries no search gets this far. */
enum { MAX_PROBES = 2048 };

/* An entry begins with a byte for the characters that it shares with the one before it. */
enum { FIRST_LETTER = 0x20, MAX_SHARED = 30 };

/* Reads the entries one after another. */
typedef struct {
    slice left;
    size_t shared; /* bytes that the entry shares with the one before it */
    slice rest;    /* its other bytes */
    size_t size;   /* of both */
    int32_t num_chars;
    size_t starts[MAX_SHARED + 1]; /* of its first characters and, if it is short, its size */
} entry_reader;

static entry_reader read_entries(const edge_lstm *m) {
    entry_reader r = {.left = m->metadata[VOCABULARY]};
    return r;
}

/* Read the next entry. Return 1, 0 behind the last, or -1 if the vocabulary is damaged. */
static int next_entry(entry_reader *r) {
    if (r->left.at == r->left.end)
        return 0;
    int32_t shared = read_byte(&r->left) - 1;
    if (shared < 0 || shared > MAX_SHARED || shared > r->num_chars)
        return -1;
    r->shared = r->starts[shared];
    r->size = r->shared;
    r->num_chars = shared;
    r->rest.at = r->left.at;
    while (r->left.at < r->left.end && *r->left.at >= FIRST_LETTER) {
        int is_start = (read_byte(&r->left) & 0xC0) != 0x80;
        if (is_start && r->num_chars <= MAX_SHARED)
            r->starts[r->num_chars] = r->size;
        r->num_chars += is_start;
        r->size++;
    }
    r->rest.end = r->left.at;
    if (r->num_chars <= MAX_SHARED)
        r->starts[r->num_chars] = r->size;
    return r->size > 0 ? 1 : -1;
}

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

/* Return the hash of one byte more (FNV-1a). */
ALWAYS_INLINE uint32_t hash_byte(uint32_t hash, uint32_t byte) {
    return (hash ^ byte) * 16777619u;
}

/* Return whether an entry is this word or piece. */
ALWAYS_INLINE int is_entry(const edge_lstm *m, uint32_t entry, const unsigned char *text,
                           size_t size, int is_piece) {
    if (is_piece != (entry > (uint32_t)m->num_words))
        return 0;
    uint32_t start = m->entry_starts[entry - 1];
    size_t entry_size = m->entry_starts[entry] - start;
    return entry_size == size && memcmp(m->entries + start, text, size) == 0;
}

/* Return the slot of a word or piece, or the empty slot for it. */
static uint32_t *find_word(const edge_lstm *m, const unsigned char *text, size_t size,
                            uint32_t hash, int is_piece) {
    uint32_t slot = first_slot(hash, m->slot_mask);
    while (m->slots[slot] != 0) {
        uint32_t value = m->slots[slot];
        int has_tag = ((value ^ hash) & SLOT_TAG) == 0;
        if (has_tag && is_entry(m, value & SLOT_ENTRY, text, size, is_piece))
            break;
        slot = (slot + 1) & m->slot_mask;
    }
    return m->slots + slot;
}

/* Decode the entries and fill the table. Return whether that took few steps an entry; else they
 * must have been chosen to fill one place. */
static int index_vocabulary(edge_lstm *m) {
    entry_reader r = read_entries(m);
    unsigned char *text = m->entries;
    const unsigned char *previous = text;
    for (int32_t n = 0; next_entry(&r) > 0; n++) {
        int is_piece = n >= m->num_words;
        memcpy(text, previous, r.shared);
        memcpy(text + r.shared, r.rest.at, r.size - r.shared);
        uint32_t hash = is_piece ? PIECE_SEED : WORD_SEED;
        for (size_t i = 0; i < r.size; i++)
            hash = hash_byte(hash, text[i]);
        uint32_t *slot = find_word(m, text, r.size, hash, is_piece);
        uint32_t probes = (uint32_t)(slot - m->slots) - first_slot(hash, m->slot_mask);
        if ((probes & m->slot_mask) > MAX_PROBES)
            return 0;
        *slot = (hash & SLOT_TAG) | (uint32_t)(n + 1); /* of equal entries the last counts */
        previous = text;
        text += r.size;
        m->entry_starts[n + 1] = (uint32_t)(text - m->entries);
    }
    return 1;
}

#endif
