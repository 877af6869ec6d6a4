/* Rows with fields: an object of JSON becomes the words of its texts and a word for each field.
 *
 * A row is never copied. It is walked through once to check it and once for each field, and a
 * number stays where it is written: it is compared digit by digit, and never rounded. */
#ifndef EDGE_LSTM_FIELDS_H
#define EDGE_LSTM_FIELDS_H

#include "json.h"
#include "model.h"

enum {
    MAX_ROW_DEPTH = 32,
    MAX_FIELD_WORDS = 256, /* of a row */
    MAX_FIELD_PAIRS = 64,
    FIRST_FIELD_WORD = 0xF0000,
    READ_MARK = 0xFFFFD, /* begins a text that other code made of a row */
    LAST_FIELD_WORD = 0xFFFFF,
    MAX_FIELD_CODES = READ_MARK - FIRST_FIELD_WORD, /* words of all fields */
    MAX_NUMBER_CHARS = 64                           /* of a number or date in a string */
};

enum { TEXT_FIELD, NUMBER_FIELD, CATEGORY_FIELD };
enum { PART_LEAST, PART_GREATEST, PART_SUM, PART_LENGTH, PART_VALUE };

/* A field of the file. Its words are one for each bin or value, one for a missing value and one for
 * an unknown one. */
typedef struct {
    slice name; /* JSON */
    int kind;
    int part;
    slice list;    /* the edges or values, entered */
    int32_t count; /* of them */
} row_field;

static int32_t words_of_field(const row_field *f) {
    if (f->kind == TEXT_FIELD)
        return 0;
    return f->count + (f->kind == NUMBER_FIELD ? 3 : 2);
}

/* --- Decimals -------------------------------------------------------------------------------- */

/* A number that may have digits of its own. */
typedef struct {
    decimal number;
    unsigned char digits[MAX_NUMBER_CHARS];
} row_number;

/* Return -1, 0 or 1: whether a is less than b, equal or greater. */
static int compare_decimals(const decimal *a, const decimal *b) {
    slice left = a->digits;
    slice right = b->digits;
    if (a->sign != b->sign)
        return a->sign < b->sign ? -1 : 1;
    if (a->sign != 0 && a->magnitude != b->magnitude)
        return a->magnitude < b->magnitude ? -a->sign : a->sign;
    while (a->sign != 0 && (left.at < left.end || right.at < right.end)) {
        int difference = next_digit(&left) - next_digit(&right);
        if (difference != 0)
            return difference < 0 ? -a->sign : a->sign;
    }
    return 0;
}

/* Make a number of a whole one. decimals: how many of its digits stand behind the point. */
static void set_whole(row_number *n, int64_t whole, int decimals) {
    uint64_t left = whole < 0 ? (uint64_t)-whole : (uint64_t)whole;
    unsigned char *end = n->digits + sizeof n->digits;
    unsigned char *at = end;
    for (; left > 0; left /= 10) {
        at--;
        *at = (unsigned char)('0' + left % 10);
    }
    n->number = (decimal){(whole > 0) - (whole < 0), (long)(end - at) - decimals, {at, end}};
}

/* Add a number, cut to whole millionths. Return whether both are small enough. */
static int add_millionths(int64_t *sum, const decimal *d) {
    const int64_t most = 8 * INT64_C(1000000000000000000);
    int64_t value = 0;
    slice digits = d->digits;
    if (d->sign == 0)
        return 1;
    if (d->magnitude > 12)
        return 0;
    for (long i = 0; i < d->magnitude + 6; i++)
        value = value * 10 + next_digit(&digits);
    *sum += d->sign * value;
    return *sum <= most && *sum >= -most;
}

/* Read numbers by a pattern: N of two digits, and other characters as they are. */
static int read_pattern(slice *s, const char *pattern, int32_t *numbers) {
    for (; *pattern; pattern++) {
        if (*pattern != 'N' && !accept_char(s, *pattern))
            return 0;
        if (*pattern != 'N')
            continue;
        if (slice_length(*s) < 2 || !is_digit(s->at[0]) || !is_digit(s->at[1]))
            return 0;
        *numbers = 10 * (s->at[0] - '0') + (s->at[1] - '0');
        numbers++;
        s->at += 2;
    }
    return 1;
}

/* Return the days from 1970 to the first of a month. Years are counted from March on: a leap day is
 * the last of its year. */
static int64_t first_of_month(int32_t year, int32_t month) {
    int32_t y = month > 2 ? year : year - 1;
    int32_t m = month > 2 ? month - 3 : month + 9;
    return 365 * (int64_t)y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 - 719468;
}

/* Read an ISO date as its seconds since 1970. Return whether the text is one. */
static int read_date(slice s, int64_t *seconds) {
    /* The year in two parts, month, day, hour, minute, second, and the zone's hour and minute. */
    static const int32_t most[] = {99, 99, 12, 31, 23, 59, 59, 23, 59};
    int32_t n[9] = {0};
    int sign = 1; /* of the zone */
    if (!read_pattern(&s, "NN-N-N", n))
        return 0;
    if (accept_char(&s, 'T') || accept_char(&s, ' ')) {
        if (!read_pattern(&s, "N:N", n + 4))
            return 0;
        if (accept_char(&s, ':') && (!read_pattern(&s, "N", n + 6) ||
                                     (accept_char(&s, '.') && skip_digits(&s) == 0)))
            return 0;
        if (accept_char(&s, '-'))
            sign = -1;
        if (sign < 0 || accept_char(&s, '+')) {
            if (!read_pattern(&s, "N", n + 7))
                return 0;
            accept_char(&s, ':');
            if (!read_pattern(&s, "N", n + 8))
                return 0;
        } else {
            accept_char(&s, 'Z');
        }
    }
    for (int i = 0; i < 9; i++)
        if (n[i] > most[i])
            return 0;
    int32_t year = 100 * n[0] + n[1];
    if (year < 1 || n[2] < 1 || n[3] < 1)
        return 0;
    int64_t days = first_of_month(year, n[2]) + n[3] - 1;
    *seconds = ((days * 24 + n[4] - sign * n[7]) * 60 + n[5] - sign * n[8]) * 60 + n[6];
    return s.at == s.end && days < first_of_month(year, n[2] + 1);
}

/* --- A row ----------------------------------------------------------------------------------- */

/* Walks through the JSON of a row. */
typedef struct {
    slice left;
    int depth;                         /* containers that are open */
    int is_list[MAX_ROW_DEPTH];        /* or an object */
    slice keys[MAX_ROW_DEPTH];         /* of the value, from the quotation mark */
    size_t num_items[MAX_ROW_DEPTH];   /* so far */
    int kind;                          /* of the value that next_at_path found */
    slice value;
} row_reader;

enum {
    ROW_IS_NO_JSON = -1,
    ROW_ENDS,
    VALUE_STRING,
    VALUE_NUMBER,
    VALUE_WORD,
    VALUE_NULL,
    LIST_ENDS
};

static void skip_space(slice *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

/* Read a string with its quotation marks. Return whether it is one of JSON. */
static int read_row_string(slice *s, slice *string) {
    uint32_t unit;
    string->at = s->at;
    if (!accept_char(s, '"'))
        return 0;
    while (s->at < s->end && *s->at >= 0x20) {
        unsigned char c = read_byte(s);
        if (c == '"') {
            string->end = s->at;
            return 1;
        }
        if (c != '\\')
            continue;
        if (s->at == s->end || *s->at == 0 || !strchr("\"\\/bfnrtu", *s->at))
            return 0;
        if (read_byte(s) == 'u' && !read_code_unit(s, &unit))
            return 0;
    }
    return 0;
}

static int accept_word(slice *s, const char *word) {
    size_t size = strlen(word);
    if (slice_length(*s) < size || memcmp(s->at, word, size) != 0)
        return 0;
    s->at += size;
    return 1;
}

/* Read a value that is no list or object. Return its kind. */
static int read_scalar(slice *s, slice *value) {
    decimal ignored;
    value->at = s->at;
    if (s->at < s->end && *s->at == '"')
        return read_row_string(s, value) ? VALUE_STRING : ROW_IS_NO_JSON;
    int kind = ROW_IS_NO_JSON;
    if (accept_word(s, "null"))
        kind = VALUE_NULL;
    else if (accept_word(s, "true") || accept_word(s, "false"))
        kind = VALUE_WORD;
    else if (read_decimal(s, &ignored) >= LONG_EXPONENT)
        kind = VALUE_NUMBER;
    value->end = s->at;
    return kind;
}

/* Return the kind of the next value, or that a list or the row ends. The row is an object. A list
 * that ends has its number of items in num_items[depth]. */
static int next_value(row_reader *r, slice *value) {
    for (;;) {
        skip_space(&r->left);
        int inner = r->depth - 1;
        if (r->depth > 0 && accept_char(&r->left, r->is_list[inner] ? ']' : '}')) {
            r->depth--;
            if (r->is_list[inner])
                return LIST_ENDS;
            if (r->depth > 0)
                continue;
            skip_space(&r->left);
            return r->left.at == r->left.end ? ROW_ENDS : ROW_IS_NO_JSON;
        }
        if (r->depth > 0) {
            if (r->num_items[inner] > 0 && !accept_char(&r->left, ','))
                return ROW_IS_NO_JSON;
            r->num_items[inner]++;
            skip_space(&r->left);
            if (!r->is_list[inner]) {
                if (!read_row_string(&r->left, &r->keys[inner]))
                    return ROW_IS_NO_JSON;
                skip_space(&r->left);
                if (!accept_char(&r->left, ':'))
                    return ROW_IS_NO_JSON;
                skip_space(&r->left);
            }
        }
        int is_object = accept_char(&r->left, '{');
        if (!is_object && !accept_char(&r->left, '['))
            return read_scalar(&r->left, value);
        if (r->depth == MAX_ROW_DEPTH)
            return ROW_IS_NO_JSON;
        r->is_list[r->depth] = !is_object;
        r->num_items[r->depth] = 0;
        r->depth++;
    }
}

/* Return whether a row is JSON, and not too deep. */
static int is_row(slice text) {
    row_reader r = {.left = text};
    slice value;
    int kind = ROW_IS_NO_JSON;
    do
        kind = next_value(&r, &value);
    while (kind > ROW_ENDS);
    return kind == ROW_ENDS;
}

/* Return whether the value that was read stands at a path: the keys with points between them. */
static int is_at_path(const row_reader *r, slice name) {
    char_reader path = json_string(name);
    int is_begun = 0;
    for (int i = 0; i < r->depth; i++) {
        if (r->is_list[i])
            continue;
        char_reader key = json_string(r->keys[i]);
        if (is_begun && next_char(&path) != '.')
            return 0;
        for (uint32_t c = next_char(&key); c != END_OF_TEXT; c = next_char(&key)) {
            if (next_char(&path) != c)
                return 0;
            is_begun = 1;
        }
    }
    return next_char(&path) == END_OF_TEXT;
}

/* Find the next value at a field's path, or a list that ends. null and empty strings do not count.
 * Return whether there is one. */
static int next_at_path(row_reader *r, const row_field *f) {
    do
        r->kind = next_value(r, &r->value);
    while (r->kind > ROW_ENDS &&
           (r->kind == VALUE_NULL || (r->kind == VALUE_STRING && slice_length(r->value) == 2) ||
            !is_at_path(r, f->name)));
    return r->kind > ROW_ENDS;
}

/* --- The fields of a row --------------------------------------------------------------------- */

/* Read a value, a number or a string that says one. Return whether it is that. */
static int read_number(slice value, row_number *n) {
    char_reader r = json_string(value);
    slice s = {n->digits, n->digits};
    int64_t seconds;
    if (!r.left.at)
        return read_decimal(&value, &n->number) == JSON_NUMBER && value.at == value.end;
    for (uint32_t c = next_char(&r); c != END_OF_TEXT; c = next_char(&r)) {
        if (c >= 0x80 || s.end == n->digits + MAX_NUMBER_CHARS)
            return 0;
        n->digits[s.end - s.at] = (unsigned char)c;
        s.end++;
    }
    while (accept_char(&s, ' '))
        continue;
    while (s.at < s.end && s.end[-1] == ' ')
        s.end--;
    slice digits = s;
    if (read_decimal(&digits, &n->number) == JSON_NUMBER && digits.at == digits.end)
        return 1;
    if (!read_date(s, &seconds))
        return 0;
    set_whole(n, seconds, 0);
    return 1;
}

enum { MISSING, UNKNOWN, KNOWN };

/* Find a row's number. Return MISSING, UNKNOWN or KNOWN. */
static int find_number(slice row, const row_field *f, row_number *n) {
    row_reader r = {.left = row};
    decimal d;
    int64_t total = 0;
    int found = MISSING;
    while (next_at_path(&r, f)) {
        if (f->part == PART_LENGTH && r.kind == LIST_ENDS) {
            total += (int64_t)r.num_items[r.depth];
            found = KNOWN;
        } else if (f->part == PART_VALUE && r.kind != LIST_ENDS) {
            found = read_number(r.value, n) ? KNOWN : UNKNOWN;
        } else if (f->part <= PART_SUM && r.kind == VALUE_NUMBER && found != UNKNOWN) {
            int is_one = read_decimal(&r.value, &d) == JSON_NUMBER &&
                         (f->part != PART_SUM || add_millionths(&total, &d));
            if (found == MISSING ||
                compare_decimals(&d, &n->number) == (f->part == PART_LEAST ? -1 : 1))
                n->number = d;
            found = is_one ? KNOWN : UNKNOWN;
        }
    }
    if (f->part == PART_LENGTH || f->part == PART_SUM)
        set_whole(n, total, f->part == PART_SUM ? 6 : 0);
    return found;
}

/* Return whether a row's value is one of a category's. */
static int is_value(slice value, int kind, slice listed) {
    char_reader theirs = json_string(listed);
    row_number number;
    row_number own;
    if (kind == VALUE_NUMBER)
        return read_number(value, &number) && read_number(listed, &own) &&
               compare_decimals(&number.number, &own.number) == 0;
    char_reader ours = kind == VALUE_STRING ? json_string(value) : (char_reader){value, 0};
    for (;;) {
        uint32_t c = next_char(&ours);
        if (c != next_char(&theirs))
            return 0;
        if (c == END_OF_TEXT)
            return 1;
    }
}

/* Return the number of the word of a category's value. */
static int32_t find_value(const row_reader *r, const row_field *f) {
    slice list = f->list;
    slice listed;
    for (int32_t word = 0; json_next_value(&list, &listed); word++)
        if (is_value(r->value, r->kind, listed))
            return word;
    return f->count + 1; /* unknown */
}

/* Return the number of a row's word, from 0, among those of its field. */
static int32_t find_word(slice row, const row_field *f) {
    row_reader r = {.left = row};
    slice list = f->list;
    slice value;
    row_number n;
    row_number edge;
    int32_t word = words_of_field(f) - 2; /* of a missing value */
    if (f->kind == CATEGORY_FIELD) {
        while (next_at_path(&r, f))
            if (r.kind != LIST_ENDS)
                word = find_value(&r, f);
        return word;
    }
    int found = find_number(row, f, &n);
    if (found != KNOWN)
        return word + found;
    for (word = 0; json_next_value(&list, &value); word++)
        if (!read_number(value, &edge) || compare_decimals(&n.number, &edge.number) <= 0)
            break;
    return word;
}

/* --- The fields of a file -------------------------------------------------------------------- */

/* Read the next field. Return 1, 0 behind the last, or -1 if it is not one that this engine
 * knows. */
static int next_row_field(slice *fields, row_field *f) {
    static const char *const kinds[] = {"\"text\"", "\"number\"", "\"category\"", NULL};
    static const char *const parts[] = {"\"least\"", "\"greatest\"", "\"sum\"", "\"length\"", NULL};
    slice value;
    slice item;
    if (fields->at == fields->end)
        return 0;
    *f = (row_field){.part = PART_VALUE};
    if (!json_next_value(fields, &value) || !json_get(value, "name", &f->name) ||
        !json_string(f->name).left.at || !read_choice(value, "kind", kinds, &f->kind))
        return -1;
    if (json_get(value, "part", &item) &&
        (f->kind != NUMBER_FIELD || !read_choice(value, "part", parts, &f->part)))
        return -1;
    if (f->kind == TEXT_FIELD)
        return 1;
    const char *list = f->kind == NUMBER_FIELD ? "edges" : "values";
    if (!json_enter_member(value, list, '[', &f->list))
        return -1;
    for (slice left = f->list; json_next_value(&left, &item); f->count++) {
        row_number edge;
        int is_one = f->kind == NUMBER_FIELD ? read_number(item, &edge)
                                             : json_string(item).left.at != NULL;
        if (!is_one || f->count == MAX_FIELD_CODES)
            return -1;
    }
    return 1;
}

/* Find the field with a number, from 0. Return whether there is one. */
static int get_field(const edge_lstm *m, int32_t number, row_field *f) {
    slice fields;
    int more = json_enter_member(m->metadata[FIELDS], "fields", '[', &fields);
    for (int32_t i = 0; more > 0 && i <= number; i++)
        more = next_row_field(&fields, f);
    return more > 0;
}

/* Read the places of a pair. Return whether it is one of two numbers. */
static int read_field_pair(const edge_lstm *m, slice value, row_field pair[2]) {
    for (int i = 0; i < 2; i++) {
        slice place;
        int32_t number;
        if (i == 0 && !json_enter(&value, '['))
            return 0;
        if (!json_next_value(&value, &place) ||
            !json_whole_number(place, 0, MAX_FIELD_CODES, &number) ||
            !get_field(m, number, &pair[i]) || pair[i].kind != NUMBER_FIELD)
            return 0;
    }
    return value.at == value.end;
}

/* Check the fields of a file. Return whether this engine can read its rows. */
static int fields_fit(const edge_lstm *m) {
    slice list;
    slice value;
    row_field f;
    row_field pair[2];
    int32_t row_words = 0;
    int32_t words = 0;
    int more = 1;
    if (!m->metadata[FIELDS].at)
        return 1;
    if (!json_enter_member(m->metadata[FIELDS], "fields", '[', &list) || list.at == list.end)
        return 0;
    for (more = next_row_field(&list, &f); more > 0; more = next_row_field(&list, &f)) {
        row_words += f.kind != TEXT_FIELD;
        words += words_of_field(&f);
        if (words > MAX_FIELD_CODES)
            return 0;
    }
    if (more < 0 || !json_enter_member(m->metadata[FIELDS], "pairs", '[', &list))
        return 0;
    for (int32_t i = 0; json_next_value(&list, &value); i++, row_words++, words += 3)
        if (i == MAX_FIELD_PAIRS || !read_field_pair(m, value, pair))
            return 0;
    return list.at == list.end && row_words <= MAX_FIELD_WORDS && row_words < m->max_length &&
           words <= MAX_FIELD_CODES && !m->keeps_first;
}

#endif
