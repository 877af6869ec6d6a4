/* The vocabulary: its entries, which are words and then pieces of words, and the hash table that
 * finds them (open addressing, four sevenths full).
 *
 * In the file an entry has only what differs from the one before it. They are decoded once, when
 * the model is opened, into memory: to find the beginning of an entry in the file takes many times
 * as long as to compare it, and a text asks for an entry at every word. */
#ifndef EDGE_LSTM_VOCABULARY_H
#define EDGE_LSTM_VOCABULARY_H

#include "characters.h"
#include "model.h"

/* A slot of the table has three bytes: a tag, and 16 bits of the number of an entry, from 1. The
 * tag has the 17th bit of the number; six bits of the hash, which spare most comparisons with
 * other entries; and a bit that is 0 if the slot is empty. */
enum { TAG_USED = 1, TAG_HASH = 0x7E, TAG_HIGH_BIT = 7, NUMBER_BITS = 16 };

/* The start of a word's hash and of a piece's: a word and a piece may have the same letters. */
enum { WORD_SEED = 1, PIECE_SEED = 2 };

/* In tables of chance entries no search gets this far. */
enum { MAX_PROBES = 2048 };
enum { MAX_BLOCK_BITS = 8 }; /* of the number of entries whose starts are counted from one place */

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
        int is_start = !is_continuation(read_byte(&r->left));
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

/* Return the slot where a search begins. */
ALWAYS_INLINE uint32_t first_slot(const edge_lstm *m, uint32_t hash) {
    uint32_t mixed = hash * 0x9E3779B1u; /* Fibonacci hashing: its high bits depend on all */
    return (uint32_t)((uint64_t)mixed * m->num_slots >> 32);
}

/* Return the hash of one byte more (FNV-1a). */
ALWAYS_INLINE uint32_t hash_byte(uint32_t hash, uint32_t byte) {
    return (hash ^ byte) * 16777619u;
}

/* Return the number of entries of a block, as a power of two: their starts have 16 bits. */
static int find_block_bits(const edge_lstm *m) {
    int32_t longest = m->longest_word;
    int bits = 0;
    raise_to(&longest, m->longest_piece);
    while (bits < MAX_BLOCK_BITS && longest <= UINT16_MAX >> (bits + 1))
        bits++;
    return bits;
}

/* Return where an entry begins in memory, or ends: that is where the next one begins. */
ALWAYS_INLINE size_t entry_start(const edge_lstm *m, uint32_t place) {
    return (size_t)m->block_starts[place >> m->block_bits] + m->entry_starts[place];
}

/* Return whether an entry is this word or piece. */
ALWAYS_INLINE int is_entry(const edge_lstm *m, uint32_t number, const unsigned char *text,
                           size_t size, int is_piece) {
    if (is_piece != (number > (uint32_t)m->num_words))
        return 0;
    size_t start = entry_start(m, number - 1);
    size_t entry_size = entry_start(m, number) - start;
    return entry_size == size && memcmp(m->entries + start, text, size) == 0;
}

/* Return the number of the entry in a slot, or 0 if it is empty. */
ALWAYS_INLINE uint32_t number_in(const edge_lstm *m, uint32_t slot) {
    return (uint32_t)(m->slot_tags[slot] >> TAG_HIGH_BIT) << NUMBER_BITS | m->slot_numbers[slot];
}

/* Return the slot of a word or piece, or the empty slot for it. */
static uint32_t find_slot(const edge_lstm *m, const unsigned char *text, size_t size,
                          uint32_t hash, int is_piece) {
    uint32_t slot = first_slot(m, hash);
    while (m->slot_tags[slot] != 0) {
        int has_tag = ((m->slot_tags[slot] ^ hash) & TAG_HASH) == 0;
        if (has_tag && is_entry(m, number_in(m, slot), text, size, is_piece))
            break;
        slot++;
        if (slot == m->num_slots)
            slot = 0;
    }
    return slot;
}

/* Decode the entries and fill the table. Return whether that took few steps an entry; else they
 * must have been chosen to fill one place. */
static int index_vocabulary(edge_lstm *m) {
    entry_reader r = {.left = m->metadata[VOCABULARY]};
    unsigned char *text = m->entries;
    const unsigned char *previous = text;
    for (uint32_t n = 0; next_entry(&r) > 0; n++) {
        int is_piece = n >= (uint32_t)m->num_words;
        memcpy(text, previous, r.shared);
        memcpy(text + r.shared, r.rest.at, r.size - r.shared);
        uint32_t hash = is_piece ? PIECE_SEED : WORD_SEED;
        for (size_t i = 0; i < r.size; i++)
            hash = hash_byte(hash, text[i]);
        uint32_t slot = find_slot(m, text, r.size, hash, is_piece);
        uint32_t probes = slot + m->num_slots - first_slot(m, hash);
        if (probes % m->num_slots > MAX_PROBES)
            return 0;
        uint32_t number = n + 1; /* of equal entries the last counts */
        uint32_t tag = number >> NUMBER_BITS << TAG_HIGH_BIT | (hash & TAG_HASH) | TAG_USED;
        m->slot_tags[slot] = (unsigned char)tag;
        m->slot_numbers[slot] = (uint16_t)number;
        if (is_piece)
            raise_to(&m->longest_from[*text], (int32_t)r.size);
        previous = text;
        text += r.size;
        uint32_t start = (uint32_t)(text - m->entries); /* of the next one */
        uint32_t block = number >> m->block_bits;
        if (number == block << m->block_bits)
            m->block_starts[block] = start;
        m->entry_starts[number] = (uint16_t)(start - m->block_starts[block]);
    }
    return 1;
}

#endif
