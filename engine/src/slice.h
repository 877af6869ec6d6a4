/* A slice: bytes of the model file or of a text, which are never copied. */
#ifndef EDGE_LSTM_SLICE_H
#define EDGE_LSTM_SLICE_H

#include "compiler.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The bytes from `at` up to `end`. Reading moves `at`. */
typedef struct {
    const unsigned char *at;
    const unsigned char *end;
} slice;

ALWAYS_INLINE size_t slice_length(slice s) {
    return (size_t)(s.end - s.at);
}

static int slice_equals(slice s, const char *text) {
    size_t length = strlen(text);
    return slice_length(s) == length && memcmp(s.at, text, length) == 0;
}

/* Read a byte of a slice that is not empty. */
ALWAYS_INLINE unsigned char read_byte(slice *s) {
    unsigned char byte = *s->at;
    s->at++;
    return byte;
}

/* Read the character c if it comes next. Return whether it did. */
ALWAYS_INLINE int accept_char(slice *s, char c) {
    if (s->at >= s->end || *s->at != (unsigned char)c)
        return 0;
    s->at++;
    return 1;
}

/* Read the next line, without its end. Return 0 behind the last one; lines->at is then NULL. */
static int next_line(slice *lines, slice *line) {
    if (!lines->at)
        return 0;
    const unsigned char *line_end = memchr(lines->at, '\n', slice_length(*lines));
    line->at = lines->at;
    line->end = line_end ? line_end : lines->end;
    lines->at = line_end ? line_end + 1 : NULL;
    return 1;
}

#endif
