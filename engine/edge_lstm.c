/* Runs the model files of edge-lstm. Compile this file: it includes the rest, in the folder src.
 *
 * edge_lstm.h says how to use it, and docs/file-format.md what the bytes of a file mean. These are
 * the parts by the calls that run them, in an order for readers:
 *
 *     edge_lstm_open, edge_lstm_needs
 *         src/model.h         the data of a model and of a worker: read this first
 *         src/model_file.h    finds the parts of the file, and checks them and their digest,
 *                             with slice.h, protobuf.h and sha256.h
 *         src/settings.h      reads the metadata, with json.h and characters.h
 *         src/weights.h       finds the constants of the graph
 *         src/memory.h        lays out the caller's memory, into which
 *         src/packing.h       copies the weights, in the order of a kernel, and
 *         src/vocabulary.h    the words, with a hash table of them
 *
 *     edge_lstm_predict, one text or several side by side: run_batch, below
 *         src/encode.h        turns a text into ids, with unicode.h for lower case, or
 *         src/fields.h        a row with fields
 *         src/network.h       turns ids into probabilities: embedding, LSTMs, n-grams, head,
 *                             with table.h and ngrams.h for what stays in the file
 *         src/lstm_step.h     is the step of an LSTM, on vectors
 *         src/kernels.h       includes it once for each instruction set
 *         src/arithmetic.h    has the functions that give the same bits on every machine
 *         src/compiler.h      keeps compilers from changing them
 *
 *     whoever asks: main.c, the Python module, SQL
 *         src/decide.h        turns probabilities into labels, or none
 *
 * Below are the public functions, the batch, how unfamiliar a text is, and the file's own test.
 *
 * The parts are one translation unit: the compiler can inline across them, and a user compiles one
 * file. */
#include "edge_lstm.h"

#include "src/compiler.h"

#include "src/encode.h"
#include "src/memory.h"
#include "src/model_file.h"
#include "src/network.h"
#include "src/settings.h"
#include "src/weights.h"

/* --- A model --------------------------------------------------------------------------------- */

static int is_supported_machine(void) {
    const uint16_t one = 1;
    unsigned char first_byte;
    memcpy(&first_byte, &one, 1);
    return first_byte == 1 && sizeof(float) == 4; /* little-endian */
}

/* Read and check the file, as far as that takes no memory. Return NULL, or an error. */
static const char *read_model(edge_lstm *m, slice file, const char *kernel_name,
                              int checks_digest) {
    if (!file.at || slice_length(file) == 0)
        return NOT_A_MODEL;
    if (!is_supported_machine())
        return "a machine of this byte order is not supported";
    const char *error = read_file(m, file, checks_digest);
    if (!error)
        error = read_tokenizer(m);
    if (!error)
        error = read_network(m);
    if (!error)
        error = find_weights(m);
    if (!error)
        error = read_labels(m);
    if (error)
        return error;
    m->kernel = find_kernel(kernel_name, m->max_abs_weight);
    if (!m->kernel)
        return "this machine has no such kernel, or not for weights this large; leave it out";
    return NULL;
}

/* Lay out a model that was read. Return the bytes of memory that it takes. */
static size_t model_size(edge_lstm *m) {
    arena counter = arena_at(NULL);
    lay_out_model(m, &counter);
    return arena_size(&counter);
}

const char *edge_lstm_kernels(size_t i) {
    const kernel *list[MAX_KERNELS];
    size_t count = list_kernels(list);
    return i < count ? list[i]->name : NULL;
}

size_t edge_lstm_needs(const void *file, size_t size, const char *kernel_name, const char **error) {
    edge_lstm m;
    *error = read_model(&m, slice_of(file, size), kernel_name, 0);
    return *error ? 0 : model_size(&m);
}

/* Fill in the letters that push_ascii_letters reads: lower case is all they become. */
static void fill_lower_ascii(edge_lstm *m) {
    for (uint32_t c = 0; c < 128; c++) {
        uint32_t lower = m->lower_case == LOWER_NONE ? c : to_lower(c);
        if (m->char_kind[lower] == LETTER)
            m->lower_ascii[c] = (unsigned char)lower;
    }
}

edge_lstm *edge_lstm_open(const void *file, size_t size, const char *kernel_name, void *memory,
                          size_t memory_size, const char **error) {
    edge_lstm parsed;
    *error = read_model(&parsed, slice_of(file, size), kernel_name, 1);
    if (*error)
        return NULL;
    size_t needs = model_size(&parsed);
    if (!memory || memory_size < needs) {
        *error = "the memory is too small; edge_lstm_needs says how large it must be";
        return NULL;
    }

    arena a = cleared_arena(memory, needs);
    edge_lstm *m = (edge_lstm *)(void *)a.base;
    *m = parsed;
    lay_out_model(m, &a);
    for (int32_t k = 0; k < m->num_lstms; k++)
        for (int32_t d = 0; d < m->lstms[k].num_directions; d++)
            pack_direction(m, &m->lstms[k], d);
    read_char_kinds(m); /* these three were checked already, and are kept now */
    read_labels(m);
    fill_lower_ascii(m);
    *error = read_vocabulary(m);
    return *error ? NULL : m;
}

const char *edge_lstm_kernel(const edge_lstm *model) {
    return model->kernel->name;
}

size_t edge_lstm_labels(const edge_lstm *model) {
    return (size_t)model->num_labels;
}

const char *edge_lstm_label(const edge_lstm *model, size_t i) {
    return i < (size_t)model->num_labels ? model->label_names[i] : "";
}

double edge_lstm_threshold(const edge_lstm *model, size_t i) {
    if (!model->is_multi_label || i >= (size_t)model->num_labels)
        return 0;
    return model->thresholds[i];
}

const char *edge_lstm_metadata(const edge_lstm *model, const char *key, size_t *size) {
    slice value = find_entry(model->file, key);
    *size = slice_length(value);
    return (const char *)value.at;
}

/* --- A worker -------------------------------------------------------------------------------- */

size_t edge_lstm_worker_needs(const edge_lstm *model) {
    edge_lstm_worker w;
    arena counter = arena_at(NULL);
    lay_out_worker(model, &w, &counter);
    return arena_size(&counter);
}

edge_lstm_worker *edge_lstm_worker_start(const edge_lstm *model, void *memory, size_t memory_size) {
    size_t needs = edge_lstm_worker_needs(model);
    if (!memory || memory_size < needs)
        return NULL;
    arena a = cleared_arena(memory, needs);
    edge_lstm_worker *w = (edge_lstm_worker *)(void *)a.base;
    w->model = model;
    lay_out_worker(model, w, &a);
    return w;
}

/* --- Texts and ids to probabilities ----------------------------------------------------------- */

static char_reader utf8_reader(const char *text, size_t size) {
    return (char_reader){slice_of(text, size), 0};
}

const char *edge_lstm_encode(edge_lstm_worker *w, const char *text, size_t size,
                             const int32_t **ids, size_t *count) {
    sequence *s = &w->sequences[0];
    const char *status = encode(w, s, utf8_reader(text, size));
    *ids = s->ids;
    *count = s->count;
    return status;
}

/* Texts or, if they are NULL, rows of ids that are filled up with 0. */
typedef struct {
    size_t count;
    const char *const *texts;
    const size_t *sizes;
    const char **statuses; /* NULL if nobody asks for them */
    const int32_t *ids;    /* [count, columns] */
    size_t columns;
} batch;

/* Take a row of ids. One of padding alone is a step of it if every text has a start. */
static void load_ids(const edge_lstm *m, sequence *s, const int32_t *ids, size_t columns) {
    size_t least = m->start_id == NO_ID ? 0 : 1;
    memmove(s->ids, ids, columns * sizeof *ids);
    s->count = columns;
    while (s->count > least && s->ids[s->count - 1] == PAD_ID)
        s->count--;
}

/* Begin with the i-th text or row. */
static void start_sequence(edge_lstm_worker *w, sequence *s, const batch *b, size_t i) {
    if (b->texts) {
        const char *status = encode(w, s, utf8_reader(b->texts[i], b->sizes[i]));
        s->is_unreadable = status == UNREADABLE;
        if (b->statuses)
            b->statuses[i] = status;
    } else {
        load_ids(w->model, s, b->ids + i * b->columns, b->columns);
        s->is_unreadable = 0;
    }
    s->text = i;
    reset_sequence(w->model, s);
}

/* Run a batch, some sequences side by side: the first `active` of the worker's. One that ends makes
 * room for the next, and leaves its memory to it. */
static void run_batch(edge_lstm_worker *w, const batch *b, float *probabilities) {
    size_t labels = (size_t)w->model->num_labels;
    sequence *sequences = w->sequences;
    size_t next = 0;
    int active = 0;
    for (;;) {
        while (active < EDGE_LSTM_TEXTS && next < b->count) {
            start_sequence(w, &sequences[active], b, next);
            active++;
            next++;
        }
        if (active == 0)
            return;
        step_sequences(w->model, sequences, active);
        for (int t = active - 1; t >= 0; t--) {
            if (sequences[t].at < sequences[t].count)
                continue;
            sequence ended = sequences[t];
            classify(w, &ended, probabilities + ended.text * labels);
            if (ended.is_unreadable)
                memset(probabilities + ended.text * labels, 0, labels * sizeof *probabilities);
            active--;
            /* The last one takes its place. It was looked at before. */
            sequences[t] = sequences[active];
            sequences[active] = ended;
        }
    }
}

static void run_ids(edge_lstm_worker *w, const int32_t *ids, size_t count, size_t columns,
                    float *probabilities) {
    batch b = {.count = count, .ids = ids, .columns = columns};
    run_batch(w, &b, probabilities);
}

const char *edge_lstm_predict(edge_lstm_worker *w, const char *text, size_t size,
                              float *probabilities) {
    const char *status;
    edge_lstm_predict_many(w, &text, &size, 1, probabilities, &status);
    return status;
}

void edge_lstm_predict_many(edge_lstm_worker *w, const char *const *texts, const size_t *sizes,
                            size_t count, float *probabilities, const char **statuses) {
    batch b = {.count = count, .texts = texts, .sizes = sizes, .statuses = statuses};
    run_batch(w, &b, probabilities);
}

int edge_lstm_run(edge_lstm_worker *w, const int32_t *ids, size_t count, size_t columns,
                  float *probabilities) {
    if (columns == 0 || columns > (size_t)w->model->max_length)
        return 0;
    for (size_t i = 0; i < count * columns; i++)
        if (ids[i] < 0 || ids[i] > w->model->max_id)
            return 0;
    run_ids(w, ids, count, columns, probabilities);
    return 1;
}

/* --- Unfamiliar texts (docs/file-format.md) -------------------------------------------------- */

/* Return how evenly the probabilities are spread over the labels: Rényi's entropy of order 1/2, as
 * a share of its maximum. */
static double spread_of(const edge_lstm *m, const float *probabilities) {
    double roots = 0;
    for (int32_t l = 0; l < m->num_labels; l++) {
        double p = (double)probabilities[l];
        roots += p < 1 ? (double)exponential((float)logarithm(p) / 2) : 1; /* a NaN counts as 1 */
    }
    return 2 * logarithm(roots) / logarithm(m->num_labels);
}

/* Return the level of an id: half its bits, rounded up. Words of a lower one are more frequent. */
static int level_of(int32_t id) {
    int level = 0;
    for (; id > 0; id >>= 2)
        level++;
    return level;
}

/* Return how rare the text's words are, from 0 to 1. */
static double rarity_of(const edge_lstm *m, const sequence *s) {
    int has_start = s->count > 0 && s->ids[0] == m->start_id; /* not if the text was too long */
    size_t first = has_start ? 1 : 0;
    size_t words = s->count - first;
    int levels = 0;
    if (words == 0)
        return 1;
    for (size_t i = first; i < s->count; i++) {
        int is_known = s->ids[i] >= m->first_word_id && s->ids[i] != m->oov_id;
        levels += level_of(is_known ? s->ids[i] : m->max_id);
    }
    return (double)levels / (double)words / level_of(m->max_id);
}

double edge_lstm_unfamiliarity(edge_lstm_worker *w, const char *text, size_t size,
                               const float *probabilities) {
    sequence *s = &w->sequences[0];
    encode(w, s, utf8_reader(text, size));
    return spread_of(w->model, probabilities) + rarity_of(w->model, s) / 2;
}

/* Read a pair of numbers. */
static int read_pair(slice pair, double *first, double *second) {
    slice value;
    return json_enter(&pair, '[') && json_next_value(&pair, &value) && json_number(value, first) &&
           json_next_value(&pair, &value) && json_number(value, second);
}

double edge_lstm_unfamiliar_above(const edge_lstm *model, double share) {
    slice pairs;
    slice pair;
    double least_share;
    double score;
    double above = -1;
    if (!(share < 1))
        return above;
    if (!json_enter_member(model->metadata[ABSTENTION], "unfamiliar", '[', &pairs))
        return above;
    while (json_next_value(&pairs, &pair) && read_pair(pair, &least_share, &score)) {
        if (!(least_share <= share))
            break; /* they are in the order of the shares */
        above = score;
    }
    return above;
}

/* --- The file's own test --------------------------------------------------------------------- */

/* A golden row is wrong if a probability differs by more. */
#define GOLDEN_TOLERANCE 1e-3
enum { GOLDEN_LABELS = 5 }; /* of a row: the most probable ones */

/* Return whether a JSON array that was entered has the same ids. */
static int are_ids(slice expected_ids, const sequence *s) {
    slice value;
    double expected;
    for (size_t i = 0; i < s->count; i++) {
        if (!json_next_value(&expected_ids, &value) || !json_number(value, &expected) ||
            expected != s->ids[i])
            return 0;
    }
    return !json_next_value(&expected_ids, &value); /* no more */
}

/* Return whether a golden row's ids and best probabilities come out here too. worst: the largest
 * difference so far. */
static int check_row(edge_lstm_worker *w, slice row, float *worst) {
    sequence *s = &w->sequences[0];
    float *probabilities = w->logits; /* classify writes them over its logits */
    double expected;
    double label;
    slice text;
    slice ids;
    slice pairs;
    slice pair;
    if (!json_get(row, "text", &text) || !json_enter_member(row, "ids", '[', &ids) ||
        !json_enter_member(row, "probabilities", '[', &pairs))
        return 0;
    encode(w, s, json_string(text));
    int is_right = are_ids(ids, s);
    run_ids(w, s->ids, 1, s->count, probabilities);
    int32_t num_pairs = 0;
    for (; json_next_value(&pairs, &pair); num_pairs++) {
        if (!read_pair(pair, &label, &expected) || !(label >= 0 && label < w->model->num_labels))
            return 0;
        double difference = expected - (double)probabilities[(int32_t)label];
        if (difference < 0)
            difference = -difference;
        is_right &= difference <= GOLDEN_TOLERANCE;
        if (difference > (double)*worst)
            *worst = (float)difference;
    }
    int32_t labels = w->model->num_labels;
    return is_right && num_pairs == (labels < GOLDEN_LABELS ? labels : GOLDEN_LABELS);
}

size_t edge_lstm_check(edge_lstm_worker *w, size_t *rows, float *worst) {
    slice golden = w->model->metadata[GOLDEN];
    slice row;
    size_t wrong = 0;
    *rows = 0;
    *worst = 0;
    if (!json_enter(&golden, '['))
        return 0;
    while (json_next_value(&golden, &row)) {
        if (!check_row(w, row, worst))
            wrong++;
        *rows += 1;
    }
    return wrong;
}
