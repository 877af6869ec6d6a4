/* parts MODEL…: parts of the engine that a whole file seldom reaches, on values at their ends; then each
 * value in the metadata of the models becomes another one, which may be refused and must not crash.
 * Prints what is wrong. */
#ifdef CPU
/* A machine whose CPUID says what the test sets. */
#include <cpuid.h>
#include <immintrin.h>

static unsigned lacks; /* the part that is not there */
enum { LEAF_1 = 1, FMA_BIT = 2, LEAF_7 = 4, AVX2_BIT = 8, AVX512F_BIT = 16, VNNI_BIT = 32, PART_1 = 64 };

static int leaf_1(unsigned leaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d) {
    int there = __get_cpuid(leaf, a, b, c, d);
    if (lacks & FMA_BIT)
        *c = 0;
    return lacks & LEAF_1 ? 0 : there;
}

static int leaf_7(unsigned leaf, unsigned part, unsigned *a, unsigned *b, unsigned *c, unsigned *d) {
    int there = __get_cpuid_count(leaf, part, a, b, c, d);
    if (part == 0) {
        *a = !(lacks & PART_1); /* whether there is a second part */
        *b &= ~(lacks & AVX2_BIT ? 1u << 5 : 0);
        *b &= ~(lacks & AVX512F_BIT ? 1u << 16 : 0);
        *c &= ~(lacks & VNNI_BIT ? 1u << 11 : 0);
    }
    return lacks & LEAF_7 ? 0 : there;
}
#define __get_cpuid leaf_1
#define __get_cpuid_count leaf_7
#endif
#include "edge_lstm.c"

#include <stdio.h>
#include <stdlib.h>

static int wrong;

static void expect(int holds, const char *what) {
    if (!holds) {
        puts(what);
        wrong = 1;
    }
}

static slice of(const char *text) {
    return (slice){(const unsigned char *)text, (const unsigned char *)text + strlen(text)};
}

/* The number of a JSON text, or -1 if it is none. */
static double number(const char *text) {
    double value;
    return json_number(of(text), &value) ? value : -1;
}

static int32_t whole(const char *text) {
    int32_t value;
    return json_get_int(of(text), "a", 1, 9, &value) ? value : -1;
}

static void try_json(void) {
    slice value;
    expect(number("1.5e1") == 15 && number("2E+2") == 200 && number("25e-1") == 2.5, "exponents");
    expect(number("-3") == -3 && number("1e9999") > 1e300 && number("1e-9999") == 0, "far exponents");
    expect(number("") == -1 && number("-") == -1 && number("1x") == -1 && number("e5") == -1, "none");
    expect(whole("{\"a\":5}") == 5 && whole("{\"a\":10}") == -1 && whole("{\"a\":0}") == -1, "range");
    expect(whole("{\"a\":1.5}") == -1 && whole("{\"b\":5}") == -1 && whole("{\"a\":x}") == -1, "whole");
    expect(!json_get(of("[1]"), "a", &value) && !json_get(of("{\"a\"}"), "a", &value), "no object");
    expect(!json_get(of("{\"a\\\":1}"), "a", &value) && !json_get(of("{\"a\\"), "a", &value), "strings");
    expect(!json_get(of("{\"a"), "a", &value), "half a name");
    expect(!json_get(of("{\"a\":]}"), "a", &value) && !json_get(of("{x:1}"), "a", &value), "names");
    expect(json_string(of("5")).left.at == NULL, "a number is no string");
    expect(!json_member_is(of("{}"), "a", "1"), "no member");
}

/* The first character of a JSON string. */
static uint32_t first(const char *text) {
    char_reader reader = json_string(of(text));
    return next_char(&reader);
}

static void try_characters(void) {
    expect(first("\"\\\"") == '"' && first("\"\\\\") == '\\' && first("\"\\/") == '/', "marks");
    expect(first("\"\\b") == '\b' && first("\"\\f") == '\f' && first("\"\\n") == '\n', "controls");
    expect(first("\"\\r") == '\r' && first("\"\\t") == '\t' && first("\"\\x") == REPLACEMENT, "escapes");
    expect(first("\"\\u00e9") == 0xE9 && first("\"\\ud83d") == REPLACEMENT, "code units");
    expect(first("\"\\udfff") == REPLACEMENT && first("\"\\ue000") == 0xE000, "code units");
    expect(first("\"\\u00") == REPLACEMENT && first("\"\\u00x") == REPLACEMENT, "short code units");
    expect(first("\"\\") == END_OF_TEXT && first("\"\"") == END_OF_TEXT && first("\"") == END_OF_TEXT, "ends");
    slice zero = slice_of("\0", 1);
    uint32_t unit;
    expect(!read_code_unit(&zero, &unit), "a zero");
    expect(first("\"\\u00E9") == 0xE9, "digits in upper case");
    expect(may_be_mark('!') && !may_be_mark('a') && !may_be_mark(0) && !may_be_mark(200), "marks");
}

static void try_arithmetic(void) {
    float scale;
    int32_t zero;
    find_scale(0, 0, &scale, &zero);
    expect(scale == 1 && zero == 0, "an empty range");
    find_scale(-255, 0, &scale, &zero);
    expect(scale == 1 && zero == 255, "a range below zero");
    find_scale(-1000, -900, &scale, &zero);
    expect(zero == 255, "a range that lacks zero");
    find_scale(1, 2, &scale, &zero);
    expect(zero == 0, "a range above zero");
    expect(exponential(-100) == 0 && exponential(0.0f / 0.0f) == 0, "far exponents");
    expect(square_root(1025) > 32 && square_root(1) == 1, "roots");
    const float e = 0x1p-24f;
    expect(multiply_add(1, 1, e) == 1 && multiply_add(-1, 1, -e) == -1, "halves");
    expect(multiply_add(1 + 0x1p-23f, 1 + 0x1p-23f, 0) == 1 + 0x1p-22f, "rests");
    expect(multiply_add(1, 1 + 0x1p-23f, e * (1 + 0x1p-23f)) == 1 + 0x1p-22f, "rests above");
    expect(multiply_add(-1, 1 + 0x1p-23f, -e * (1 - 0x1p-23f)) == -1 - 0x1p-23f, "rests below");
}

static void try_protobuf(void) {
    static const unsigned char endless[] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1};
    static const unsigned char cut[] = {0x08, 0x80};
    slice message = {endless, endless + sizeof endless};
    uint64_t value;
    expect(!read_varint(&message, &value), "a number of eleven bytes");
    expect(!is_message((slice){cut, cut + sizeof cut}), "a number that ends early");
    expect(slice_of(NULL, 5).end == NULL, "no file");
    expect(!edge_lstm_needs(NULL, 0, NULL, &(const char *){NULL}), "no file");
}

#ifdef CPU
static size_t count_kernels(unsigned parts) {
    const kernel *list[MAX_KERNELS];
    lacks = parts;
    return list_kernels(list);
}

static void try_machines(void) {
    size_t all = count_kernels(0);
    expect(count_kernels(LEAF_1) == 2 && count_kernels(FMA_BIT) == 2, "without FMA");
    expect(count_kernels(LEAF_7) == 2 && count_kernels(AVX2_BIT) == 2, "without AVX2");
    expect(count_kernels(PART_1) <= all, "without AVX-VNNI");
    expect(count_kernels(AVX512F_BIT) <= all && count_kernels(VNNI_BIT) <= all, "without AVX-512");
}
#endif

static const char *const OTHERS[] = {
    "", "-1", "0", "1", "2", "0.5", "1e9", "70000", "5000000000", "\"\"", "\"x\"", "\"\\u00e9\"", "\"tanh\"",
    "\"sigmoid\"", "\"relu\"", "\"linear\"", "\"front\"", "\"none\"", "\"!!\"", "\"aa\"", "[]", "{}", "[1]", "[[0,1]]",
    "{\"a\":1}", "true", "false", "null", "\"", "]", "0,0"};
enum { NUM_OTHERS = sizeof OTHERS / sizeof *OTHERS };
enum { FIRST_ROW = 100 }; /* bytes of the golden rows in which values change: each change runs all rows */

/* Read a file's entries again, one of which has changed. file: as read_file leaves it. */
static void read_with(const edge_lstm *file, int changed, slice entry) {
    edge_lstm parsed = *file;
    parsed.metadata[changed] = entry;
    const char *error = read_tokenizer(&parsed);
    if (!error)
        error = read_network(&parsed);
    if (!error)
        error = find_weights(&parsed);
    if (!error)
        error = read_labels(&parsed);
    expect(!error || !strchr(error, '\n'), "an error of one line");
}

/* Let an opened model run its golden rows, and find its threshold, with another entry. */
static void answer_with(const edge_lstm *model, edge_lstm_worker *worker, int changed, slice entry) {
    edge_lstm other = *model;
    other.metadata[changed] = entry;
    worker->model = &other;
    size_t rows;
    float worst;
    edge_lstm_check(worker, &rows, &worst);
    edge_lstm_unfamiliar_above(&other, 0.05);
    worker->model = model;
}

/* Replace each value of an entry by each other one. */
static void change_entry(const edge_lstm *model, edge_lstm_worker *worker, int entry) {
    edge_lstm file;
    expect(!read_file(&file, model->file, 0), "the file is whole");
    slice whole = model->metadata[entry];
    size_t size = slice_length(whole);
    size_t last = entry == GOLDEN && size > FIRST_ROW ? FIRST_ROW : size;
    for (size_t at = 0; at < last; at++) {
        slice rest = {whole.at + at, whole.end};
        slice value;
        int begins = at == 0 || strchr(":,[{", whole.at[at - 1]);
        if (!begins || !json_read_value(&rest, &value))
            continue;
        size_t old = slice_length(value);
        for (int i = 0; i < NUM_OTHERS; i++) {
            size_t more = strlen(OTHERS[i]);
            unsigned char *changed = malloc(size - old + more + 1); /* reading on is an error */
            memcpy(changed, whole.at, at);
            memcpy(changed + at, OTHERS[i], more);
            memcpy(changed + at + more, value.end, size - at - old);
            slice other = {changed, changed + size - old + more};
            if (entry == GOLDEN || entry == ABSTENTION)
                answer_with(model, worker, entry, other);
            else
                read_with(&file, entry, other);
            free(changed);
        }
    }
}

/* Ids that no text has. */
static void try_ids(const edge_lstm *model, edge_lstm_worker *worker) {
    float *p = malloc(sizeof *p * edge_lstm_labels(model));
    size_t most = (size_t)model->max_length;
    int32_t *ids = calloc(most + 1, sizeof *ids);
    uint32_t slot;
    expect(edge_lstm_run(worker, ids, 1, most, p), "padding alone");
    expect(!edge_lstm_run(worker, ids, 1, 0, p), "no column");
    expect(!edge_lstm_run(worker, ids, 1, most + 1, p), "a column too many");
    ids[most - 1] = -1;
    expect(!edge_lstm_run(worker, ids, 1, most, p), "an id below zero");
    ids[most - 1] = model->max_id + 1;
    expect(!edge_lstm_run(worker, ids, 1, most, p), "an id behind the last");
    expect(!find_pair(model, PAD_ID, 2, &slot) && !find_pair(model, 2, PAD_ID, &slot), "pairs");
    free(ids);
    free(p);
}

/* Entries that are longer than any may be. */
static void try_long_entries(const edge_lstm *model) {
    edge_lstm other = *model;
    for (int i = 0; i < NUM_ENTRIES; i++) {
        other.metadata[i] = (slice){model->file.at, model->file.at + (1u << 28)};
        expect(!entries_fit(&other) && read_tokenizer(&other), "an entry of 256 MB");
        other.metadata[i] = model->metadata[i];
    }
}

enum { MOST_BYTES = 1 << 22, LONGEST_ENTRY = 4000 };

static void try_file(const char *path) {
    static unsigned char file[MOST_BYTES];
    const char *error;
    FILE *source = fopen(path, "rb");
    size_t size = fread(file, 1, sizeof file, source);
    fclose(source);
    size_t needs = edge_lstm_needs(file, size, NULL, &error);
    void *memory = malloc(needs);
    edge_lstm *model = edge_lstm_open(file, size, NULL, memory, needs, &error);
    size_t more = edge_lstm_worker_needs(model);
    void *other = malloc(more);
    edge_lstm_worker *worker = edge_lstm_worker_start(model, other, more);
    expect(!edge_lstm_worker_start(model, NULL, more), "no memory");
    expect(!*edge_lstm_label(model, edge_lstm_labels(model)), "a label behind the last");
    expect(edge_lstm_threshold(model, edge_lstm_labels(model)) == 0, "a threshold behind the last");
    expect(edge_lstm_unfamiliar_above(model, 1) < 0, "a share of all");
    try_ids(model, worker);
    try_long_entries(model);
    if (!model->metadata[ABSTENTION].at)
        model->metadata[ABSTENTION] = of("{\"unfamiliar\":[[0.01,1.9],[0.05,1.1]]}");
    for (int entry = 0; entry < NUM_ENTRIES; entry++)
        if (model->metadata[entry].at && slice_length(model->metadata[entry]) < LONGEST_ENTRY)
            change_entry(model, worker, entry);
    free(other);
    free(memory);
}

int main(int count, char **arguments) {
    for (int i = 1; i < count; i++)
        try_file(arguments[i]);
    try_json();
    try_characters();
    try_arithmetic();
    try_protobuf();
#ifdef CPU
    try_machines();
#endif
    return wrong;
}
