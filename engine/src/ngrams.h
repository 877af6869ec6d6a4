/* The pairs of neighbouring ids that have a vector, by the file's own hash table: see
 * docs/file-format.md. */
#ifndef EDGE_LSTM_NGRAMS_H
#define EDGE_LSTM_NGRAMS_H

#include "model.h"

#define PRIME 0x7FFFFFFFu /* 2^31 - 1 */
#define BUCKET_MULTIPLIER 950706376u
#define SLOT_MULTIPLIER 742938285u
enum { MAX_FINGERPRINT = 255 };

/* Return n modulo the prime, for n < 2^62. 2^31 is 1 there, so the bits above are added. */
ALWAYS_INLINE uint32_t modulo_prime(uint64_t n) {
    n = (n & PRIME) + (n >> 31);
    n = (n & PRIME) + (n >> 31);
    return (uint32_t)(n >= PRIME ? n - PRIME : n);
}

/* Find the only slot that a pair may have. Return whether it has it. */
static int find_pair(const edge_lstm *m, int32_t left, int32_t right, uint32_t *slot) {
    uint32_t slots = (uint32_t)m->ngram_slots;
    uint32_t buckets = (uint32_t)m->pair_buckets;
    if (slots == 0 || left == PAD_ID || right == PAD_ID)
        return 0;
    uint64_t key = modulo_prime((uint64_t)left << 17 | (uint32_t)right);
    uint32_t h = modulo_prime(key * BUCKET_MULTIPLIER);
    uint32_t g = modulo_prime(key * SLOT_MULTIPLIER);
    uint32_t step = 1 + h / buckets % (slots > 1 ? slots - 1 : 1);
    uint64_t displacement = m->pair_displacements[h % buckets];
    *slot = (uint32_t)((g + displacement * step) % slots);
    return m->pair_fingerprints[*slot] == 1 + g % MAX_FINGERPRINT;
}

#endif
