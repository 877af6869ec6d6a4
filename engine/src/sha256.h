/* SHA-256 (FIPS 180-4), in its names. */
#ifndef EDGE_LSTM_SHA256_H
#define EDGE_LSTM_SHA256_H

#include "arithmetic.h"
#include "slice.h"

enum { SHA256_BLOCK = 64, SHA256_DIGITS = 64 };

ALWAYS_INLINE uint32_t load_big_endian(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

ALWAYS_INLINE uint32_t sha256_sum0(uint32_t x) {
    return rotr32(x, 2) ^ rotr32(x, 13) ^ rotr32(x, 22);
}
ALWAYS_INLINE uint32_t sha256_sum1(uint32_t x) {
    return rotr32(x, 6) ^ rotr32(x, 11) ^ rotr32(x, 25);
}
ALWAYS_INLINE uint32_t sha256_sigma0(uint32_t x) {
    return rotr32(x, 7) ^ rotr32(x, 18) ^ x >> 3;
}
ALWAYS_INLINE uint32_t sha256_sigma1(uint32_t x) {
    return rotr32(x, 17) ^ rotr32(x, 19) ^ x >> 10;
}

static void sha256_compress(uint32_t *state, const unsigned char *block) {
    static const uint32_t K[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    uint32_t w[64];
    for (int t = 0; t < 16; t++)
        w[t] = load_big_endian(block + 4 * t);
    for (int t = 16; t < 64; t++)
        w[t] = sha256_sigma1(w[t - 2]) + w[t - 7] + sha256_sigma0(w[t - 15]) + w[t - 16];

    uint32_t a = state[0];
    uint32_t b = state[1];
    uint32_t c = state[2];
    uint32_t d = state[3];
    uint32_t e = state[4];
    uint32_t f = state[5];
    uint32_t g = state[6];
    uint32_t h = state[7];
    for (int t = 0; t < 64; t++) {
        uint32_t choice = (e & f) ^ (~e & g);
        uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
        uint32_t t1 = h + sha256_sum1(e) + choice + K[t] + w[t];
        uint32_t t2 = sha256_sum0(a) + majority;
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

/* Write the digest of the data, 64 hexadecimal digits. */
static void sha256(slice data, char *written) {
    static const char digits[] = "0123456789abcdef";
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint64_t bits = (uint64_t)slice_length(data) * 8;
    while (slice_length(data) >= SHA256_BLOCK) {
        sha256_compress(state, data.at);
        data.at += SHA256_BLOCK;
    }

    /* The last bytes, a one bit, zeros, and the number of bits: one block, or two. */
    unsigned char padded[2 * SHA256_BLOCK] = {0};
    size_t left = slice_length(data);
    size_t size = left + 1 + sizeof bits <= SHA256_BLOCK ? SHA256_BLOCK : 2 * SHA256_BLOCK;
    memcpy(padded, data.at, left);
    padded[left] = 0x80;
    for (size_t i = 0; i < sizeof bits; i++)
        padded[size - 1 - i] = (unsigned char)(bits >> 8 * i);
    for (size_t at = 0; at < size; at += SHA256_BLOCK)
        sha256_compress(state, padded + at);

    for (size_t i = 0; i < SHA256_DIGITS; i++) {
        uint32_t digit = state[i / 8] >> (28 - 4 * (i % 8)) & 0xF;
        written[i] = digits[digit];
    }
}

/* Return whether the 64 hexadecimal digits behind the data are its digest. */
static int has_digest(slice data) {
    char digits[SHA256_DIGITS];
    sha256(data, digits);
    return memcmp(digits, data.end, SHA256_DIGITS) == 0;
}

#endif
