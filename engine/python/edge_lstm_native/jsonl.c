/* Lines of JSON objects; jsonl.h says what is read and what is written.
 *
 * A function that copies reads a part of the line, and writes it in its form. It returns 0 if the
 * reader refuses the line. */
#include "jsonl.h"

enum {
    MAX_NESTING = 32, /* of lists and objects */
    MAX_KEYS = 256    /* of the objects around a value, and of its own */
};

/* A line that is being read, and its form as it is written. */
typedef struct {
    slice left;
    unsigned char *out;
    slice keys[MAX_KEYS]; /* of the objects that are not closed */
    size_t num_keys;
} json_line;

static int copy_value(json_line *l, int nesting);

static int is_space(unsigned char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_spaces(json_line *l) {
    while (l->left.at < l->left.end && is_space(*l->left.at))
        l->left.at++;
}

static int accept(json_line *l, char c) {
    return accept_char(&l->left, c);
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
    slice run = {l->left.at, l->left.at};
    const unsigned char *stop = l->left.end;
    while (stop - run.end >= 8 && ends_of_run(run.end) == 0)
        run.end += 8;
    while (run.end < stop && *run.end >= ' ' && *run.end < 0x80 && *run.end != '"' &&
           *run.end != '\\')
        run.end++;
    l->out = put_slice(run, l->out);
    l->left.at = run.end;
}

/* Copy a character beyond ASCII. */
static int copy_character(json_line *l) {
    size_t size = utf8_character(l->left);
    put_bytes(l, l->left.at, size);
    l->left.at += size;
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
    } else {
        l->out += write_utf8(c, l->out);
    }
}

/* Copy an escape behind its backslash, but not half a pair of surrogates. */
static int copy_escape(json_line *l) {
    static const char letters[] = "bfnrtu\"\\/";
    uint32_t c;
    uint32_t low;
    if (l->left.at == l->left.end || *l->left.at == 0 || !strchr(letters, *l->left.at))
        return 0;
    if (!accept(l, 'u')) {
        put_character(l, read_escape(&l->left));
        return 1;
    }
    if (!read_code_unit(&l->left, &c))
        return 0;
    if (is_surrogate(c)) {
        if (c >= 0xDC00 || !accept(l, '\\') || !accept(l, 'u') || !read_code_unit(&l->left, &low))
            return 0;
        if (low < 0xDC00 || low >= 0xE000)
            return 0;
        c = 0x10000 + ((c - 0xD800) << 10 | (low - 0xDC00));
    }
    put_character(l, c);
    return 1;
}

static int copy_string(json_line *l) {
    if (!accept(l, '"'))
        return 0;
    put(l, '"');
    for (;;) {
        copy_run(l);
        if (l->left.at == l->left.end || *l->left.at < ' ')
            return 0;
        if (accept(l, '"'))
            break;
        int is_copied = accept(l, '\\') ? copy_escape(l) : copy_character(l);
        if (!is_copied)
            return 0;
    }
    put(l, '"');
    return 1;
}

/* Read digits. Return 0 if there are none. */
static int read_digits(json_line *l) {
    const unsigned char *start = l->left.at;
    while (l->left.at < l->left.end && *l->left.at >= '0' && *l->left.at <= '9')
        l->left.at++;
    return l->left.at > start;
}

static int copy_number(json_line *l) {
    const unsigned char *start = l->left.at;
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
    l->out = put_slice((slice){start, l->left.at}, l->out);
    return 1;
}

static int copy_word(json_line *l, const char *word) {
    size_t size = strlen(word);
    if (slice_length(l->left) < size || memcmp(l->left.at, word, size) != 0)
        return 0;
    put_bytes(l, word, size);
    l->left.at += size;
    return 1;
}

/* Copy what stands behind an item: the end of its list or object, or a comma. Return 1 if another
 * item follows, 0 behind the last, -1 if there is neither. */
static int next_item(json_line *l, char end) {
    skip_spaces(l);
    if (accept(l, end))
        return 0;
    if (!accept(l, ','))
        return -1;
    put_bytes(l, ", ", 2);
    skip_spaces(l);
    return 1;
}

static int copy_list(json_line *l, int nesting) {
    l->left.at++;
    put(l, '[');
    skip_spaces(l);
    int more = !accept(l, ']');
    while (more == 1) {
        if (!copy_value(l, nesting))
            return 0;
        more = next_item(l, ']');
    }
    put(l, ']');
    return more == 0;
}

static int equals(slice a, slice b) {
    return slice_length(a) == slice_length(b) && memcmp(a.at, b.at, slice_length(a)) == 0;
}

/* Return the place of a key, or `count` if it is not there. */
static size_t find(const slice *keys, size_t count, slice key) {
    size_t i = 0;
    while (i < count && !equals(keys[i], key))
        i++;
    return i;
}

/* Copy a key, which the object has only once, and the colon behind it. first: of its keys. */
static int copy_key(json_line *l, size_t first) {
    slice key = {l->out, l->out};
    if (l->num_keys == MAX_KEYS || !copy_string(l))
        return 0;
    key.end = l->out;
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

static int copy_object(json_line *l, int nesting) {
    size_t first = l->num_keys;
    l->left.at++;
    put(l, '{');
    skip_spaces(l);
    int more = !accept(l, '}');
    while (more == 1) {
        if (!copy_key(l, first) || !copy_value(l, nesting))
            return 0;
        more = next_item(l, '}');
    }
    put(l, '}');
    l->num_keys = first;
    return more == 0;
}

/* Copy a value. nesting: the lists and objects around it. */
static int copy_value(json_line *l, int nesting) {
    if (l->left.at == l->left.end || nesting > MAX_NESTING)
        return 0;
    switch (*l->left.at) {
    case '"':
        return copy_string(l);
    case '{':
        return copy_object(l, nesting + 1);
    case '[':
        return copy_list(l, nesting + 1);
    case 't':
        return copy_word(l, "true");
    case 'f':
        return copy_word(l, "false");
    case 'n':
        return copy_word(l, "null");
    default:
        return copy_number(l);
    }
}

/* Write the characters that a string stands for. string: as it was written, with its quotation
 * marks. Return where they are. */
static slice put_decoded(json_line *l, slice string) {
    const unsigned char *start = l->out;
    slice left = {string.at + 1, string.end - 1};
    for (;;) {
        const unsigned char *backslash = find_byte(left, '\\');
        l->out = put_slice((slice){left.at, backslash ? backslash : left.end}, l->out);
        if (!backslash)
            return (slice){start, l->out};
        left.at = backslash + 1;
        l->out += write_utf8(read_escape(&left), l->out);
    }
}

/* Copy the items of a row. text: is set to the text in the line, between its quotation marks. */
static int copy_items(json_line *l, const jsonl_keys *keys, slice *values, slice *text) {
    int more = 1;
    while (more == 1) {
        if (!copy_key(l, 0))
            return 0;
        slice key = l->keys[l->num_keys - 1];
        if (find(keys->refused, keys->num_refused, key) < keys->num_refused)
            return 0;
        size_t place = find(keys->wanted, keys->num_wanted, key);
        slice value = {l->out, l->out};
        const unsigned char *source = l->left.at;
        if (!copy_value(l, 1))
            return 0;
        value.end = l->out;
        if (place < keys->num_wanted)
            values[place] = value;
        if (place == 0) {
            if (*source != '"')
                return 0;
            *text = (slice){source + 1, l->left.at - 1};
        }
        more = next_item(l, '}');
    }
    return more == 0;
}

static int read_row(const void *form, slice line, unsigned char **memory, table_row *row,
                    slice *values) {
    const jsonl_keys *keys = form;
    json_line l;
    slice text = {NULL, NULL};
    l.left = line;
    l.out = *memory;
    l.num_keys = 0;
    for (size_t i = 0; i < keys->num_wanted; i++)
        values[i] = (slice){NULL, NULL};
    skip_spaces(&l);
    if (!accept(&l, '{'))
        return 0;
    skip_spaces(&l);
    if (!copy_items(&l, keys, values, &text) || !text.at)
        return 0;
    skip_spaces(&l);
    if (l.left.at != l.left.end)
        return 0;
    row->items = (slice){*memory, l.out};
    row->text = find_byte(text, '\\') ? put_decoded(&l, values[0]) : text;
    *memory = l.out;
    return 1;
}

/* A separator of one byte is written with two. The text may be there once more. */
row_reader jsonl_reader(const jsonl_keys *keys) {
    return (row_reader){line_end, read_row, keys, keys->num_wanted, 3, 8};
}
