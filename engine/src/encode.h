/* Text → ids: lower case, words, and pieces of the words that the vocabulary does not have. */
#ifndef EDGE_LSTM_ENCODE_H
#define EDGE_LSTM_ENCODE_H

#include "characters.h"
#include "fields.h"
#include "model.h"
#include "unicode.h"
#include "vocabulary.h"

static const char UNREADABLE[] = "error"; /* the status of a text that is no row */

enum { LEAD_BYTE_OF_SIGMA = 0xCE }; /* the first byte of a capital sigma in UTF-8 */

/* A text while it becomes ids: the ids so far, and the letters of the word that is being read. */
typedef struct {
    const edge_lstm *m;
    int32_t *ids;    /* [2 * max_length]; when it is full, the older half goes */
    size_t num_kept; /* ids in it */
    size_t num_ids;  /* ids so far */
    size_t num_words;
    int has_known;       /* an id is of the vocabulary */
    unsigned char *word; /* the part of the word that is not yet split into pieces */
    size_t word_capacity;
    size_t word_size;
    uint32_t word_hash;
    int is_long;           /* the word is longer than any of the vocabulary: it becomes pieces */
    int32_t last_piece_id; /* of the word: unknown characters in a row share one id */
    int has_fields;        /* no text may have one of their words */
} encoder;

static void push_id(encoder *e, int32_t id) {
    size_t length = (size_t)e->m->max_length;
    e->num_ids++;
    e->has_known |= id >= e->m->first_word_id && id != e->m->oov_id;
    if (e->m->keeps_first && e->num_kept == length)
        return;
    if (e->num_kept == 2 * length) {
        memcpy(e->ids, e->ids + length, length * sizeof *e->ids);
        e->num_kept = length;
    }
    e->ids[e->num_kept] = id;
    e->num_kept++;
}

ALWAYS_INLINE int32_t id_of_entry(const edge_lstm *m, uint32_t number) {
    return (int32_t)number - 1 + m->first_word_id;
}

/* Find the longest piece that the text begins with. Return its number, or 0 if there is none.
 * length: its bytes, or those of the first character. */
static uint32_t find_longest_piece(const edge_lstm *m, const unsigned char *text, size_t size,
                                   size_t *length) {
    size_t longest = (size_t)m->longest_from[text[0]];
    uint32_t hash = PIECE_SEED;
    uint32_t number = 0;
    size_t n = 0;
    *length = 0;
    do {
        do { /* one character more */
            hash = hash_byte(hash, text[n]);
            n++;
        } while (n < size && is_continuation(text[n]));
        uint32_t found = number_in(m, find_slot(m, text, n, hash, 1));
        if (found)
            number = found;
        if (found || *length == 0)
            *length = n;
    } while (n < size && n < longest);
    return number;
}

/* Split off pieces until fewer than `keep` bytes of the word are left. */
static void push_pieces(encoder *e, size_t keep) {
    size_t at = 0;
    while (at < e->word_size && e->word_size - at >= keep) {
        size_t length;
        uint32_t number = find_longest_piece(e->m, e->word + at, e->word_size - at, &length);
        int32_t id = number ? id_of_entry(e->m, number) : e->m->oov_id;
        if (id != NO_ID && (number || id != e->last_piece_id))
            push_id(e, id);
        e->last_piece_id = id;
        at += length;
    }
    memmove(e->word, e->word + at, e->word_size - at);
    e->word_size -= at;
}

/* End the word, if one was begun. */
static void push_word(encoder *e) {
    uint32_t number = 0;
    if (e->word_size == 0 && !e->is_long)
        return;
    if (!e->is_long)
        number = number_in(e->m, find_slot(e->m, e->word, e->word_size, e->word_hash, 0));
    if (number)
        push_id(e, id_of_entry(e->m, number));
    else
        push_pieces(e, 0);
    e->num_words++;
    e->word_size = 0;
    e->word_hash = WORD_SEED;
    e->is_long = 0;
    e->last_piece_id = NO_ID;
}

/* Add a character to the word. */
static void push_char(encoder *e, uint32_t c) {
    if (e->word_size + 4 > e->word_capacity) {
        e->is_long = 1;
        push_pieces(e, (size_t)e->m->longest_piece);
    }
    size_t end = e->word_size + write_utf8(c, e->word + e->word_size);
    for (; e->word_size < end; e->word_size++)
        e->word_hash = hash_byte(e->word_hash, e->word[e->word_size]);
}

/* Read letters of ASCII, the bulk of most texts, up to the first other character. */
static void push_ascii_letters(encoder *e, slice *text) {
    size_t room = e->word_capacity - e->word_size;
    const unsigned char *at = text->at;
    const unsigned char *end = room < slice_length(*text) ? at + room : text->end;
    unsigned char *out = e->word + e->word_size;
    uint32_t hash = e->word_hash;
    for (; at < end; at++) {
        unsigned char letter = e->m->lower_ascii[*at];
        if (letter == 0)
            break;
        *out = letter;
        out++;
        hash = hash_byte(hash, letter);
    }
    e->word_size = (size_t)(out - e->word);
    e->word_hash = hash;
    text->at = at;
}

/* Return whether a capital sigma may stand in the text. Most have none, and are read faster. */
static int may_have_sigma(char_reader text) {
    if (text.is_json)
        return 1; /* as an escape */
    size_t size = slice_length(text.left);
    return size > 0 && memchr(text.left.at, LEAD_BYTE_OF_SIGMA, size) != NULL;
}

/* Return whether the next character that is not case-ignorable is a cased letter. */
static int cased_follows(char_reader ahead) {
    for (uint32_t c = next_char(&ahead); c != END_OF_TEXT; c = next_char(&ahead)) {
        enum case_property property = case_property(c);
        if (property != CASE_IGNORABLE)
            return property == CASED;
    }
    return 0;
}

/* Return the lower case of a character: of the one that becomes two, the first.
 * before: the property of the last character that is not case-ignorable; ahead: the rest. */
static uint32_t lower_of(const edge_lstm *m, uint32_t c, enum case_property before,
                         char_reader ahead) {
    if (m->lower_case == LOWER_NONE)
        return c;
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
    if (m->lower_case == LOWER_ASCII)
        return c;
    if (c == CAPITAL_SIGMA && before == CASED && !cased_follows(ahead))
        return FINAL_SIGMA;
    if (c == CAPITAL_I_WITH_DOT)
        return 'i';
    return to_lower(c);
}

/* Return a character beyond ASCII, or what replaces it. */
static uint32_t replaced(const edge_lstm *m, uint32_t c) {
    for (int32_t k = 0; k < m->num_special; k++)
        if (m->special[k].from == c)
            return m->special[k].to;
    return c;
}

/* Add a character that is in lower case: to the word, or as its end. */
ALWAYS_INLINE void push_lower(encoder *e, uint32_t c) {
    if (c >= 0x80)
        c = replaced(e->m, c);
    if (e->has_fields && c >= FIRST_FIELD_WORD && c <= LAST_FIELD_WORD)
        c = ' ';
    unsigned char kind = c < 0x80 ? e->m->char_kind[c] : LETTER;
    if (kind == REMOVED || c == NO_CHARACTER)
        return;
    if (kind != LETTER)
        push_word(e);
    if (kind != SEPARATOR)
        push_char(e, c);
    if (kind == MARK)
        push_word(e);
}

/* Add the words of a text. */
static void push_text(encoder *e, char_reader text) {
    const edge_lstm *m = e->m;
    int watches_sigma = m->lower_case == LOWER_UNICODE && may_have_sigma(text);
    enum case_property before = UNCASED;
    for (;;) {
        if (!watches_sigma && !text.is_json)
            push_ascii_letters(e, &text.left);
        uint32_t c = next_char(&text);
        if (c == END_OF_TEXT)
            break;
        push_lower(e, lower_of(m, c, before, text));
        if (c == CAPITAL_I_WITH_DOT && m->lower_case == LOWER_UNICODE)
            push_lower(e, COMBINING_DOT_ABOVE);
        if (watches_sigma) {
            enum case_property property = case_property(c);
            if (property != CASE_IGNORABLE)
                before = property;
        }
    }
    push_word(e);
}

/* Add the texts of a row. plain: a text instead, for the first field of that kind. Return whether
 * there is such a field. */
static int push_texts(encoder *e, slice row, const slice *plain) {
    slice fields;
    row_field f;
    int has_text = 0;
    json_enter_member(e->m->metadata[FIELDS], "fields", '[', &fields);
    while (next_row_field(&fields, &f) > 0) {
        row_reader r = {.left = row};
        if (f.kind != TEXT_FIELD)
            continue;
        if (plain && !has_text)
            push_text(e, (char_reader){*plain, 0});
        has_text = 1;
        while (next_at_path(&r, &f))
            if (r.kind == VALUE_STRING)
                push_text(e, json_string(r.value));
    }
    return has_text;
}

static void push_field_word(encoder *e, int32_t number) {
    push_char(e, (uint32_t)(FIRST_FIELD_WORD + number));
    push_word(e);
}

/* Add the words of a row's fields and pairs. */
static void push_fields(encoder *e, slice row) {
    slice list;
    slice value;
    row_field f;
    row_field pair[2];
    int32_t first = 0;
    json_enter_member(e->m->metadata[FIELDS], "fields", '[', &list);
    for (; next_row_field(&list, &f) > 0; first += words_of_field(&f))
        if (f.kind != TEXT_FIELD)
            push_field_word(e, first + find_word(row, &f));
    json_enter_member(e->m->metadata[FIELDS], "pairs", '[', &list);
    for (; json_next_value(&list, &value); first += 3) {
        row_number a;
        row_number b;
        read_field_pair(e->m, value, pair);
        if (find_number(row, &pair[0], &a) == KNOWN && find_number(row, &pair[1], &b) == KNOWN)
            push_field_word(e, first + 1 + compare_decimals(&a.number, &b.number));
    }
}

/* Add the words of a row, or of a text for its first field. Return whether it is one of them. */
static int push_row(encoder *e, slice text) {
    slice start = text;
    skip_space(&start);
    int is_object = start.at < start.end && *start.at == '{';
    if (is_object && !is_row(text))
        return 0;
    slice row = is_object ? text : slice_of("{}", 2);
    e->has_fields = 1;
    int has_text = push_texts(e, row, is_object ? NULL : &text);
    e->has_fields = 0;
    push_fields(e, row);
    return is_object || has_text;
}

/* Return whether other code made this text of a row, and leave out the mark that says so. */
static int accept_read_mark(slice *text) {
    slice rest = *text;
    if (rest.at == rest.end || read_utf8(&rest) != READ_MARK)
        return 0;
    *text = rest;
    return 1;
}

/* Turn a text into a sequence of ids; a JSON string is never a row. Return its status. */
static const char *encode(edge_lstm_worker *w, sequence *out, char_reader text) {
    const edge_lstm *m = w->model;
    size_t length = (size_t)m->max_length;
    encoder e = {.m = m,
                 .ids = out->ids,
                 .word = w->word,
                 .word_capacity = word_capacity(m),
                 .word_hash = WORD_SEED,
                 .last_piece_id = NO_ID};
    int is_readable = 1;
    if (m->start_id != NO_ID)
        push_id(&e, m->start_id);
    if (m->metadata[FIELDS].at && !text.is_json && !accept_read_mark(&text.left))
        is_readable = push_row(&e, text.left);
    else
        push_text(&e, text);

    out->count = e.num_ids < length ? e.num_ids : length;
    memmove(e.ids, e.ids + e.num_kept - out->count, out->count * sizeof *e.ids);
    if (!is_readable)
        return UNREADABLE;
    if (e.has_known)
        return e.num_ids > length ? "truncated" : "ok";
    return e.num_words > 0 ? "unknown_words" : "empty";
}

#endif
