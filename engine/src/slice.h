/* A slice: bytes of a file or of a text, which are never copied. */
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

/* Return the slice of some bytes: an empty one for NULL. */
static inline slice slice_of(const void *bytes, size_t size) {
    const unsigned char *start = bytes;
    return (slice){start, start ? start + size : NULL};
}

static inline int slice_equals(slice s, const char *text) {
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

#endif
