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

/* Write the value of an 8-bit input, -128 to 127, in a kernel's type: see model.h. */
ALWAYS_INLINE void store_input(unsigned char *x, size_t k, int32_t value, const int type) {
    int16_t wide = (int16_t)value;
    if (type == INPUTS_S16)
        memcpy(x + k * sizeof wide, &wide, sizeof wide);
    else
        x[k] = (unsigned char)(type == INPUTS_S8 ? value : value + 128);
}

/* Write a row of the embedding and the two sentinels as a kernel's inputs. */
ALWAYS_INLINE void load_inputs(const table *t, size_t row, unsigned char *x, const int type) {
    size_t columns = t->columns;
    if (t->multipliers) {
        int32_t multiplier = t->multipliers[row];
        const unsigned char *pairs = t->values + row * packed_size(columns);
        for (size_t j = 0; j < packed_size(columns); j++) {
            store_input(x, 2 * j, low_number(pairs[j]) * multiplier, type);
            store_input(x, 2 * j + 1, high_number(pairs[j]) * multiplier, type);
        }
    } else {
        for (size_t k = 0; k < columns; k++)
            store_input(x, k, (signed char)t->values[row * columns + k], type);
    }
    store_input(x, columns, HIGH_SENTINEL, type);
    store_input(x, columns + 1, LOW_SENTINEL, type);
}

#endif
