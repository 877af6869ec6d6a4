/* Reads the model file: format and digest, tokenizer, network, weights and labels. Each reader
 * checks its part, and returns NULL or an error. docs/file-format.md describes the file. */
#ifndef EDGE_LSTM_MODEL_FILE_H
#define EDGE_LSTM_MODEL_FILE_H

#include "arithmetic.h"
#include "json.h"
#include "model.h"
#include "ngrams.h"
#include "protobuf.h"
#include "sha256.h"
#include "table.h"
#include "vocabulary.h"

static const char NOT_A_MODEL[] = "not a model file of edge-lstm, or cut short; copy it again";
static const char CHANGED[] =
    "the file was cut short or changed after it was written; copy it again";
static const char OTHER_FORMAT[] =
    "this format version is not supported; export the model again, or use a newer engine";
static const char UNKNOWN_RULE[] = "this text rule is not supported; use a newer engine";
static const char UNUSABLE[] =
    "the file's metadata is unusable or does not fit together; export it again";
static const char UNKNOWN_GRAPH[] =
    "this network is not supported: its graph has not the constants that its metadata needs";
static const char CROWDED[] =
    "its words were chosen to make a search slow; export the model again";

/* The numbers of ONNX's fields (onnx.proto). */
enum { MODEL_GRAPH = 7, MODEL_METADATA = 14 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { GRAPH_CONSTANT = 5 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_BYTES = 9 };

/* Ids of text rules; with pieces, those of unknown and known words are always the same. */
enum { OOV_ID_OF_PIECES = 2, MAX_FIRST_WORD_ID = 4 };

/* ONNX's types of constants, and one for scales, which are floats above 0. */
enum { FLOAT32 = 1, UINT8 = 2, INT8 = 3, UINT16 = 4, TYPE_BITS = 0xFF, SCALES = FLOAT32 | 0x100 };

static const char *const ENTRY_NAMES[NUM_ENTRIES] = {
    [FORMAT] = "edge_lstm.format",         [TOKENIZER] = "edge_lstm.tokenizer",
    [VOCABULARY] = "edge_lstm.vocabulary", [LABELS] = "edge_lstm.labels",
    [NETWORK] = "edge_lstm.network",       [GOLDEN] = "edge_lstm.golden",
    [MULTI_LABEL] = "edge_lstm.multi_label",       [ABSTENTION] = "edge_lstm.abstention"};

/* The largest size of each entry in bytes, far above that of any model. Each label adds to that of
 * the thresholds. */
static const uint32_t MAX_ENTRY_BYTES[NUM_ENTRIES] = {
    [FORMAT] = 16,       [TOKENIZER] = 1 << 16, [VOCABULARY] = 1 << 25,  [LABELS] = 1 << 23,
    [NETWORK] = 1 << 16, [GOLDEN] = 1 << 20,    [MULTI_LABEL] = 1 << 16, [ABSTENTION] = 1 << 16};
enum { BYTES_OF_THRESHOLD = 32 };

/* Return the value of an entry of the metadata: empty if the entry has none. at is NULL if there is
 * no such entry. */
static slice find_entry(slice file, const char *key) {
    slice entry = find_submessage(file, MODEL_METADATA, ENTRY_KEY, key);
    slice value = find_bytes(entry, ENTRY_VALUE);
    if (!value.at)
        value = (slice){entry.at, entry.at};
    return value;
}

/* Return whether each submessage with this number is a message. */
static int are_messages(slice message, unsigned number) {
    field f;
    while (next_field(&message, &f) > 0) {
        if (f.number == number && !is_message(f.bytes))
            return 0;
    }
    return 1;
}

/* Find the graph and the metadata, and check format and digest. */
static const char *read_file(edge_lstm *m, slice file, int checks_digest) {
    memset(m, 0, sizeof *m);
    m->file = file;
    m->graph = find_bytes(file, MODEL_GRAPH);
    if (!is_message(file) || !are_messages(file, MODEL_METADATA))
        return NOT_A_MODEL;
    for (int i = 0; i < NUM_ENTRIES; i++)
        m->metadata[i] = find_entry(file, ENTRY_NAMES[i]);
    if (!m->metadata[FORMAT].at)
        return NOT_A_MODEL;
    if (!slice_equals(m->metadata[FORMAT], "11"))
        return OTHER_FORMAT;
    if (slice_length(file) < SHA256_DIGITS || !is_message(m->graph) ||
        !are_messages(m->graph, GRAPH_CONSTANT))
        return CHANGED;
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* a fuzzer has to get behind the digest */
    checks_digest = 0;
#endif
    file.end -= SHA256_DIGITS; /* the digest of all before it */
    if (checks_digest && !has_digest(file))
        return CHANGED;
    return NULL;
}

/* Return whether each entry of the metadata has at most its largest size. Ask before the first is
 * read and, since one grows with the labels, again once their number is known. */
static int entries_fit(const edge_lstm *m) {
    uint32_t labels = (uint32_t)(m->num_labels ? m->num_labels : MAX_LABELS);
    for (int i = 0; i < NUM_ENTRIES; i++) {
        uint32_t more = i == MULTI_LABEL ? BYTES_OF_THRESHOLD * labels : 0;
        if (slice_length(m->metadata[i]) > MAX_ENTRY_BYTES[i] + more)
            return 0;
    }
    return 1;
}

/* Count a special character, and keep it once there is memory. */
static void add_special(edge_lstm *m, uint32_t from, uint32_t to) {
    if (m->special)
        m->special[m->num_special] = (struct special_char){from, to};
    m->num_special++;
}

/* Return whether a character may be a mark. */
static int may_be_mark(uint32_t c) {
    static const char marks[] = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~";
    return c > 0 && c < 128 && strchr(marks, (int)c) != NULL;
}

/* Read the characters of a kind from a string of the tokenizer's settings. */
static int read_chars(edge_lstm *m, const char *key, unsigned char kind) {
    slice value;
    if (!json_get(m->metadata[TOKENIZER], key, &value) || *value.at != '"')
        return 0;
    char_reader r = json_string(value);
    for (uint32_t c = next_char(&r); c != END_OF_TEXT; c = next_char(&r)) {
        if (kind == MARK && !may_be_mark(c))
            return 0;
        if (c >= 128) {
            add_special(m, c, kind == SEPARATOR ? ' ' : NO_CHARACTER);
            continue;
        }
        if (m->char_kind[c] != LETTER)
            return 0; /* it is there twice */
        m->char_kind[c] = kind;
    }
    return 1;
}

/* Read the characters beyond ASCII that become others of ASCII. */
static int read_replacements(edge_lstm *m) {
    slice pairs, name, value;
    if (!json_get(m->metadata[TOKENIZER], "replacements", &pairs) || !json_enter(&pairs, '{'))
        return 0;
    while (json_next_pair(&pairs, &name, &value)) {
        char_reader from_reader = json_string(name);
        char_reader to_reader = json_string(value);
        uint32_t from = next_char(&from_reader);
        uint32_t to = next_char(&to_reader);
        if (from < 128 || from == END_OF_TEXT)
            return 0;
        if (to >= 128 || next_char(&to_reader) != END_OF_TEXT)
            return 0;
        add_special(m, from, to);
    }
    return pairs.at == pairs.end;
}

/* Read the kinds of characters into char_kind and, once there is memory, special. */
static int read_char_kinds(edge_lstm *m) {
    m->num_special = 0;
    memset(m->char_kind, LETTER, sizeof m->char_kind);
    if (!read_chars(m, "separators", SEPARATOR) || !read_chars(m, "removed", REMOVED))
        return 0;
    if (!read_chars(m, "marks", MARK) || !read_replacements(m))
        return 0;
    if (m->char_kind[' '] == LETTER)
        m->char_kind[' '] = SEPARATOR;
    return 1;
}

/* Find which of the names, up to NULL, a key's value is. Return whether it is one. */
static int read_choice(slice object, const char *key, const char *const *names, int *choice) {
    for (*choice = 0; names[*choice]; ++*choice)
        if (json_member_is(object, key, names[*choice]))
            return 1;
    return 0;
}

/* Read a key's value, an id from low to high or null. */
static int read_id(slice object, const char *key, int32_t low, int32_t high, int32_t *id) {
    *id = NO_ID;
    return json_member_is(object, key, "null") || json_get_int(object, key, low, high, id);
}

/* Read how a text is split into words, and words become ids. */
static const char *read_rule(edge_lstm *m) {
    static const char *const lower_cases[] = {"\"unicode\"", "\"ascii\"", "\"none\"", NULL};
    static const char *const truncations[] = {"\"last\"", "\"first\"", NULL};
    slice rule = m->metadata[TOKENIZER];
    if (!read_choice(rule, "lowercase", lower_cases, &m->lower_case) ||
        !read_choice(rule, "truncation", truncations, &m->keeps_first) ||
        !json_member_is(rule, "pad_id", "0") ||
        !read_id(rule, "start_id", START_ID, START_ID, &m->start_id))
        return UNKNOWN_RULE;
    int32_t least = m->start_id == NO_ID ? PAD_ID + 1 : START_ID + 1;
    if (!read_id(rule, "oov_id", least, MAX_IDS, &m->oov_id) ||
        !json_get_int(rule, "first_word_id", least, MAX_FIRST_WORD_ID, &m->first_word_id) ||
        !read_char_kinds(m))
        return UNKNOWN_RULE;
    if (!json_get_int(rule, "length", 1, MAX_LENGTH, &m->max_length) ||
        !json_get_int(rule, "words", 0, MAX_IDS, &m->num_words))
        return UNUSABLE;
    return NULL;
}

/* Count the entries of the vocabulary, and measure them. */
static const char *read_vocabulary(edge_lstm *m) {
    entry_reader r = {.left = m->metadata[VOCABULARY]};
    int more = next_entry(&r);
    for (; more > 0; more = next_entry(&r)) {
        int is_word = m->num_entries < m->num_words;
        int32_t *longest = is_word ? &m->longest_word : &m->longest_piece;
        m->num_entries++;
        m->entry_bytes += r.size;
        if (m->num_entries > MAX_IDS || m->entry_bytes > MAX_ENTRY_BYTES[VOCABULARY])
            return UNUSABLE;
        raise_to(longest, (int32_t)r.size);
    }
    if (more < 0 || m->num_words > m->num_entries)
        return UNUSABLE;
    int32_t num_ids = m->first_word_id + m->num_entries;
    int has_pieces = m->num_entries > m->num_words;
    int has_ids_of_pieces = m->start_id == START_ID && m->oov_id == OOV_ID_OF_PIECES &&
                            m->first_word_id == MAX_FIRST_WORD_ID;
    if (m->oov_id >= num_ids || (has_pieces && !has_ids_of_pieces))
        return UNKNOWN_RULE;
    return NULL;
}

/* Read how texts become ids. */
static const char *read_tokenizer(edge_lstm *m) {
    if (!m->metadata[TOKENIZER].at || !m->metadata[VOCABULARY].at || !entries_fit(m))
        return UNUSABLE;
    const char *error = read_rule(m);
    if (error)
        return error;
    return read_vocabulary(m);
}

/* Return the number of an object's members. */
static int count_members(slice object) {
    slice name, value;
    int count = 0;
    if (!json_enter(&object, '{'))
        return 0;
    while (json_next_pair(&object, &name, &value))
        count++;
    return count;
}

/* Read a layer of a network. Return whether it is an LSTM of a kind that this engine runs. */
static int read_lstm(slice value, lstm_layer *layer) {
    static const char *const booleans[] = {"false", "true", NULL};
    static const char *const gives[] = {"\"steps\"", "\"last\"",       "\"mean\"",
                                        "\"max\"",   "\"mean+max\"", NULL};
    static const char *const floors[] = {"0", "-1", NULL};
    static const char *const slopes[] = {"0.2", "0.16666666666666666", NULL};
    enum { STEPS, LAST, MEAN, MAX_ALONE, MEAN_AND_MAX };
    slice slope;
    int is_bidirectional, given, choice;
    int members = 3;
    if (!json_get_int(value, "lstm", 1, MAX_HIDDEN, &layer->hidden) ||
        !read_choice(value, "bidirectional", booleans, &is_bidirectional) ||
        !read_choice(value, "gives", gives, &given))
        return 0;
    layer->num_directions = is_bidirectional ? 2 : 1;
    layer->gives_steps = given == STEPS;
    layer->gives_mean = given == MEAN || given == MEAN_AND_MAX;
    layer->gives_max = given == MAX_ALONE || given == MEAN_AND_MAX;
    if (layer->gives_max) {
        if (!read_choice(value, "floor", floors, &choice))
            return 0;
        layer->least_max = choice == 0 ? 0.0f : -1.0f;
        members++;
    }
    if (json_get(value, "hard_sigmoid", &slope)) {
        if (!read_choice(value, "hard_sigmoid", slopes, &choice))
            return 0;
        layer->hard_slope = choice == 0 ? 0.2f : 1.0f / 6;
        members++;
    }
    return count_members(value) == members;
}

/* Read a hidden dense layer. Return whether it is one that this engine runs. */
static int read_dense(slice value, dense_layer *layer) {
    static const char *const activations[] = {[LINEAR] = "\"linear\"", [RELU] = "\"relu\"",
                                              [TANH] = "\"tanh\"", [SIGMOID] = "\"sigmoid\"",
                                              [SIGMOID + 1] = NULL};
    return json_get_int(value, "dense", 1, MAX_DENSE_UNITS, &layer->units) &&
           read_choice(value, "activation", activations, &layer->activation) &&
           count_members(value) == 2;
}

/* Read the layers: LSTMs, of which all but the last give their steps, and then dense ones. */
static int read_layers(edge_lstm *m) {
    slice layers, value, units;
    if (!json_get(m->metadata[NETWORK], "layers", &layers) || !json_enter(&layers, '['))
        return 0;
    while (json_next_value(&layers, &value)) {
        if (json_get(value, "lstm", &units)) {
            int goes_on = m->num_lstms == 0 || m->lstms[m->num_lstms - 1].gives_steps;
            if (m->num_lstms == MAX_LSTMS || m->num_dense > 0 || !goes_on)
                return 0;
            if (!read_lstm(value, &m->lstms[m->num_lstms]))
                return 0;
            m->num_lstms++;
        } else {
            if (m->num_lstms == 0 || m->num_dense == MAX_HIDDEN_DENSE)
                return 0;
            if (!read_dense(value, &m->dense[m->num_dense]))
                return 0;
            m->num_dense++;
        }
    }
    m->num_dense++; /* the head */
    return layers.at == layers.end && !(m->num_lstms && m->lstms[m->num_lstms - 1].gives_steps);
}

/* Read what an n-gram counts by its occurrences. */
static int read_ngram_counts(edge_lstm *m) {
    slice counts, value;
    double before = 0;
    double count;
    if (!json_get(m->metadata[NETWORK], "ngram_counts", &counts) || !json_enter(&counts, '['))
        return 0;
    while (json_next_value(&counts, &value)) {
        if (m->ngram_most == MAX_OCCURRENCES || !json_number(value, &count))
            return 0;
        if (!(count >= 1 && count <= MAX_NGRAM_COUNT) || count != (double)(int32_t)count)
            return 0;
        m->ngram_gains[m->ngram_most++] = (int32_t)(count - before);
        before = count;
    }
    m->ngram_bits = m->ngram_most > 3 ? 4 : 2;
    return counts.at == counts.end && m->ngram_most > 0;
}

/* Read the network's shape, and check that the vocabulary fits it. */
static const char *read_network(edge_lstm *m) {
    static const char *const paddings[] = {[PADDING_NONE] = "\"none\"",
                                           [PADDING_FRONT] = "\"front\"",
                                           [PADDING_BEHIND] = "\"behind\"",
                                           [PADDING_BEHIND + 1] = NULL};
    slice network = m->metadata[NETWORK];
    if (!read_layers(m) || !read_choice(network, "padding", paddings, &m->padding))
        return UNKNOWN_GRAPH;
    int32_t least_dim = m->num_lstms ? 1 : 0;
    int32_t most_dim = m->num_lstms ? MAX_EMBEDDING_DIM : 0;
    if (!json_get_int(network, "num_words", 1, MAX_IDS, &m->max_id) ||
        !json_get_int(network, "embedding_dim", least_dim, most_dim, &m->embedding_dim) ||
        !json_get_int(network, "labels", 2, MAX_LABELS, &m->num_labels) ||
        !json_get_int(network, "ngram_words", 0, m->max_id - FIRST_NGRAM_ID, &m->ngram_words) ||
        !json_get_int(network, "ngram_slots", 0, MAX_SLOTS, &m->ngram_slots) ||
        !read_ngram_counts(m))
        return UNUSABLE;
    m->num_ngrams = m->ngram_words + m->ngram_slots;
    least_dim = m->num_ngrams ? 1 : 0;
    if (!json_get_int(network, "ngram_dim", least_dim, MAX_NGRAM_DIM, &m->ngram_dim))
        return UNUSABLE;
    if (!m->num_ngrams)
        m->ngram_dim = 0;
    if (m->max_id != m->num_entries + m->first_word_id)
        return UNUSABLE;
    int has_input = m->num_lstms || m->num_ngrams;
    int may_have_padding = m->num_lstms && !m->num_ngrams;
    if (!has_input || (m->padding != PADDING_NONE && !may_have_padding))
        return UNKNOWN_GRAPH;

    m->is_multi_label = m->metadata[MULTI_LABEL].at != NULL;
    if (json_member_is(network, "multi_label", "true") != m->is_multi_label)
        return UNUSABLE;
    if (!entries_fit(m))
        return UNUSABLE;
    int is_binary = m->num_labels == 2 && !m->is_multi_label; /* one logit, for the second label */
    m->num_logits = is_binary ? 1 : m->num_labels;
    m->dense[m->num_dense - 1].units = m->num_logits;
    return NULL;
}

/* Return whether all floats are finite and, if they are scales, above 0. With others, engines
 * answer differently. */
static int are_numbers(slice floats, int are_scales) {
    for (size_t i = 0; i < slice_length(floats) / sizeof(float); i++) {
        float value = load_f32(floats.at, i);
        int is_finite = value - value == 0;
        if (!is_finite || (are_scales && !(value > 0)))
            return 0;
    }
    return 1;
}

/* Return the bytes of a constant: empty if the graph has none of this name. */
static slice constant_bytes(const edge_lstm *m, const char *name) {
    return find_bytes(find_submessage(m->graph, GRAPH_CONSTANT, TENSOR_NAME, name), TENSOR_BYTES);
}

static int has_constant(const edge_lstm *m, const char *name) {
    return find_submessage(m->graph, GRAPH_CONSTANT, TENSOR_NAME, name).at != NULL;
}

/* Find a constant's bytes. Return whether it has this type and shape, which ends with -1, and as
 * many bytes. */
static int find_constant(const edge_lstm *m, const char *name, int type, const int32_t *shape,
                         const unsigned char **found) {
    slice tensor = find_submessage(m->graph, GRAPH_CONSTANT, TENSOR_NAME, name);
    slice bytes = find_bytes(tensor, TENSOR_BYTES);
    uint64_t size = sizeof(float);
    uint64_t type_in_file = 0;
    field f;
    if (type == INT8 || type == UINT8)
        size = 1;
    if (type == UINT16)
        size = 2;
    int more = next_field(&tensor, &f);
    for (; more > 0; more = next_field(&tensor, &f)) {
        if (f.number == TENSOR_DIMS) {
            if (f.is_bytes || *shape < 0 || f.value != (uint64_t)*shape)
                return 0;
            size *= f.value;
            shape++;
        }
        if (f.number == TENSOR_TYPE)
            type_in_file = f.value;
    }
    *found = bytes.at;
    if (more < 0 || *shape >= 0)
        return 0;
    if (type_in_file != (uint64_t)(type & TYPE_BITS) || slice_length(bytes) != size)
        return 0;
    return (type & TYPE_BITS) != FLOAT32 || are_numbers(bytes, type == SCALES);
}

/* The shape of a constant, for find_constant. */
#define SHAPE(...) ((const int32_t[]){__VA_ARGS__, -1})

enum { NAME_SIZE = 32, NO_NUMBER = -1 };

/* Write a constant's name: a word, a number of one digit if there is one, and a part. */
static const char *write_name(char *name, const char *word, int32_t number, const char *part) {
    size_t length = strlen(word);
    memcpy(name, word, length);
    if (number != NO_NUMBER) {
        name[length] = (char)('0' + number);
        length++;
    }
    memcpy(name + length, part, strlen(part) + 1);
    return name;
}

/* Return whether the slots of pairs have only fingerprints that pairs may have. */
static int are_fingerprints(const edge_lstm *m) {
    for (size_t slot = 0; slot < (size_t)m->ngram_slots; slot++)
        if (load_u16(m->pair_fingerprints, slot) > MAX_FINGERPRINT)
            return 0;
    return 1;
}

/* Find the range of the embedding, which the sentinels give. Return whether it is exact: beyond
 * these scales rounding may change values. */
static int find_embedding_scale(const edge_lstm *m, lstm_layer *first) {
    const float least = 1e-30f;
    const float greatest = 1e30f;
    float scale = load_f32(m->embedding_scales, 0);
    int32_t zero_point;
    find_scale(LOW_SENTINEL * scale, HIGH_SENTINEL * scale, &first->input_scale, &zero_point);
    first->input_zero_point = EMBEDDING_ZERO_POINT;
    return scale > least && scale < greatest;
}

static void find_max_abs_weight(edge_lstm *m, const unsigned char *weights, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int32_t weight = (signed char)weights[i];
        raise_to(&m->max_abs_weight, weight < 0 ? -weight : weight);
    }
}

/* Find a table, which an int8 file may have as 4-bit numbers or as codes. */
static int find_table(const edge_lstm *m, const char *word, int32_t rows, int32_t columns,
                      table *t) {
    char name[NAME_SIZE];
    int type = m->is_int8 ? INT8 : FLOAT32;
    int is_plain = constant_bytes(m, word).at != NULL;
    int is_packed = constant_bytes(m, write_name(name, word, NO_NUMBER, "_q")).at != NULL;
    char codes[NAME_SIZE];
    int has_codes = constant_bytes(m, write_name(codes, word, NO_NUMBER, "_c")).at != NULL;
    t->columns = (size_t)columns;
    if (is_plain + is_packed + has_codes != 1)
        return 0;
    if (is_plain)
        return find_constant(m, word, type, SHAPE(rows, columns), &t->values);
    if (has_codes) {
        const int32_t *shape = SHAPE(rows, (columns + CODED - 1) / CODED);
        write_name(name, word, NO_NUMBER, "_b");
        return m->is_int8 && find_constant(m, codes, UINT8, shape, &t->values) &&
               find_constant(m, name, INT8, SHAPE(NUM_CODES, CODED), &t->book);
    }
    if (!m->is_int8 || !find_constant(m, name, UINT8, SHAPE(rows, (columns + 1) / 2), &t->values))
        return 0;
    write_name(name, word, NO_NUMBER, "_m");
    return find_constant(m, name, UINT8, SHAPE(rows, 1), &t->multipliers) &&
           is_packed_table(m, t, (size_t)rows);
}

/* Find the embedding, whose values the first LSTM reads. int8: the two columns behind it are not
 * stored. */
static int find_embedding(edge_lstm *m) {
    lstm_layer *first = &m->lstms[0];
    first->inputs = m->embedding_dim;
    if (!find_table(m, "embedding", m->max_id + 1, m->embedding_dim, &m->embedding))
        return 0;
    if (!m->is_int8)
        return 1;
    first->inputs += 2;
    return find_constant(m, "embedding_scale", SCALES, SHAPE(1), &m->embedding_scales) &&
           find_embedding_scale(m, first);
}

/* Find the weights of the k-th LSTM. */
static int find_lstm(edge_lstm *m, int32_t k) {
    char name[NAME_SIZE];
    lstm_layer *layer = &m->lstms[k];
    int type = m->is_int8 ? INT8 : FLOAT32;
    int32_t directions = layer->num_directions;
    if (m->is_int8)
        layer->hidden += 2;
    if (k > 0)
        layer->inputs = num_outputs(&m->lstms[k - 1]);
    if (k > 0 && m->is_int8)
        find_scale(-END_OF_H, END_OF_H, &layer->input_scale, &layer->input_zero_point);
    int32_t x = layer->inputs;
    int32_t h = layer->hidden;
    int32_t gates = 4 * h;
    /* fp32: [directions, gates, inputs]; int8: [directions, inputs, gates] */
    const int32_t *w = m->is_int8 ? SHAPE(directions, x, gates) : SHAPE(directions, gates, x);
    const int32_t *r = m->is_int8 ? SHAPE(directions, h, gates) : SHAPE(directions, gates, h);
    if (!find_constant(m, write_name(name, "lstm", k, "_w"), type, w, &layer->w) ||
        !find_constant(m, write_name(name, "lstm", k, "_r"), type, r, &layer->r))
        return 0;
    write_name(name, "lstm", k, "_b");
    if (!find_constant(m, name, FLOAT32, SHAPE(directions, 2 * gates), &layer->b))
        return 0;
    if (!m->is_int8)
        return 1;
    find_max_abs_weight(m, layer->w, (size_t)(directions * x) * (size_t)gates);
    find_max_abs_weight(m, layer->r, (size_t)(directions * h) * (size_t)gates);
    write_name(name, "lstm", k, "_w_scale");
    if (!find_constant(m, name, SCALES, SHAPE(directions), &layer->w_scales))
        return 0;
    write_name(name, "lstm", k, "_r_scale");
    return find_constant(m, name, SCALES, SHAPE(directions), &layer->r_scales);
}

/* Return whether first states are in the range of h and, in int8, have the ends of it. */
static int are_first_states(const edge_lstm *m, const lstm_layer *layer) {
    size_t hidden = (size_t)layer->hidden;
    size_t rows = (size_t)layer->num_directions * (size_t)layer->start_rows;
    for (size_t i = 0; i < rows * hidden; i++) {
        float h = load_f32(layer->start_h, i);
        if (h < -END_OF_H || h > END_OF_H)
            return 0;
    }
    for (size_t row = 1; m->is_int8 && row <= rows; row++) {
        size_t high = row * hidden - 2;
        size_t low = row * hidden - 1;
        if (load_f32(layer->start_h, high) != END_OF_H ||
            load_f32(layer->start_h, low) != -END_OF_H ||
            load_f32(layer->start_c, high) != END_OF_C ||
            load_f32(layer->start_c, low) != -END_OF_C)
            return 0;
    }
    return 1;
}

/* Find the tables of first states: all LSTMs have them, of as many rows, or none has. */
static int find_first_states(edge_lstm *m) {
    char name[NAME_SIZE];
    lstm_layer *first = &m->lstms[0];
    size_t bytes_of_row = sizeof(float) * (size_t)(first->num_directions * first->hidden);
    size_t rows = slice_length(constant_bytes(m, "lstm0_h")) / bytes_of_row;
    size_t most = m->padding == PADDING_NONE ? (size_t)m->max_length + 1 : 1;
    if (!has_constant(m, "lstm0_h") && !has_constant(m, "lstm0_c"))
        return !(m->is_int8 && m->num_lstms > 1);
    if (rows == 0 || rows > most)
        return 0;
    for (int32_t k = 0; k < m->num_lstms; k++) {
        lstm_layer *layer = &m->lstms[k];
        layer->start_rows = (int32_t)rows;
        const int32_t *shape = SHAPE(layer->num_directions, layer->start_rows, layer->hidden);
        write_name(name, "lstm", k, "_h");
        if (!find_constant(m, name, FLOAT32, shape, &layer->start_h))
            return 0;
        write_name(name, "lstm", k, "_c");
        if (!find_constant(m, name, FLOAT32, shape, &layer->start_c) ||
            !are_first_states(m, layer))
            return 0;
    }
    return 1;
}

/* Find the weights of a dense layer. Only the head's may be 4-bit numbers. */
static int find_dense(const edge_lstm *m, dense_layer *layer, const char *word, int32_t number) {
    char name[NAME_SIZE];
    int type = m->is_int8 ? INT8 : FLOAT32;
    write_name(name, word, number, "_w");
    layer->w.columns = (size_t)layer->units;
    if (number == NO_NUMBER) {
        if (!find_table(m, name, layer->inputs, layer->units, &layer->w))
            return 0;
    } else if (!find_constant(m, name, type, SHAPE(layer->inputs, layer->units),
                              &layer->w.values)) {
        return 0;
    }
    write_name(name, word, number, "_w_scales");
    if (m->is_int8 &&
        !find_constant(m, name, SCALES, SHAPE(layer->inputs, 1), &layer->w_scales))
        return 0;
    write_name(name, word, number, "_b");
    return find_constant(m, name, FLOAT32, SHAPE(layer->units), &layer->b);
}

/* Find the weights of all dense layers. Behind the last hidden one, the head reads the n-grams. */
static int find_dense_layers(edge_lstm *m) {
    int32_t inputs = pooled_dim(m);
    for (int32_t k = 0; k + 1 < m->num_dense; k++) {
        m->dense[k].inputs = inputs;
        if (!find_dense(m, &m->dense[k], "dense", k))
            return 0;
        inputs = m->dense[k].units;
    }
    dense_layer *head = &m->dense[m->num_dense - 1];
    head->inputs = inputs + m->ngram_dim;
    return find_dense(m, head, "head", NO_NUMBER);
}

/* Find the vectors of n-grams, and the hash table of pairs. */
static int find_ngrams(edge_lstm *m) {
    size_t buckets = slice_length(constant_bytes(m, "pair_displacements")) / 2;
    m->pair_buckets = buckets > MAX_SLOTS ? 0 : (int32_t)buckets;
    if (!find_table(m, "ngram_vectors", m->num_ngrams, m->ngram_dim, &m->ngram_vectors))
        return 0;
    if (m->is_int8 &&
        !find_constant(m, "ngram_scales", SCALES, SHAPE(m->ngram_dim), &m->ngram_scales))
        return 0;
    if (m->ngram_slots == 0)
        return 1;
    return m->pair_buckets > 0 &&
           find_constant(m, "pair_displacements", UINT16, SHAPE(m->pair_buckets),
                         &m->pair_displacements) &&
           find_constant(m, "pair_fingerprints", UINT16, SHAPE(m->ngram_slots),
                         &m->pair_fingerprints) &&
           are_fingerprints(m);
}

/* Find the weights in the file. int8 has two sentinel units in each direction of an LSTM. */
static const char *find_weights(edge_lstm *m) {
    m->is_int8 = constant_bytes(m, "head_w_scales").at != NULL;
    if (m->num_lstms > 0 && !find_embedding(m))
        return UNKNOWN_GRAPH;
    for (int32_t k = 0; k < m->num_lstms; k++)
        if (!find_lstm(m, k))
            return UNKNOWN_GRAPH;
    if (m->num_lstms > 0 && !find_first_states(m))
        return UNKNOWN_GRAPH;
    if (m->num_ngrams > 0 && !find_ngrams(m))
        return UNKNOWN_GRAPH;
    return find_dense_layers(m) ? NULL : UNKNOWN_GRAPH;
}

/* Read a label's name, and write it to *out unless that is NULL. Return whether it may be one. */
static int read_label(const edge_lstm *m, slice value, unsigned char **out) {
    char_reader r = json_string(value);
    for (uint32_t c = next_char(&r); c != END_OF_TEXT; c = next_char(&r)) {
        int is_control = c < 0x20 || (c >= 0x7F && c < 0xA0);
        if (is_control || (m->is_multi_label && c == '|'))
            return 0; /* | joins labels */
        if (*out)
            *out += write_utf8(c, *out);
    }
    if (*out) {
        **out = 0;
        ++*out;
    }
    return 1;
}

/* Read the labels' names and thresholds. Check them and, once there is memory, keep them. */
static const char *read_labels(edge_lstm *m) {
    unsigned char *out = m->label_names ? (unsigned char *)m->label_names[0] : NULL;
    slice labels = m->metadata[LABELS];
    slice thresholds = {NULL, NULL};
    slice value;
    if (!json_enter(&labels, '['))
        return UNUSABLE;
    if (m->is_multi_label) {
        if (!json_get(m->metadata[MULTI_LABEL], "thresholds", &thresholds) ||
            !json_enter(&thresholds, '['))
            return UNUSABLE;
    }
    for (int32_t n = 0; n < m->num_labels; n++) {
        if (!json_next_value(&labels, &value) || *value.at != '"')
            return UNUSABLE;
        if (out)
            m->label_names[n] = (char *)out;
        if (!read_label(m, value, &out))
            return UNUSABLE;
        if (m->is_multi_label) {
            double threshold;
            if (!json_next_value(&thresholds, &value) || !json_number(value, &threshold) ||
                !(threshold > 0 && threshold <= 1))
                return UNUSABLE;
            if (m->thresholds)
                m->thresholds[n] = threshold;
        }
    }
    if (json_next_value(&labels, &value) ||
        (m->is_multi_label && json_next_value(&thresholds, &value)))
        return UNUSABLE; /* one too many */
    return NULL;
}

#endif
