/* fuzz_jsonl SECONDS SEED: reads random lines of JSON, damaged ones too. Nothing may be read or
 * written outside of the line and its room, and what is written is read again as itself. Build it
 * with sanitizers. */
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
    "\t", "0", "-", "1e5", "01", ".5", "12.50", "true", "false", "null", "NaN", "words of a text "};

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

/* Read a line in memory of its size. Return the bytes used; the caller frees the memory. */
static size_t read_line(const char *line, size_t size, unsigned char **memory, jsonl_row *row) {
    static const jsonl_slice wanted[WANTED] = {{"\"text\"", 6}, {"\"id\"", 4}};
    static const jsonl_slice refused[1] = {{"\"label\"", 7}};
    jsonl_keys keys = {wanted, WANTED, refused, 1};
    jsonl_slice values[WANTED];
    *memory = had(malloc(jsonl_room(size)));
    size_t used = jsonl_read(line, size, &keys, *memory, row, values);
    if (used > jsonl_room(size))
        fail("more memory than there is");
    if (used && values[0].size < 2)
        fail("a row without a text");
    return used;
}

/* Read what was written of a row, and compare. */
static void read_again(const jsonl_row *row) {
    size_t size = row->items.size + 2;
    char *line = had(malloc(size));
    unsigned char *memory;
    jsonl_row again;
    line[0] = '{';
    memcpy(line + 1, row->items.at, row->items.size);
    line[size - 1] = '}';
    if (!read_line(line, size, &memory, &again))
        fail("what was written is not read");
    if (again.items.size != row->items.size || again.text.size != row->text.size)
        fail("what was written has another size");
    if (memcmp(again.items.at, row->items.at, row->items.size) != 0)
        fail("what was written is written otherwise");
    if (row->text.size && memcmp(again.text.at, row->text.at, row->text.size) != 0)
        fail("the text is another one");
    free(memory);
    free(line);
}

int main(int count, char **arguments) {
    unsigned long lines = 0;
    unsigned long rows = 0;
    char room[LINE];
    char digits[JSONL_FLOAT_BYTES];
    if (count < 3)
        return 2;
    state = strtoull(arguments[2], NULL, 10) * 2 + 1;
    for (time_t end = time(NULL) + (time_t)atof(arguments[1]); time(NULL) < end;) {
        for (int i = 0; i < 10000; i++) {
            size_t size = any_line(room);
            char *line = memcpy(had(malloc(size + !size)), room, size);
            unsigned char *memory;
            jsonl_row row;
            if (read_line(line, size, &memory, &row)) {
                rows++;
                read_again(&row);
                jsonl_length(row.text);
            }
            uint32_t bits = chance(0x40000000);
            float value;
            memcpy(&value, &bits, sizeof value);
            jsonl_write_float(value, digits);
            lines++;
            free(memory);
            free(line);
        }
    }
    printf("%lu lines, %lu rows\n", lines, rows);
    return rows > 0 ? 0 : 3;
}
