/* Reads lines of JSON objects as Python's json module does, and writes them as edge-lstm does:
 * strings in UTF-8, `, ` and `: ` as separators, numbers in the digits that they have.
 *
 * It takes no memory and calls nothing but memory functions. */
#ifndef EDGE_LSTM_JSONL_H
#define EDGE_LSTM_JSONL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *at;
    size_t size;
} jsonl_slice;

/* The keys of a row that the caller wants or refuses, as they are written: JSON strings. */
typedef struct {
    const jsonl_slice *wanted; /* the first one is the text's */
    size_t num_wanted;
    const jsonl_slice *refused;
    size_t num_refused;
} jsonl_keys;

/* A row. text: its characters in UTF-8, in the line itself if it has no escapes. items: the object
 * as it is written, without its braces. */
typedef struct {
    jsonl_slice text;
    jsonl_slice items;
} jsonl_row;

/* Bytes of memory that a line of this size may take. */
size_t jsonl_room(size_t line_size);

/* Read a line, without its end. Return the bytes of memory that were used, 0 if a slower reader has
 * to read the line: it is no object, or not JSON, or not UTF-8; it lacks the text; it has a refused
 * key, a key twice, half a surrogate pair, NaN or Infinity, many keys, or lists deep in lists.
 * values: for each wanted key its value as it is written, of size 0 if the row has none.
 * memory: jsonl_room bytes, which the row refers to. */
size_t jsonl_read(const char *line, size_t size, const jsonl_keys *keys, unsigned char *memory,
                  jsonl_row *row, jsonl_slice *values);

/* Return the number of characters of UTF-8. */
size_t jsonl_length(jsonl_slice text);

/* The most bytes of a number that is written. */
enum { JSONL_FLOAT_BYTES = 16 };

/* Write the fewest digits that tell a float from its neighbours, as numpy does. Return their bytes,
 * 0 unless the float is 0, 1, or from 1e-8 to 1. */
size_t jsonl_write_float(float value, char *out);

#endif
