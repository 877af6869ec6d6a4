/* Reads the settings of a model from the entries of its metadata, which are JSON: the rule by which
 * a text becomes ids, the vocabulary's size, the network's layers and dimensions, the labels.
 *
 * Some settings take memory of their own: special characters, labels, thresholds. They are read
 * twice: first they are checked and counted, and once the model has its memory they are kept. */
#ifndef EDGE_LSTM_SETTINGS_H
#define EDGE_LSTM_SETTINGS_H

#include "fields.h"
#include "json.h"
#include "model.h"
#include "model_file.h"
#include "vocabulary.h"

/* Ids of text rules; with pieces, those of unknown and known words are always the same. */
enum { OOV_ID_OF_PIECES = 2, MAX_FIRST_WORD_ID = 4 };

/* Count a special character, and keep it once there is memory. */
static void add_special(edge_lstm *m, uint32_t from, uint32_t to) {
    if (m->special)
        m->special[m->num_special] = (special_char){from, to};
    m->num_special++;
}

/* Return whether a character may be a mark. */
static int may_be_mark(uint32_t c) {
    static const char marks[] = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~";
    return c > 0 && c < 128 && strchr(marks, (int)c) != NULL;
}

/* Read the characters of a kind from a string of the text rule. Beyond ASCII, one that separates
 * becomes a space. */
static int read_chars(edge_lstm *m, const char *key, unsigned char kind) {
    slice value;
    if (!json_get(m->metadata[TOKENIZER], key, &value))
        return 0;
    char_reader r = json_string(value);
    if (!r.left.at)
        return 0;
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
    slice pairs;
    slice name;
    slice value;
    if (!json_enter_member(m->metadata[TOKENIZER], "replacements", '{', &pairs))
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

/* Read the kinds of characters into char_kind and, once there is memory, special. A space separates
 * words unless the rule says otherwise. */
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

/* Count and measure the entries of the vocabulary; once there is memory, decode and index them. */
static const char *read_vocabulary(edge_lstm *m) {
    entry_reader r;
    m->num_entries = 0;
    m->entry_bytes = 0;
    if (!start_entries(&r, m->metadata[VOCABULARY], m->entries))
        return UNUSABLE;
    int more = next_entry(&r);
    for (; more > 0; more = next_entry(&r)) {
        int is_word = m->num_entries < m->num_words;
        if (m->entries && !index_entry(m, r.text, r.size, (uint32_t)m->num_entries))
            return CROWDED;
        m->num_entries++;
        m->entry_bytes += r.size;
        if (m->num_entries > MAX_IDS || m->entry_bytes > MAX_ENTRY_BYTES[VOCABULARY])
            return UNUSABLE;
        raise_to(is_word ? &m->longest_word : &m->longest_piece, (int32_t)r.size);
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
    if (!fields_fit(m))
        return UNKNOWN_RULE;
    return read_vocabulary(m);
}

/* Return the number of an object's members. */
static int count_members(slice object) {
    slice name;
    slice value;
    int count = 0;
    if (!json_enter(&object, '{'))
        return 0;
    while (json_next_pair(&object, &name, &value))
        count++;
    return count;
}

/* Read an LSTM. Return whether it is one that this engine runs. */
static int read_lstm(slice value, lstm_layer *layer) {
    static const char *const booleans[] = {"false", "true", NULL};
    static const char *const gives[] = {"\"steps\"", "\"last\"",       "\"mean\"",
                                        "\"max\"",   "\"mean+max\"", NULL};
    static const char *const floors[] = {"0", "-1", NULL};
    static const char *const slopes[] = {"0.2", "0.16666666666666666", NULL};
    enum { STEPS, LAST, MEAN, MAX_ALONE, MEAN_AND_MAX };
    slice slope;
    int is_bidirectional;
    int given;
    int choice;
    int members = 3; /* it has no others */
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
    slice layers;
    slice value;
    slice units;
    int gives_steps = 1; /* the layer before */
    if (!json_enter_member(m->metadata[NETWORK], "layers", '[', &layers))
        return 0;
    while (json_next_value(&layers, &value)) {
        if (json_get(value, "lstm", &units)) {
            if (m->num_lstms == MAX_LSTMS || m->num_dense > 0 || !gives_steps)
                return 0;
            if (!read_lstm(value, &m->lstms[m->num_lstms]))
                return 0;
            gives_steps = m->lstms[m->num_lstms].gives_steps;
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
    int ends_with_steps = m->num_lstms > 0 && gives_steps;
    return layers.at == layers.end && !ends_with_steps;
}

/* Read what an n-gram counts that occurs once, twice and so on. */
static int read_ngram_counts(edge_lstm *m) {
    slice counts;
    slice value;
    int32_t count;
    int32_t before = 0;
    if (!json_enter_member(m->metadata[NETWORK], "ngram_counts", '[', &counts))
        return 0;
    while (json_next_value(&counts, &value)) {
        if (m->ngram_most == MAX_OCCURRENCES)
            return 0;
        if (!json_whole_number(value, 1, MAX_NGRAM_COUNT, &count))
            return 0;
        m->ngram_gains[m->ngram_most] = count - before;
        m->ngram_most++;
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
    int32_t most_dim = m->num_lstms ? MAX_EMBEDDING_DIM : 0; /* without an LSTM, no embedding */
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
    if (json_member_is(network, "multi_label", "true") != m->is_multi_label || !entries_fit(m))
        return UNUSABLE;
    int is_binary = m->num_labels == 2 && !m->is_multi_label; /* one logit, for the second label */
    m->num_logits = is_binary ? 1 : m->num_labels;
    m->dense[m->num_dense - 1].units = m->num_logits;
    return NULL;
}

/* Read a label's name, and write it to *out unless that is NULL. Return whether it may be one. */
static int read_label(const edge_lstm *m, slice value, unsigned char **out) {
    char_reader r = json_string(value);
    if (!r.left.at)
        return 0;
    for (uint32_t c = next_char(&r); c != END_OF_TEXT; c = next_char(&r)) {
        int is_control = c < 0x20 || (c >= 0x7F && c < 0xA0);
        int is_joint = m->is_multi_label && c == '|'; /* between the labels of a text */
        if (is_control || is_joint)
            return 0;
        if (*out)
            *out += write_utf8(c, *out);
    }
    if (*out) {
        **out = 0;
        *out += 1;
    }
    return 1;
}

/* Read the thresholds of the labels, once there is memory into it. Return whether each has one. */
static int read_thresholds(edge_lstm *m) {
    slice thresholds;
    slice value;
    double threshold;
    if (!json_enter_member(m->metadata[MULTI_LABEL], "thresholds", '[', &thresholds))
        return 0;
    for (int32_t n = 0; n < m->num_labels; n++) {
        if (!json_next_value(&thresholds, &value) || !json_number(value, &threshold))
            return 0;
        if (!(threshold > 0 && threshold <= 1))
            return 0;
        if (m->thresholds)
            m->thresholds[n] = threshold;
    }
    return !json_next_value(&thresholds, &value); /* no more */
}

/* Read the labels' names and thresholds, once there is memory into it. Return NULL, or an error. */
static const char *read_labels(edge_lstm *m) {
    unsigned char *out = m->label_bytes;
    slice labels = m->metadata[LABELS];
    slice value;
    if (!json_enter(&labels, '['))
        return UNUSABLE;
    for (int32_t n = 0; n < m->num_labels; n++) {
        if (out)
            m->label_names[n] = (char *)out;
        if (!json_next_value(&labels, &value) || !read_label(m, value, &out))
            return UNUSABLE;
    }
    if (json_next_value(&labels, &value))
        return UNUSABLE; /* one too many */
    if (m->is_multi_label && !read_thresholds(m))
        return UNUSABLE;
    return NULL;
}

#endif
