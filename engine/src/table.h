/* The tables of the file: embedding, vectors of n-grams, head. fp32: floats. int8: signed bytes,
 * rows of 4-bit numbers times one number a row, or of codes of CODED numbers. A narrow table has
 * its 4-bit numbers one after another, in rows of TOGETHER. Rows are unpacked as they are read, so
 * that a table takes no memory but the file's. */
#ifndef EDGE_LSTM_TABLE_H
#define EDGE_LSTM_TABLE_H

#include "model.h"

enum { NARROWEST = 4, TOGETHER = 16 };
enum { HALF_OF_ZERO = 8 };    /* the four bits of the number 0 */
enum { PAIRS_AT_A_TIME = 4 }; /* of such numbers, two in a byte */

enum { CODED = 4, NUM_CODES = 256 };

/* The same 16 bits in each quarter of 64. */
#define QUARTERS(n) ((uint64_t)(n) * 0x0001000100010001u)

/* Return the bytes of as many halves, of 4 bits. */
ALWAYS_INLINE size_t packed_size(size_t halves) {
    return (halves + 1) / 2;
}

/* Return the bytes of a row of codes. */
ALWAYS_INLINE size_t codes_size(size_t columns) {
    return (columns + CODED - 1) / CODED;
}

/* The rows in which a table is packed, and their columns. */
typedef struct {
    size_t rows;
    size_t columns;
} packed_shape;

static packed_shape shape_of_packed(size_t rows, size_t columns) {
    if (columns >= NARROWEST)
        return (packed_shape){rows, columns};
    return (packed_shape){(rows * columns + TOGETHER - 1) / TOGETHER, TOGETHER};
}

/* Return the i-th four bits. */
ALWAYS_INLINE unsigned load_half(const unsigned char *pairs, size_t i) {
    return pairs[i / 2] >> 4 * (i % 2) & 15;
}

/* Return the multiplier of a packed row. */
ALWAYS_INLINE unsigned multiplier_of(const table *t, size_t row) {
    return load_half(t->multipliers, row) + 1;
}

/* Return whether one of the halves of some bytes is 0: 1 less sets its highest bit. */
static int has_zero_half(const unsigned char *pairs, size_t size) {
    const uint64_t ones = QUARTERS(0x1111);
    uint64_t found = 0;
    size_t i = 0;
    for (; i + sizeof ones <= size; i += sizeof ones) {
        uint64_t halves;
        memcpy(&halves, pairs + i, sizeof halves);
        found |= (halves - ones) & ~halves;
    }
    for (; i < size; i++)
        found |= (pairs[i] - (ones & 255)) & ~(uint64_t)pairs[i] & 255;
    return (found & ones << 3) != 0;
}

/* Return whether 4-bit numbers are in range, with zeros behind a last odd column and a narrow
 * table's last number, and whether whole groups can be read up to the last. */
static int is_packed_table(const edge_lstm *m, const table *t, size_t rows) {
    packed_shape packed = shape_of_packed(rows, t->columns);
    size_t size = packed_size(packed.columns);
    size_t num_halves = 2 * packed.rows * size;
    int has_wrong = m->file.end - (t->values + packed.rows * size) < PAIRS_AT_A_TIME;
    has_wrong |= has_zero_half(t->values, packed.rows * size);
    for (size_t row = 0; packed.columns % 2 && row < packed.rows; row++)
        has_wrong |= load_half(t->values, 2 * (row + 1) * size - 1) != HALF_OF_ZERO;
    for (size_t i = rows * t->columns; t->columns < NARROWEST && i < num_halves; i++)
        has_wrong |= load_half(t->values, i) != HALF_OF_ZERO;
    return !has_wrong;
}

/* Return whether the rows of a table are unpacked as they are read. */
ALWAYS_INLINE int has_packed_rows(const table *t) {
    return t->multipliers || t->book;
}

/* Write a row of codes as bytes, of which `zero` stands for 0. */
static void look_up_row(const table *t, size_t row, uint32_t zero, unsigned char *out) {
    size_t size = codes_size(t->columns);
    const unsigned char *codes = t->values + row * size;
    for (size_t i = 0; i < size * CODED; i++)
        out[i] = (unsigned char)(t->book[codes[i / CODED] * CODED + i % CODED] + zero);
}

/* Write a row of 4-bit numbers as bytes, of which `zero` stands for 0. Eight at a time: no product
 * needs more than 16 bits. */
static void multiply_row(const table *t, size_t row, uint32_t zero, unsigned char *out) {
    size_t size = packed_size(t->columns);
    const unsigned char *pairs = t->values + row * size;
    uint32_t multiplier = multiplier_of(t, row);
    uint64_t offset = QUARTERS((zero - HALF_OF_ZERO * multiplier) & 255);
    for (size_t i = 0; i < size; i += PAIRS_AT_A_TIME) {
        uint32_t group;
        memcpy(&group, pairs + i, sizeof group);
        uint64_t n = (group | (uint64_t)group << 16) & 0x0000FFFF0000FFFFu;
        n = (n | n << 8) & QUARTERS(255);
        uint64_t low = ((n & QUARTERS(15)) * multiplier + offset) & QUARTERS(255);
        uint64_t high = ((n >> 4 & QUARTERS(15)) * multiplier + offset) & QUARTERS(255);
        n = low | high << 8;
        memcpy(out + 2 * i, &n, sizeof n);
    }
}

/* Write a row of a narrow table of 4-bit numbers as bytes, of which `zero` stands for 0. */
static void multiply_narrow_row(const table *t, size_t row, uint32_t zero, unsigned char *out) {
    for (size_t k = 0; k < t->columns; k++) {
        size_t i = row * t->columns + k;
        uint32_t number = load_half(t->values, i) - HALF_OF_ZERO;
        out[k] = (unsigned char)(number * multiplier_of(t, i / TOGETHER) + zero);
    }
}

/* Write a packed row as bytes, of which `zero` stands for 0, and up to ROW_PADDING bytes behind
 * it. */
static void unpack_row(const table *t, size_t row, uint32_t zero, unsigned char *out) {
    if (t->book)
        look_up_row(t, row, zero, out);
    else if (t->columns < NARROWEST)
        multiply_narrow_row(t, row, zero, out);
    else
        multiply_row(t, row, zero, out);
}

#endif
