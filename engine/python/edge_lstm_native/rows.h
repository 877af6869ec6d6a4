/* Rows of a file of texts: where their parts stand in memory, and numbers as they are written.
 *
 * A reader of rows (jsonl.h, csv.h) takes no memory and calls nothing but memory functions. */
#ifndef EDGE_LSTM_ROWS_H
#define EDGE_LSTM_ROWS_H

#include "src/characters.h"

/* A row. text: in UTF-8. items: all of it as it is written. Both stand in the file's bytes, or in
 * the memory that the reader was given. */
typedef struct {
    slice text;
    slice items;
} table_row;

/* A way to read rows.
 * end: return the end of the first row, which is its last newline; NULL if there is none.
 * read: read a row without that newline. Return 0 if a slower reader has to read it. values: the
 *     parts that the caller wants, as they are written. memory: is moved on by the bytes used.
 * form: of the rows, for both.
 * room, room_a_row: the most bytes of memory for each byte of the rows, and for each row. */
typedef struct {
    const unsigned char *(*end)(slice rows);
    int (*read)(const void *form, slice line, unsigned char **memory, table_row *row,
                slice *values);
    const void *form;
    size_t num_values;
    size_t room;
    size_t room_a_row;
} row_reader;

/* Return where a byte stands, or NULL if it is not there. */
static inline const unsigned char *find_byte(slice bytes, unsigned char byte) {
    return memchr(bytes.at, byte, slice_length(bytes));
}

/* Write bytes. Return the end of them. */
static inline unsigned char *put_slice(slice bytes, unsigned char *out) {
    memcpy(out, bytes.at, slice_length(bytes));
    return out + slice_length(bytes);
}

/* Return the end of the first row, if each is a line. */
const unsigned char *line_end(slice rows);

/* Return the bytes of the first character; 0 if it is not UTF-8. text: not empty. */
size_t utf8_character(slice text);

int is_utf8(slice text);

/* Return the number of characters of UTF-8. */
size_t utf8_length(slice text);

/* The most bytes of a number that is written. */
enum { FLOAT_BYTES = 16 };

/* Write the fewest digits that tell a float from its neighbours, as numpy does. Return their bytes,
 * 0 unless the float is 0, 1, or from 1e-8 to 1. */
size_t write_float(float value, unsigned char *out);

#endif
