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
    if (!is_message(file))
        return NOT_A_MODEL;
    if (!are_messages(file, MODEL_METADATA))
        return NOT_A_MODEL;
    for (int i = 0; i < NUM_ENTRIES; i++)
        m->metadata[i] = find_entry(file, ENTRY_NAMES[i]);
    if (!m->metadata[FORMAT].at)
        return NOT_A_MODEL;
    if (!slice_equals(m->metadata[FORMAT], "11"))
        return OTHER_FORMAT;
    if (slice_length(file) < SHA256_DIGITS || !is_message(m->graph))
        return CHANGED;
    if (!are_messages(m->graph, GRAPH_CONSTANT))
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

/* Read the characters of a kind from a string of the tokenizer's settings. */
static int read_chars(edge_lstm *m, const char *key, unsigned char kind) {
    slice value;
    if (!json_get(m->metadata[TOKENIZER], key, &value))
        return 0;
    char_reader r = json_string(value);
    for (uint32_t c = next_char(&r); c != END_OF_TEXT; c = next_char(&r)) {
        if (c < 128) {
            m->char_kind[c] = kind;
        } else if (kind == SEPARATOR) {
            add_special(m, c, ' ');
        } else {
            return 0;
        }
    }
    return 1;
}

/* Read the characters beyond ASCII that become others of ASCII. */
static int read_replacements(edge_lstm *m) {
    slice pairs, name, value;
    if (!json_get(m->metadata[TOKENIZER], "replacements", &pairs))
        return 0;
    if (!json_enter(&pairs, '{'))
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
static int read_char_kinds(edge_lstm *m, int is_keras) {
    m->num_special = 0;
    m->char_kind[' '] = SEPARATOR;
    if (is_keras)
        return read_chars(m, "filters", SEPARATOR);
    return read_chars(m, "separators", SEPARATOR) && read_chars(m, "marks", MARK) &&
           read_replacements(m);
}

/* Read how a text is split into words. */
static const char *read_rule(edge_lstm *m) {
    static const char keras_rule[] =
        "\"lower-case; each filter character becomes a space; split on spaces; drop empty pieces\"";
    static const char keras_filters[] = "\"!\\\"#$%&()*+,-./:;<=>?@[\\\\]^_`{|}~\\t\\n\\r\"";
    static const char *const fixed[][2] = {{"lowercase", "\"unicode\""},
                                           {"padding", "\"right\""},
                                           {"truncation", "\"keep the last ids\""},
                                           {"pad_id", "0"},
                                           {"start_id", "1"},
                                           {"oov_id", "2"},
                                           {"first_word_id", "4"}};
    slice tokenizer = m->metadata[TOKENIZER];
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (!json_member_is(tokenizer, fixed[i][0], fixed[i][1]))
            return UNKNOWN_RULE;
    int is_keras = json_member_is(tokenizer, "rule", keras_rule);
    if (is_keras && !json_member_is(tokenizer, "filters", keras_filters))
        return UNKNOWN_RULE;
    if (!is_keras && !json_member_is(tokenizer, "rule", "\"pieces-1\""))
        return UNKNOWN_RULE;
    if (!read_char_kinds(m, is_keras))
        return UNKNOWN_RULE;

    m->num_words = INT32_MAX; /* keras: all entries are words */
    if (!json_get_int(tokenizer, "length", 1, MAX_LENGTH, &m->max_length))
        return UNUSABLE;
    if (!is_keras && !json_get_int(tokenizer, "words", 0, MAX_IDS, &m->num_words))
        return UNUSABLE;
    return NULL;
}

/* Count the entries of the vocabulary, and measure them. */
static const char *read_vocabulary(edge_lstm *m) {
    entry_reader r = read_entries(m);
    int more = next_entry(&r);
    for (; more > 0; more = next_entry(&r)) {
        int is_word = m->num_entries < m->num_words;
        int32_t *longest = is_word ? &m->longest_word : &m->longest_piece;
        m->num_entries++;
        m->entry_bytes += r.size;
        if (m->num_entries > MAX_IDS || m->entry_bytes > MAX_ENTRY_BYTES[VOCABULARY])
            return UNUSABLE;
        if ((int32_t)r.size > *longest)
            *longest = (int32_t)r.size;
    }
    if (m->num_words == INT32_MAX)
        m->num_words = m->num_entries;
    return more == 0 && m->num_words <= m->num_entries ? NULL : UNUSABLE;
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

/* Read the network's shape, and check that the vocabulary fits it. */
static const char *read_network(edge_lstm *m) {
    slice network = m->metadata[NETWORK];
    if (!json_get_int(network, "num_words", 1, MAX_IDS, &m->max_id) ||
        !json_get_int(network, "embedding_dim", 1, MAX_EMBEDDING_DIM, &m->embedding_dim) ||
        !json_get_int(network, "hidden", 1, MAX_HIDDEN, &m->hidden) ||
        !json_get_int(network, "labels", 2, MAX_LABELS, &m->num_labels) ||
        !json_get_int(network, "ngram_words", 0, m->max_id - OOV_ID, &m->ngram_words) ||
        !json_get_int(network, "ngram_slots", 0, MAX_SLOTS, &m->ngram_slots))
        return UNUSABLE;
    m->num_ngrams = m->ngram_words + m->ngram_slots;
    int32_t least_dim = m->num_ngrams ? 1 : 0;
    if (!json_get_int(network, "ngram_dim", least_dim, MAX_NGRAM_DIM, &m->ngram_dim))
        return UNUSABLE;
    if (!m->num_ngrams)
        m->ngram_dim = 0;
    if (m->max_id != m->num_entries + FIRST_WORD_ID)
        return UNUSABLE;

    m->is_multi_label = m->metadata[MULTI_LABEL].at != NULL;
    if (json_member_is(network, "multi_label", "true") != m->is_multi_label)
        return UNUSABLE;
    m->pools_last = json_member_is(network, "pooling", "\"last\"");
    if (!m->pools_last && !json_member_is(network, "pooling", "\"mean+max\""))
        return UNUSABLE;
    if (!entries_fit(m))
        return UNUSABLE;

    m->num_directions = json_member_is(network, "bidirectional", "true") ? 2 : 1;
    int is_binary = m->num_labels == 2 && !m->is_multi_label; /* one logit, for the second label */
    m->num_logits = is_binary ? 1 : m->num_labels;
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

/* A constant of the graph. */
typedef struct {
    const char *name;
    int is_needed; /* whether this model has it */
    int type;
    int32_t shape[4];            /* up to -1 */
    const unsigned char **bytes; /* points to them once they are found */
} constant;

/* Find a constant. Return whether it has this type and shape, and bytes that fit them. */
static int find_constant(const edge_lstm *m, const constant *c) {
    slice tensor = find_submessage(m->graph, GRAPH_CONSTANT, TENSOR_NAME, c->name);
    slice bytes = find_bytes(tensor, TENSOR_BYTES);
    const int32_t *axis = c->shape;
    uint64_t size = sizeof(float);
    uint64_t type = 0;
    field f;
    if (c->type == INT8 || c->type == UINT8)
        size = 1;
    if (c->type == UINT16)
        size = 2;
    int more = next_field(&tensor, &f);
    for (; more > 0; more = next_field(&tensor, &f)) {
        if (f.number == TENSOR_DIMS) {
            if (f.is_bytes || *axis < 0 || f.value != (uint64_t)*axis)
                return 0;
            size *= f.value;
            axis++;
        }
        if (f.number == TENSOR_TYPE)
            type = f.value;
    }
    *c->bytes = bytes.at;
    if (more < 0 || *axis >= 0)
        return 0;
    if (type != (uint64_t)(c->type & TYPE_BITS) || slice_length(bytes) != size)
        return 0;
    return type != FLOAT32 || are_numbers(bytes, c->type == SCALES);
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
static int find_embedding_scale(edge_lstm *m) {
    const float least = 1e-30f;
    const float greatest = 1e30f;
    float scale = load_f32(m->embedding_scales, 0);
    int32_t zero_point;
    find_scale(-128 * scale, 127 * scale, &m->embedding_scale, &zero_point);
    return scale > least && scale < greatest;
}

static void find_max_abs_weight(edge_lstm *m, const unsigned char *weights, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int32_t weight = (signed char)weights[i];
        int32_t size = weight < 0 ? -weight : weight;
        if (size > m->max_abs_weight)
            m->max_abs_weight = size;
    }
}

/* Find a table. names: its own, and those of its 4-bit numbers and their multipliers. */
static int find_table(const edge_lstm *m, const char *const *names, int32_t rows, int32_t columns,
                      table *t) {
    int type = m->is_int8 ? INT8 : FLOAT32;
    int32_t size = (int32_t)packed_size((size_t)columns);
    const constant plain = {names[0], 1, type, {rows, columns, -1}, &t->values};
    const constant packed = {names[1], 1, UINT8, {rows, size, -1}, &t->values};
    const constant multipliers = {names[2], 1, UINT8, {rows, 1, -1}, &t->multipliers};
    t->columns = (size_t)columns;
    if (!m->is_int8 || columns < LEAST_PACKED_COLUMNS)
        return find_constant(m, &plain);
    return find_constant(m, &packed) && find_constant(m, &multipliers) &&
           is_packed_table(m, t, (size_t)rows);
}

/* Find the weights in the file. int8 has two sentinel columns behind the embedding, which are not
 * stored, and two sentinel units in each direction. */
static const char *find_weights(edge_lstm *m) {
    static const char *const embedding[] = {"embedding", "embedding_q", "embedding_m"};
    static const char *const head[] = {"head_w", "head_w_q", "head_w_m"};
    static const char *const vectors[] = {"ngram_vectors", "ngram_vectors_q", "ngram_vectors_m"};
    slice scale = find_submessage(m->graph, GRAPH_CONSTANT, TENSOR_NAME, "embedding_scale");
    slice pairs = find_submessage(m->graph, GRAPH_CONSTANT, TENSOR_NAME, "pair_displacements");
    size_t buckets = slice_length(find_bytes(pairs, TENSOR_BYTES)) / 2;
    int32_t columns = m->embedding_dim;
    int is_int8 = scale.at != NULL;
    m->is_int8 = is_int8;
    m->pair_buckets = buckets > MAX_SLOTS ? 0 : (int32_t)buckets;
    if (is_int8) {
        m->embedding_dim += 2;
        m->hidden += 2;
    }
    int type = is_int8 ? INT8 : FLOAT32;
    int has_ngrams = m->num_ngrams > 0;
    int has_pairs = m->ngram_slots > 0;
    int32_t directions = m->num_directions;
    int32_t x = m->embedding_dim;
    int32_t h = m->hidden;
    int32_t gates = 4 * h;
    int32_t features = pooled_dim(m) + m->ngram_dim;
    /* fp32: [directions, gates, inputs]; int8: [directions, inputs, gates] */
    int32_t w_rows = is_int8 ? x : gates;
    int32_t w_columns = is_int8 ? gates : x;
    int32_t r_rows = is_int8 ? h : gates;
    int32_t r_columns = is_int8 ? gates : h;
    const constant constants[] = {
        {"embedding_scale", is_int8, SCALES, {1, -1}, &m->embedding_scales},
        {"lstm_w", 1, type, {directions, w_rows, w_columns, -1}, &m->lstm_w},
        {"lstm_r", 1, type, {directions, r_rows, r_columns, -1}, &m->lstm_r},
        {"lstm_b", 1, FLOAT32, {directions, 2 * gates, -1}, &m->lstm_b},
        {"lstm_w_scale", is_int8, SCALES, {directions, -1}, &m->lstm_w_scales},
        {"lstm_r_scale", is_int8, SCALES, {directions, -1}, &m->lstm_r_scales},
        {"head_w_scales", is_int8, SCALES, {features, 1, -1}, &m->head_w_scales},
        {"head_b", 1, FLOAT32, {m->num_logits, -1}, &m->head_b},
        {"ngram_scales", has_ngrams && is_int8, SCALES, {m->ngram_dim, -1}, &m->ngram_scales},
        {"pair_displacements", has_pairs, UINT16, {m->pair_buckets, -1}, &m->pair_displacements},
        {"pair_fingerprints", has_pairs, UINT16, {m->ngram_slots, -1}, &m->pair_fingerprints}};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        const constant *c = &constants[i];
        if (c->is_needed && !find_constant(m, c))
            return UNKNOWN_GRAPH;
    }
    if (has_pairs && (m->pair_buckets == 0 || !are_fingerprints(m)))
        return UNKNOWN_GRAPH;
    if (is_int8) {
        find_max_abs_weight(m, m->lstm_w, (size_t)(directions * x) * (size_t)gates);
        find_max_abs_weight(m, m->lstm_r, (size_t)(directions * h) * (size_t)gates);
        if (!find_embedding_scale(m))
            return UNKNOWN_GRAPH;
    }
    if (!find_table(m, embedding, m->max_id + 1, columns, &m->embedding) ||
        !find_table(m, head, features, m->num_logits, &m->head_w))
        return UNKNOWN_GRAPH;
    if (has_ngrams && !find_table(m, vectors, m->num_ngrams, m->ngram_dim, &m->ngram_vectors))
        return UNKNOWN_GRAPH;
    return NULL;
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
        if (!json_get(m->metadata[MULTI_LABEL], "thresholds", &thresholds))
            return UNUSABLE;
        if (!json_enter(&thresholds, '['))
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
            if (!json_next_value(&thresholds, &value))
                return UNUSABLE;
            if (!json_number(value, &threshold))
                return UNUSABLE;
            if (!(threshold > 0 && threshold <= 1))
                return UNUSABLE;
            if (m->thresholds)
                m->thresholds[n] = threshold;
        }
    }
    if (json_next_value(&labels, &value))
        return UNUSABLE; /* one too many */
    if (m->is_multi_label && json_next_value(&thresholds, &value))
        return UNUSABLE;
    return NULL;
}

#endif
