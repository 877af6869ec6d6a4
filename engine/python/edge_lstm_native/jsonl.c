/* Lines of JSON objects; jsonl.h says what is read and what is written. */
#include "jsonl.h"

#include <string.h>

enum {
    MAX_NESTING = 32, /* of lists and objects */
    MAX_KEYS = 256    /* of the objects around a value, and of its own */
};

/* A line that is being read, and its form as it is written. */
typedef struct {
    const unsigned char *at;
    const unsigned char *end;
    unsigned char *out;
    slice keys[MAX_KEYS]; /* of the objects that are not closed */
    size_t num_keys;
} json_line;

static int read_value(json_line *l, int nesting);

static void skip_spaces(json_line *l) {
    while (l->at < l->end && (*l->at == ' ' || *l->at == '\t' || *l->at == '\r' || *l->at == '\n'))
        l->at++;
}

static int accept(json_line *l, unsigned char c) {
    if (l->at == l->end || *l->at != c)
        return 0;
    l->at++;
    return 1;
}

static void put(json_line *l, unsigned char c) {
    *l->out = c;
    l->out++;
}

static void put_bytes(json_line *l, const void *bytes, size_t size) {
    memcpy(l->out, bytes, size);
    l->out += size;
}

/* Return eight bytes with the highest bit of each one that ends a run: a quotation mark, a
 * backslash, a control character or a byte beyond ASCII. Bytes behind such a one may be so too. */
static uint64_t ends_of_run(const unsigned char *at) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t quote = word ^ ones * '"';
    uint64_t backslash = word ^ ones * '\\';
    uint64_t control = word - ones * ' ';
    return ((quote - ones) | (backslash - ones) | control | word) & ones * 0x80;
}

/* Copy the characters up to the next quotation mark, backslash, control or byte beyond ASCII. */
static void copy_run(json_line *l) {
    const unsigned char *at = l->at;
    while (l->end - at >= 8 && ends_of_run(at) == 0)
        at += 8;
    while (at < l->end && *at >= ' ' && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    put_bytes(l, l->at, (size_t)(at - l->at));
    l->at = at;
}

/* Copy a character beyond ASCII. Return 0 if it is not UTF-8. */
static int copy_character(json_line *l) {
    size_t size = utf8_character(l->at, (size_t)(l->end - l->at));
    put_bytes(l, l->at, size);
    l->at += size;
    return size > 0;
}

/* Write a character of a string. */
static void put_character(json_line *l, uint32_t c) {
    static const char hex[] = "0123456789abcdef";
    static const char controls[] = "\b\f\n\r\t";
    static const char letters[] = "bfnrt";
    if (c == '"' || c == '\\') {
        put(l, '\\');
        put(l, (unsigned char)c);
    } else if (c < ' ') {
        const char *control = c ? strchr(controls, (int)c) : NULL;
        put(l, '\\');
        if (control) {
            put(l, (unsigned char)letters[control - controls]);
        } else {
            put_bytes(l, "u00", 3);
            put(l, (unsigned char)hex[c >> 4]);
            put(l, (unsigned char)hex[c & 15]);
        }
    } else if (c < 0x80) {
        put(l, (unsigned char)c);
    } else if (c < 0x800) {
        put(l, (unsigned char)(0xC0 | c >> 6));
        put(l, (unsigned char)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        put(l, (unsigned char)(0xE0 | c >> 12));
        put(l, (unsigned char)(0x80 | (c >> 6 & 0x3F)));
        put(l, (unsigned char)(0x80 | (c & 0x3F)));
    } else {
        put(l, (unsigned char)(0xF0 | c >> 18));
        put(l, (unsigned char)(0x80 | (c >> 12 & 0x3F)));
        put(l, (unsigned char)(0x80 | (c >> 6 & 0x3F)));
        put(l, (unsigned char)(0x80 | (c & 0x3F)));
    }
}

/* Read the four digits of an escape. Return 0 if there are not four. */
static int read_hex(json_line *l, uint32_t *unit) {
    *unit = 0;
    if (l->end - l->at < 4)
        return 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = *l->at;
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10u;
        else if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10u;
        else
            return 0;
        *unit = *unit << 4 | digit;
        l->at++;
    }
    return 1;
}

/* Read an escape, the backslash of which comes next. Return 0 if it is none, or half a pair. */
static int read_escape(json_line *l) {
    static const char letters[] = "bfnrt\"\\/";
    static const char characters[] = "\b\f\n\r\t\"\\/";
    uint32_t c;
    uint32_t low;
    l->at++;
    if (l->at == l->end || *l->at == 0)
        return 0;
    const char *letter = strchr(letters, *l->at);
    if (letter) {
        l->at++;
        put_character(l, (unsigned char)characters[letter - letters]);
        return 1;
    }
    if (!accept(l, 'u') || !read_hex(l, &c))
        return 0;
    if (c >= 0xD800 && c < 0xE000) {
        if (c >= 0xDC00 || !accept(l, '\\') || !accept(l, 'u') || !read_hex(l, &low))
            return 0;
        if (low < 0xDC00 || low >= 0xE000)
            return 0;
        c = 0x10000 + ((c - 0xD800) << 10 | (low - 0xDC00));
    }
    put_character(l, c);
    return 1;
}

static int read_string(json_line *l) {
    if (!accept(l, '"'))
        return 0;
    put(l, '"');
    for (;;) {
        copy_run(l);
        if (l->at == l->end || *l->at < ' ')
            return 0;
        if (accept(l, '"'))
            break;
        if (!(*l->at == '\\' ? read_escape(l) : copy_character(l)))
            return 0;
    }
    put(l, '"');
    return 1;
}

/* Read digits. Return 0 if there are none. */
static int read_digits(json_line *l) {
    const unsigned char *start = l->at;
    while (l->at < l->end && *l->at >= '0' && *l->at <= '9')
        l->at++;
    return l->at > start;
}

static int read_number(json_line *l) {
    const unsigned char *start = l->at;
    accept(l, '-');
    if (!accept(l, '0') && !read_digits(l))
        return 0;
    if (accept(l, '.') && !read_digits(l))
        return 0;
    if (accept(l, 'e') || accept(l, 'E')) {
        if (!accept(l, '-'))
            accept(l, '+');
        if (!read_digits(l))
            return 0;
    }
    put_bytes(l, start, (size_t)(l->at - start));
    return 1;
}

static int read_word(json_line *l, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(l->end - l->at) < size || memcmp(l->at, word, size) != 0)
        return 0;
    put_bytes(l, word, size);
    l->at += size;
    return 1;
}

static int read_list(json_line *l, int nesting) {
    l->at++;
    put(l, '[');
    skip_spaces(l);
    if (!accept(l, ']')) {
        for (;;) {
            if (!read_value(l, nesting))
                return 0;
            skip_spaces(l);
            if (accept(l, ']'))
                break;
            if (!accept(l, ','))
                return 0;
            put_bytes(l, ", ", 2);
            skip_spaces(l);
        }
    }
    put(l, ']');
    return 1;
}

static int equals(slice a, slice b) {
    return a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

/* Return the place of a key, or `count` if it is not there. */
static size_t find(const slice *keys, size_t count, slice key) {
    size_t i = 0;
    while (i < count && !equals(keys[i], key))
        i++;
    return i;
}

/* Read a key and the colon behind it. first: of the object's keys. Return 0 if it has it twice. */
static int read_key(json_line *l, size_t first) {
    const unsigned char *start = l->out;
    if (l->num_keys == MAX_KEYS || !read_string(l))
        return 0;
    slice key = {(const char *)start, (size_t)(l->out - start)};
    size_t count = l->num_keys - first;
    if (find(l->keys + first, count, key) < count)
        return 0;
    l->keys[l->num_keys] = key;
    l->num_keys++;
    skip_spaces(l);
    if (!accept(l, ':'))
        return 0;
    put_bytes(l, ": ", 2);
    skip_spaces(l);
    return 1;
}

/* Go to the next item of an object. Return 1, 0 behind the last one, -1 if there is neither. */
static int next_item(json_line *l) {
    skip_spaces(l);
    if (accept(l, '}'))
        return 0;
    if (!accept(l, ','))
        return -1;
    put_bytes(l, ", ", 2);
    skip_spaces(l);
    return 1;
}

static int read_object(json_line *l, int nesting) {
    size_t first = l->num_keys;
    int more = 1;
    l->at++;
    put(l, '{');
    skip_spaces(l);
    if (accept(l, '}'))
        more = 0;
    while (more == 1) {
        if (!read_key(l, first) || !read_value(l, nesting))
            return 0;
        more = next_item(l);
    }
    put(l, '}');
    l->num_keys = first;
    return more == 0;
}

/* Read a value, and write it. nesting: the lists and objects around it. */
static int read_value(json_line *l, int nesting) {
    if (l->at == l->end || nesting > MAX_NESTING)
        return 0;
    switch (*l->at) {
    case '"':
        return read_string(l);
    case '{':
        return read_object(l, nesting + 1);
    case '[':
        return read_list(l, nesting + 1);
    case 't':
        return read_word(l, "true");
    case 'f':
        return read_word(l, "false");
    case 'n':
        return read_word(l, "null");
    default:
        return read_number(l);
    }
}

/* Write the characters of a string, and return the end. value: with its quotation marks. */
static unsigned char *decode(slice value, unsigned char *out) {
    static const char letters[] = "bfnrt";
    static const char controls[] = "\b\f\n\r\t";
    const char *at = value.at + 1;
    const char *end = value.at + value.size - 1;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t run = (size_t)((escape ? escape : end) - at);
        memcpy(out, at, run);
        out += run;
        at += run;
        if (!escape)
            break;
        const char *letter = strchr(letters, at[1]);
        if (letter) {
            *out = (unsigned char)controls[letter - letters];
        } else if (at[1] == 'u') {
            int low = at[5] <= '9' ? at[5] - '0' : at[5] - 'a' + 10;
            *out = (unsigned char)((at[4] - '0') * 16 + low);
            at += 4;
        } else {
            *out = (unsigned char)at[1];
        }
        out++;
        at += 2;
    }
    return out;
}

/* Read the items of a row. Return 0 if the line is not such a row.
 * text: the text in the line, between its quotation marks. */
static int read_items(json_line *l, const jsonl_keys *keys, slice *values,
                      slice *text) {
    int more = 1;
    while (more == 1) {
        if (!read_key(l, 0))
            return 0;
        slice key = l->keys[l->num_keys - 1];
        if (find(keys->refused, keys->num_refused, key) < keys->num_refused)
            return 0;
        size_t place = find(keys->wanted, keys->num_wanted, key);
        const unsigned char *start = l->out;
        const unsigned char *source = l->at;
        if (!read_value(l, 1))
            return 0;
        slice value = {(const char *)start, (size_t)(l->out - start)};
        if (place < keys->num_wanted)
            values[place] = value;
        if (place == 0) {
            if (value.at[0] != '"')
                return 0;
            text->at = (const char *)source + 1;
            text->size = (size_t)(l->at - source) - 2;
        }
        more = next_item(l);
    }
    return more == 0;
}

static int read_row(const void *form, slice line, unsigned char **memory, table_row *row,
                    slice *values) {
    const jsonl_keys *keys = form;
    json_line l;
    slice text = {NULL, 0};
    l.at = (const unsigned char *)line.at;
    l.end = l.at + line.size;
    l.out = *memory;
    l.num_keys = 0;
    for (size_t i = 0; i < keys->num_wanted; i++)
        values[i] = (slice){NULL, 0};
    skip_spaces(&l);
    if (!accept(&l, '{'))
        return 0;
    skip_spaces(&l);
    if (!read_items(&l, keys, values, &text) || !text.at)
        return 0;
    skip_spaces(&l);
    if (l.at != l.end)
        return 0;
    row->items.at = (const char *)*memory;
    row->items.size = (size_t)(l.out - *memory);
    if (text.size > 0 && memchr(text.at, '\\', text.size)) {
        text.at = (const char *)l.out;
        l.out = decode(values[0], l.out);
        text.size = (size_t)(l.out - (const unsigned char *)text.at);
    }
    row->text = text;
    *memory = l.out;
    return 1;
}

/* A separator of one byte is written with two. The text may be there once more. */
row_reader jsonl_reader(const jsonl_keys *keys) {
    return (row_reader){line_end, read_row, keys, keys->num_wanted, 3, 8};
}
