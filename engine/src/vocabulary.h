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

/* A byte stands for itself or, if it is a code, for two characters. */
enum { MAX_CODES = 128, MAX_LETTERS = 8, BYTES_AT_ONCE = 32 };

/* Reads the entries one after another. */
typedef struct {
    uint64_t letters[MAX_CODES]; /* the bytes for which a byte stands, the first one lowest */
    unsigned char num_letters[MAX_CODES];
    unsigned char read[BYTES_AT_ONCE * MAX_LETTERS]; /* letters of the last bytes */
    slice letters_left;                              /* of these */
    slice left;
    unsigned char *text; /* of the entry; the next goes behind it. NULL: it is only measured */
    size_t size;         /* of the entry, in bytes */
    int32_t num_chars;
    size_t starts[MAX_SHARED + 1]; /* of its first characters and, if it is short, its size */
} entry_reader;

/* Let a code stand for the next two characters. Return whether they are there. */
static int read_letter_pair(entry_reader *r, slice *pairs) {
    uint32_t code = read_utf8(pairs);
    const unsigned char *start = pairs->at;
    for (int i = 0; i < 2; i++) {
        if (pairs->at == pairs->end)
            return 0;
        read_utf8(pairs);
    }
    if (code >= MAX_CODES)
        return 0;
    r->num_letters[code] = (unsigned char)(pairs->at - start);
    memcpy(&r->letters[code], start, r->num_letters[code]);
    return 1;
}

/* Begin to read a vocabulary. Return whether the letter pairs before it are whole. */
static int start_entries(entry_reader *r, slice vocabulary, unsigned char *text) {
    memset(r, 0, sizeof *r);
    r->left = vocabulary;
    r->text = text;
    memset(r->num_letters, 1, sizeof r->num_letters);
    for (uint32_t byte = 0; byte < MAX_CODES; byte++)
        r->letters[byte] = byte;
    const unsigned char *end = memchr(vocabulary.at, 0, slice_length(vocabulary));
    if (!end)
        return 1;
    slice pairs = {vocabulary.at, end};
    r->left.at = end + 1;
    while (pairs.at < end) {
        if (!read_letter_pair(r, &pairs))
            return 0;
    }
    return 1;
}

/* Read the letters of the next bytes. Return whether there are any. Without a branch for each code:
 * it is not to be predicted. */
static int read_letters(entry_reader *r) {
    slice left = r->left;
    unsigned char *end = r->read;
    for (int i = 0; i < BYTES_AT_ONCE && left.at < left.end; i++) {
        int byte = read_byte(&left);
        uint64_t letters = byte < MAX_CODES ? r->letters[byte] : (uint64_t)byte;
        memcpy(end, &letters, MAX_LETTERS);
        end += byte < MAX_CODES ? r->num_letters[byte] : 1;
    }
    r->left = left;
    r->letters_left = (slice){r->read, end};
    return end > r->read;
}

/* Read the next entry. Return 1, 0 behind the last, or -1 if the vocabulary is damaged. */
static int next_entry(entry_reader *r) {
    slice *left = &r->letters_left;
    if (left->at == left->end && !read_letters(r))
        return 0;
    int32_t num_chars = read_byte(left) - 1;
    if (num_chars < 0 || num_chars > MAX_SHARED || num_chars > r->num_chars)
        return -1;
    size_t size = r->starts[num_chars];
    unsigned char *text = r->text;
    if (text) {
        text += r->size;
        memcpy(text, r->text, size);
        r->text = text;
    }
    while (left->at < left->end || read_letters(r)) {
        const unsigned char *at = left->at;
        const unsigned char *end = left->end;
        for (; at < end && *at >= FIRST_LETTER; at++) {
            if (num_chars <= MAX_SHARED)
                r->starts[num_chars] = size; /* again, behind each byte of a character */
            if (text)
                text[size] = *at;
            num_chars += !is_continuation(*at);
            size++;
        }
        left->at = at;
        if (at < end)
            break;
    }
    if (num_chars <= MAX_SHARED)
        r->starts[num_chars] = size;
    r->num_chars = num_chars;
    r->size = size;
    return size > 0 ? 1 : -1;
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

/* Put the n-th entry into the table. Return whether that took few steps; else the entries must
 * have been chosen to fill one place. */
static int index_entry(edge_lstm *m, const unsigned char *text, size_t size, uint32_t n) {
    int is_piece = n >= (uint32_t)m->num_words;
    uint32_t hash = is_piece ? PIECE_SEED : WORD_SEED;
    for (size_t i = 0; i < size; i++)
        hash = hash_byte(hash, text[i]);
    uint32_t slot = find_slot(m, text, size, hash, is_piece);
    uint32_t probes = slot + m->num_slots - first_slot(m, hash);
    if (probes % m->num_slots > MAX_PROBES)
        return 0;
    uint32_t number = n + 1; /* of equal entries the last counts */
    uint32_t tag = number >> NUMBER_BITS << TAG_HIGH_BIT | (hash & TAG_HASH) | TAG_USED;
    m->slot_tags[slot] = (unsigned char)tag;
    m->slot_numbers[slot] = (uint16_t)number;
    if (is_piece)
        raise_to(&m->longest_from[*text], (int32_t)size);
    uint32_t start = (uint32_t)(text + size - m->entries); /* of the next one */
    uint32_t block = number >> m->block_bits;
    if (number == block << m->block_bits)
        m->block_starts[block] = start;
    m->entry_starts[number] = (uint16_t)(start - m->block_starts[block]);
    return 1;
}

#endif
