/* Opens the model file: finds its graph and the entries of its metadata, and checks its format and
 * its digest. settings.h and weights.h read what is in them. docs/file-format.md describes the
 * file. */
#ifndef EDGE_LSTM_MODEL_FILE_H
#define EDGE_LSTM_MODEL_FILE_H

#include "model.h"
#include "protobuf.h"
#include "sha256.h"

/* What a reader of the file returns if it has to refuse it. */
static const char NOT_A_MODEL[] = "not a model file of edge-lstm, or cut short; copy it again";
static const char CHANGED[] =
    "the file was cut short or changed after it was written; copy it again";
static const char OTHER_FORMAT[] =
    "the file was made by a newer version; use a newer engine, or export it with this version";
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

static const char *const ENTRY_NAMES[NUM_ENTRIES] = {
    [FORMAT] = "edge_lstm.format",           [TOKENIZER] = "edge_lstm.tokenizer",
    [VOCABULARY] = "edge_lstm.vocabulary",   [LABELS] = "edge_lstm.labels",
    [NETWORK] = "edge_lstm.network",         [GOLDEN] = "edge_lstm.golden",
    [MULTI_LABEL] = "edge_lstm.multi_label", [ABSTENTION] = "edge_lstm.abstention",
    [FIELDS] = "edge_lstm.fields"};

/* The largest size of each entry in bytes, far above that of any model. Each label adds to that of
 * the thresholds. */
static const uint32_t MAX_ENTRY_BYTES[NUM_ENTRIES] = {
    [FORMAT] = 16,       [TOKENIZER] = 1 << 16, [VOCABULARY] = 1 << 25,  [LABELS] = 1 << 23,
    [NETWORK] = 1 << 16, [GOLDEN] = 1 << 20,    [MULTI_LABEL] = 1 << 16, [ABSTENTION] = 1 << 16,
    [FIELDS] = 1 << 20};
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

/* Find the graph and the metadata, and check format and digest. Return NULL, or an error. */
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
    if (!slice_equals(m->metadata[FORMAT], "1"))
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
        uint32_t most = MAX_ENTRY_BYTES[i];
        if (i == MULTI_LABEL)
            most += BYTES_OF_THRESHOLD * labels;
        if (slice_length(m->metadata[i]) > most)
            return 0;
    }
    return 1;
}

#endif
