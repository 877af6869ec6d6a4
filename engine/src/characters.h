/* Characters: of UTF-8, which is written here too, or of a JSON string. */
#ifndef EDGE_LSTM_CHARACTERS_H
#define EDGE_LSTM_CHARACTERS_H

#include "slice.h"

#define END_OF_TEXT 0xFFFFFFFFu
#define REPLACEMENT 0xFFFDu /* U+FFFD, for a sequence that is wrong */

/* In a JSON string a backslash begins an escape, and a quotation mark ends the text. */
typedef struct {
    slice left;
    int is_json;
} char_reader;

/* Return whether a byte of UTF-8 continues a character. */
ALWAYS_INLINE int is_continuation(unsigned char byte) {
    return (byte & 0xC0) == 0x80;
}

/* Read a character of UTF-8. Each sequence that breaks off gives one U+FFFD, as in Python and
 * browsers. Table 3-7 of the Unicode Standard has the ranges of bytes. */
static inline uint32_t read_utf8(slice *s) {
    uint32_t c = read_byte(s);
    int following; /* bytes */
    if (c < 0x80)
        return c;
    if (c < 0xC2 || c > 0xF4)
        return REPLACEMENT;
    if (c < 0xE0) {
        following = 1;
    } else if (c < 0xF0) {
        following = 2;
    } else {
        following = 3;
    }
    unsigned low = 0x80; /* the range of the next byte */
    unsigned high = 0xBF;
    if (c == 0xE0)
        low = 0xA0; /* a lower one would be overlong */
    if (c == 0xED)
        high = 0x9F; /* a higher one would be a surrogate */
    if (c == 0xF0)
        low = 0x90; /* overlong */
    if (c == 0xF4)
        high = 0x8F; /* beyond U+10FFFF */
    c &= 0x3Fu >> following;
    for (; following > 0; following--) {
        if (s->at == s->end || *s->at < low || *s->at > high)
            return REPLACEMENT;
        c = c << 6 | (read_byte(s) & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    return c;
}

/* Return whether a text is UTF-8 throughout. */
static inline int is_utf8(slice left) {
    while (left.at < left.end) {
        const unsigned char *start = left.at;
        if (read_utf8(&left) == REPLACEMENT)
            if (left.at - start != 3 || memcmp(start, "\xEF\xBF\xBD", 3) != 0)
                return 0;
    }
    return 1;
}

static inline unsigned char continuation_byte(uint32_t bits) {
    return (unsigned char)(0x80 | (bits & 0x3F));
}

/* Write a code point as UTF-8. Return the number of bytes, at most four. */
static inline size_t write_utf8(uint32_t c, unsigned char *out) {
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (unsigned char)(0xC0 | c >> 6);
        out[1] = continuation_byte(c);
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (unsigned char)(0xE0 | c >> 12);
        out[1] = continuation_byte(c >> 6);
        out[2] = continuation_byte(c);
        return 3;
    }
    out[0] = (unsigned char)(0xF0 | c >> 18);
    out[1] = continuation_byte(c >> 12);
    out[2] = continuation_byte(c >> 6);
    out[3] = continuation_byte(c);
    return 4;
}

/* Return the value of a hexadecimal digit, or -1. */
static inline int hex_value(unsigned char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20; /* the lower case of a letter */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Read the four digits of a JSON escape \uXXXX. Return whether there are four. */
static inline int read_code_unit(slice *s, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        int value = s->at < s->end ? hex_value(*s->at) : -1;
        if (value < 0)
            return 0;
        *unit = *unit << 4 | (uint32_t)value;
        s->at++;
    }
    return 1;
}

static inline int is_surrogate(uint32_t unit) {
    return unit >= 0xD800 && unit < 0xE000;
}

/* Read the rest of an escape \uXXXX. A pair of them may be one character; half of it is U+FFFD. */
static inline uint32_t read_unicode_escape(slice *s) {
    uint32_t unit;
    uint32_t low;
    if (!read_code_unit(s, &unit))
        return REPLACEMENT;
    if (!is_surrogate(unit))
        return unit;
    slice next = *s;
    int is_pair = unit < 0xDC00 && slice_length(next) >= 2 && read_byte(&next) == '\\' &&
                  read_byte(&next) == 'u' && read_code_unit(&next, &low) && is_surrogate(low) &&
                  low >= 0xDC00;
    if (!is_pair)
        return REPLACEMENT;
    *s = next;
    return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

/* Read a JSON escape behind its backslash. */
static inline uint32_t read_escape(slice *s) {
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (s->at == s->end)
        return END_OF_TEXT;
    unsigned char c = read_byte(s);
    const char *place = c ? strchr(letters, c) : NULL;
    if (c == 'u')
        return read_unicode_escape(s);
    return place ? (uint32_t)meanings[place - letters] : REPLACEMENT;
}

/* Read the next character, or END_OF_TEXT. */
static inline uint32_t next_char(char_reader *r) {
    slice *s = &r->left;
    if (s->at == s->end)
        return END_OF_TEXT;
    if (!r->is_json)
        return read_utf8(s);
    if (*s->at == '"')
        return END_OF_TEXT;
    if (*s->at != '\\')
        return read_utf8(s);
    s->at++;
    return read_escape(s);
}

#endif
