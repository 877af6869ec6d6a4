/* The tables of the file: embedding, vectors of n-grams, head. fp32: floats. int8: signed bytes or,
 * in wider tables, rows of 4-bit numbers times one number a row. Rows are unpacked as they are
 * read, so that a table takes no memory but the file's. */
#ifndef EDGE_LSTM_TABLE_H
#define EDGE_LSTM_TABLE_H

#include "arithmetic.h"
#include "model.h"

enum { LEAST_PACKED_COLUMNS = 4, MAX_MULTIPLIER = 18 };
enum { HALF_OF_ZERO = 8 }; /* the four bits of the number 0 */

/* Return the bytes of a row of 4-bit numbers, two in a byte. */
ALWAYS_INLINE size_t packed_size(size_t columns) {
    return (columns + 1) / 2;
}

/* Return whether a table of 4-bit numbers has only those that the format allows. */
static int is_packed_table(const table *t, size_t rows) {
    size_t size = packed_size(t->columns);
    int is_odd = t->columns % 2;
    int has_wrong = 0;
    for (size_t i = 0; i < rows * size; i++)
        has_wrong |= (t->values[i] & 15) == 0 || t->values[i] < 16;
    for (size_t row = 0; row < rows; row++) {
        int last_half = t->values[(row + 1) * size - 1] >> 4;
        has_wrong |= t->multipliers[row] < 1 || t->multipliers[row] > MAX_MULTIPLIER;
        has_wrong |= is_odd && last_half != HALF_OF_ZERO;
    }
    return !has_wrong;
}

/* Return the numbers in the low and the high half of a byte. */
ALWAYS_INLINE int32_t low_number(unsigned char pair) {
    return (pair & 15) - HALF_OF_ZERO;
}
ALWAYS_INLINE int32_t high_number(unsigned char pair) {
    return (pair >> 4) - HALF_OF_ZERO;
}

/* sum[j] += factor * (row[j] * scale). sum has room for an even number of columns. */
static void add_row(const edge_lstm *m, const table *t, size_t row, float scale, float factor,
                    float *restrict sum) {
    size_t columns = t->columns;
    const unsigned char *values = t->values + row * columns * weight_size(m);
    if (t->multipliers) {
        int32_t multiplier = t->multipliers[row];
        values = t->values + row * packed_size(columns);
        for (size_t j = 0; j < packed_size(columns); j++) {
            sum[2 * j] += factor * ((float)(low_number(values[j]) * multiplier) * scale);
            sum[2 * j + 1] += factor * ((float)(high_number(values[j]) * multiplier) * scale);
        }
    } else if (m->is_int8) {
        for (size_t j = 0; j < columns; j++)
            sum[j] += factor * ((float)(signed char)values[j] * scale);
    } else {
        for (size_t j = 0; j < columns; j++)
            sum[j] += factor * (load_f32(values, j) * scale);
    }
}

/* The same 16 bits in each quarter of 64. */
#define QUARTERS(n) ((uint64_t)(n) * 0x0001000100010001u)

/* Write 4-bit numbers times their multiplier as bytes, of which `zero` stands for 0. Eight at a
 * time, since no product needs more than 16 bits; the last eight may overlap those before. */
ALWAYS_INLINE void unpack(const unsigned char *pairs, size_t size, uint32_t multiplier,
                          uint32_t zero, unsigned char *out) {
    uint32_t offset = (zero - HALF_OF_ZERO * multiplier) & 255;
    for (size_t i = 0; size >= 4 && i < size; i += 4) {
        uint32_t four_pairs;
        if (i > size - 4)
            i = size - 4;
        memcpy(&four_pairs, pairs + i, sizeof four_pairs);
        uint64_t n = four_pairs;
        n = (n | n << 16) & 0x0000FFFF0000FFFFu;
        n = (n | n << 8) & QUARTERS(255);
        uint64_t low = (n & QUARTERS(15)) * multiplier + QUARTERS(offset);
        uint64_t high = (n >> 4 & QUARTERS(15)) * multiplier + QUARTERS(offset);
        n = (low & QUARTERS(255)) | (high & QUARTERS(255)) << 8;
        memcpy(out + 2 * i, &n, sizeof n);
    }
    for (size_t i = 0; size < 4 && i < size; i++) {
        out[2 * i] = (unsigned char)((pairs[i] & 15u) * multiplier + offset);
        out[2 * i + 1] = (unsigned char)((pairs[i] >> 4) * multiplier + offset);
    }
}

/* Write a row of the embedding and the two sentinels as bytes, of which `zero` stands for 0. */
ALWAYS_INLINE void load_bytes(const table *t, size_t row, uint32_t zero, unsigned char *x) {
    size_t columns = t->columns;
    size_t size = packed_size(columns);
    if (t->multipliers)
        unpack(t->values + row * size, size, t->multipliers[row], zero, x);
    else
        for (size_t k = 0; k < columns; k++)
            x[k] = (unsigned char)(t->values[row * columns + k] + zero);
    x[columns] = (unsigned char)(HIGH_SENTINEL + zero);
    x[columns + 1] = (unsigned char)(LOW_SENTINEL + zero);
}

#endif
