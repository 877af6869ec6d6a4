/* Reads lines of JSON objects as Python's json module does, and writes them as edge-lstm does:
 * strings in UTF-8, `, ` and `: ` as separators, numbers in the digits that they have. */
#ifndef EDGE_LSTM_JSONL_H
#define EDGE_LSTM_JSONL_H

#include "rows.h"

/* The keys of a row that the caller wants or refuses, as they are written: JSON strings. */
typedef struct {
    const slice *wanted; /* the first one is the text's */
    size_t num_wanted;
    const slice *refused;
    size_t num_refused;
} jsonl_keys;

/* A reader of lines. It refuses a line that is no object, or not JSON, or not UTF-8; that lacks the
 * text; that has a refused key, a key twice, half a surrogate pair, NaN or Infinity, many keys, or
 * lists deep in lists. A row's items are the object without its braces. Its values are those of the
 * wanted keys, NULL if it has none. */
row_reader jsonl_reader(const jsonl_keys *keys);

#endif
