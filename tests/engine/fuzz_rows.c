/* fuzz_rows SECONDS SEED: reads random lines of JSON and rows of CSV, damaged ones too. Nothing may be
 * read or written outside of the row and its room, and what is written is read again as itself.
 * Build it with sanitizers. */
#include "csv.h"
#include "jsonl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE = 4096, WANTED = 2 };

static uint64_t state;

static uint32_t chance(uint32_t below) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 2685821657736338717u) >> 33) % below;
}

static void fail(const char *why) {
    fprintf(stderr, "%s\n", why);
    abort();
}

static void *had(void *memory) {
    if (!memory)
        fail("no memory");
    return memory;
}

/* The pieces of JSON, and of what is nearly JSON. */
static const char *const PIECES[] = {
    "{", "}", "[", "]", ",", ", ", ":", ": ", "\"text\"", "\"id\"", "\"a\"", "\"\"", "\"text\": \"",
    "\"", "\\\"", "\\\\", "\\n", "\\/", "\\u00e9", "\\u0000", "\\ud83d\\ude00", "\\ud83d", "\\u",
    "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x8E\x89", "\xED\xA0\x80", "\xC0\x80", "\xFF", "\x01", " ",
    "\t", "0", "-", "1e5", "01", ".5", "12.50", "true", "false", "null", "NaN", "words of a text ",
    "\xE0\x80\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\\u00E9", "\\uD83D"};

enum { NUM_PIECES = sizeof PIECES / sizeof *PIECES };

static size_t put(char *line, size_t size, const char *piece) {
    size_t more = strlen(piece);
    if (size + more > LINE)
        return size;
    memcpy(line + size, piece, more);
    return size + more;
}

static size_t put_value(char *line, size_t size, int nesting);

static size_t put_string(char *line, size_t size) {
    size = put(line, size, "\"");
    for (uint32_t count = chance(6); count > 0; count--)
        size = put(line, size, PIECES[14 + chance(12)]);
    return put(line, size, "\"");
}

static size_t put_items(char *line, size_t size, int nesting, int is_object) {
    size = put(line, size, is_object ? "{" : "[");
    for (uint32_t i = chance(5); i > 0; i--) {
        if (is_object) {
            size = chance(3) ? put(line, size, PIECES[8 + chance(4)]) : put_string(line, size);
            size = put(line, size, chance(2) ? ": " : ":");
        }
        size = put_value(line, size, nesting + 1);
        if (i > 1)
            size = put(line, size, chance(2) ? ", " : ",");
    }
    return put(line, size, is_object ? "}" : "]");
}

static size_t put_value(char *line, size_t size, int nesting) {
    uint32_t kind = chance(nesting > 40 ? 4 : 8);
    if (kind < 3)
        return put_string(line, size);
    if (kind == 3)
        return put(line, size, PIECES[32 + chance(NUM_PIECES - 33)]);
    return put_items(line, size, nesting, kind > 5);
}

static size_t any_line(char *line) {
    size_t size = 0;
    if (chance(8) == 0) {
        for (uint32_t count = chance(60); count > 0; count--)
            size = put(line, size, PIECES[chance(NUM_PIECES)]);
        return size;
    }
    size = put(line, size, "{\"text\": ");
    size = put_string(line, size);
    size = put(line, size, ",\"b\":");
    size = put_value(line, size, 0);
    size = put(line, size, "}");
    for (uint32_t damages = chance(3); damages > 0 && size > 0; damages--)
        line[chance((uint32_t)size)] = (char)(chance(2) ? chance(256) : (uint32_t)PIECES[chance(20)][0]);
    return size;
}

/* Read a row in memory of its size. Return whether it was read; the caller frees the memory. */
static int read_row(const row_reader *reader, slice line, unsigned char **memory, table_row *row) {
    slice values[WANTED];
    size_t room = reader->room * slice_length(line) + reader->room_a_row;
    *memory = had(malloc(room + !room));
    unsigned char *end = *memory;
    int is_read = reader->read(reader->form, line, &end, row, values);
    if (is_read && (size_t)(end - *memory) > room)
        fail("more memory than there is");
    if (is_read && !is_utf8(row->text))
        fail("a text that is not UTF-8");
    return is_read;
}

static int equals(slice a, slice b) {
    size_t size = slice_length(a);
    return slice_length(b) == size && (size == 0 || memcmp(a.at, b.at, size) == 0);
}

/* Read what was written of a row, and compare. */
static void read_again(const row_reader *reader, const table_row *row, slice begin, slice end) {
    size_t size = slice_length(begin) + slice_length(row->items) + slice_length(end);
    unsigned char *line = had(malloc(size + !size));
    unsigned char *memory;
    table_row again;
    unsigned char *out = put_slice(begin, line);
    out = put_slice(row->items, out);
    put_slice(end, out);
    if (!read_row(reader, slice_of(line, size), &memory, &again))
        fail("what was written is not read");
    if (!equals(again.items, row->items))
        fail("what was written is written otherwise");
    if (!equals(again.text, row->text))
        fail("the text is another one");
    free(memory);
    free(line);
}

static int try_json(const char *line, size_t size) {
    const slice wanted[WANTED] = {slice_of("\"text\"", 6), slice_of("\"id\"", 4)};
    const slice refused[1] = {slice_of("\"label\"", 7)};
    jsonl_keys keys = {wanted, WANTED, refused, 1};
    row_reader reader = jsonl_reader(&keys);
    unsigned char *memory;
    table_row row;
    int is_read = read_row(&reader, slice_of(line, size), &memory, &row);
    if (is_read) {
        read_again(&reader, &row, slice_of("{", 1), slice_of("}", 1));
        utf8_length(row.text);
    }
    free(memory);
    return is_read;
}

/* Read the rows of CSV that are in some bytes. Return their number. */
static int try_csv(const char *data, size_t size) {
    static const int places[3] = {1, -1, 0};
    csv_form form = {',', 3, 2, places, WANTED};
    row_reader reader = csv_reader(&form);
    slice left = slice_of(data, size);
    const unsigned char *stop = reader.end(left);
    int rows = 0;
    while (stop) {
        /* A row of its own: nothing after it may be read. */
        size_t length = (size_t)(stop - left.at);
        char *line = memcpy(had(malloc(length + !length)), left.at, length);
        unsigned char *memory;
        table_row row;
        if (read_row(&reader, slice_of(line, length), &memory, &row)) {
            read_again(&reader, &row, slice_of("", 0), slice_of("", 0));
            rows++;
        }
        free(memory);
        free(line);
        left.at = stop + 1;
        stop = reader.end(left);
    }
    return rows;
}

/* The pieces of CSV. */
static const char *const CELLS[] = {"a", "words of a text", "\"", "\"\"", "\"a\"", ",", ",", "\n",
                                    "\r\n", "\r", "\xC3\xA9", "\xFF", "\"a, b\"", "\"\"\"c\"\"\""};

static size_t any_rows(char *data) {
    size_t size = 0;
    for (uint32_t cells = 3 * (1 + chance(4)); cells > 0; cells--) {
        size = put(data, size, CELLS[chance(chance(4) ? 2 : 14)]);
        if (chance(3) == 0)
            size = put(data, size, CELLS[10 + chance(4)]);
        size = put(data, size, cells % 3 == 1 ? "\n" : ",");
    }
    return size;
}

/* Floats at the ends of what is written, and next to each power of two and of ten: read again, they
 * are the same. */
static void try_floats(void) {
    static const float ends[] = {0, 1, 2, -1, 1e-8f, 9e-9f, 1e-9f};
    unsigned char digits[FLOAT_BYTES + 1];
    for (int i = 0; i < 7 + 3 * 40; i++) {
        float value = i < 7 ? ends[i] : 1;
        for (int k = 0; k < (i - 7) / 3; k++)
            value /= i % 2 ? 2 : 10;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits += i < 7 ? 0 : (uint32_t)(i % 3) - 1;
        memcpy(&value, &bits, sizeof value);
        size_t size = write_float(value, digits);
        digits[size] = 0;
        if (size > 0 && strtof((const char *)digits, NULL) != value)
            fail("a number is written wrongly");
        if (size == 0 && value >= 1e-8f && value <= 1)
            fail("a number is not written");
    }
}

int main(int count, char **arguments) {
    unsigned long lines = 0;
    unsigned long rows = 0;
    unsigned long csv_rows = 0;
    char room[LINE];
    unsigned char digits[FLOAT_BYTES];
    if (count < 3)
        return 2;
    state = strtoull(arguments[2], NULL, 10) * 2 + 1;
    try_floats();
    for (time_t end = time(NULL) + (time_t)atof(arguments[1]); time(NULL) < end;) {
        for (int i = 0; i < 10000; i++) {
            size_t size = any_line(room);
            char *line = memcpy(had(malloc(size + !size)), room, size);
            rows += (unsigned long)try_json(line, size);
            free(line);
            size = any_rows(room);
            line = memcpy(had(malloc(size)), room, size);
            csv_rows += (unsigned long)try_csv(line, size);
            free(line);
            uint32_t bits = chance(0x40000000);
            float value;
            memcpy(&value, &bits, sizeof value);
            write_float(value, digits);
            lines++;
        }
    }
    printf("%lu lines, %lu rows, %lu of CSV\n", lines, rows, csv_rows);
    return rows > 0 && csv_rows > 0 ? 0 : 3;
}
