/* Finds the weights: constants of the file's graph, which stay where they are. Each has a name, a
 * type and a shape, which the settings must fit. */
#ifndef EDGE_LSTM_WEIGHTS_H
#define EDGE_LSTM_WEIGHTS_H

#include "arithmetic.h"
#include "model.h"
#include "model_file.h"
#include "ngrams.h"
#include "protobuf.h"
#include "table.h"

/* The numbers of a constant's fields. */
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_BYTES = 9 };

/* ONNX's types of constants, and one for scales, which are floats above 0. */
enum { FLOAT32 = 1, UINT8 = 2, INT8 = 3, TYPE_BITS = 0xFF, SCALES = FLOAT32 | 0x100 };

/* The name of a constant is a word, a number of one digit or NO_NUMBER, and a part, which may be
 * empty: "lstm", 0, "_w" is lstm0_w. */
enum { NAME_SIZE = 32, NO_NUMBER = -1 };

/* The shape of a constant, for find_constant. */
#define SHAPE(...) ((const int32_t[]){__VA_ARGS__, -1})

/* Return the last constant of a name. at is NULL if there is none. */
static slice find_tensor(const edge_lstm *m, const char *word, int32_t number, const char *part) {
    char name[NAME_SIZE];
    size_t length = strlen(word);
    memcpy(name, word, length);
    if (number != NO_NUMBER) {
        name[length] = (char)('0' + number);
        length++;
    }
    memcpy(name + length, part, strlen(part) + 1);
    return find_submessage(m->graph, GRAPH_CONSTANT, TENSOR_NAME, name);
}

/* Return the bytes of a constant: empty if the graph has none of this name. */
static slice constant_bytes(const edge_lstm *m, const char *word, int32_t number,
                            const char *part) {
    return find_bytes(find_tensor(m, word, number, part), TENSOR_BYTES);
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

/* Find a constant's bytes. Return whether it has this type and shape, which ends with -1, and as
 * many bytes. */
static int find_constant(const edge_lstm *m, const char *word, int32_t number, const char *part,
                         int type, const int32_t *shape, const unsigned char **found) {
    slice tensor = find_tensor(m, word, number, part);
    slice bytes = find_bytes(tensor, TENSOR_BYTES);
    uint64_t size = sizeof(float);
    uint64_t type_in_file = 0;
    field f;
    if (type == INT8 || type == UINT8)
        size = 1;
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

/* Return the type of a matrix of weights. */
static int weight_type(const edge_lstm *m) {
    return m->is_int8 ? INT8 : FLOAT32;
}

/* Find the packed rows of a table: 4-bit numbers (_q), and a multiplier for each row (_m). */
static int find_packed(const edge_lstm *m, const char *word, size_t rows, table *t) {
    const int none = NO_NUMBER;
    packed_shape shape = shape_of_packed(rows, t->columns);
    const int32_t *numbers = SHAPE((int32_t)shape.rows, (int32_t)packed_size(shape.columns));
    const int32_t *multipliers = SHAPE((int32_t)packed_size(shape.rows));
    return find_constant(m, word, none, "_q", UINT8, numbers, &t->values) &&
           find_constant(m, word, none, "_m", UINT8, multipliers, &t->multipliers) &&
           is_packed_table(m, t, rows);
}

/* Find a table. An int8 file has it in one of three forms, see table.h: signed bytes, under the
 * word alone; packed; or codes (_c), and the book of their numbers (_b). */
static int find_table(const edge_lstm *m, const char *word, int32_t rows, int32_t columns,
                      table *t) {
    const int none = NO_NUMBER;
    const int32_t *plain = SHAPE(rows, columns);
    const int32_t *codes = SHAPE(rows, (int32_t)codes_size((size_t)columns));
    int is_plain = constant_bytes(m, word, none, "").at != NULL;
    int is_packed = constant_bytes(m, word, none, "_q").at != NULL;
    int is_coded = constant_bytes(m, word, none, "_c").at != NULL;
    t->columns = (size_t)columns;
    if (is_plain + is_packed + is_coded != 1)
        return 0;
    if (is_plain)
        return find_constant(m, word, none, "", weight_type(m), plain, &t->values);
    if (!m->is_int8)
        return 0;
    if (is_coded)
        return find_constant(m, word, none, "_c", UINT8, codes, &t->values) &&
               find_constant(m, word, none, "_b", INT8, SHAPE(NUM_CODES, CODED), &t->book);
    return find_packed(m, word, (size_t)rows, t);
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
    return find_constant(m, "embedding", NO_NUMBER, "_scale", SCALES, SHAPE(1),
                         &m->embedding_scales) &&
           find_embedding_scale(m, first);
}

/* Raise the largest |weight| to that of these weights. A kernel may have to refuse it. */
static void raise_max_abs_weight(edge_lstm *m, const unsigned char *weights, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int32_t weight = (signed char)weights[i];
        raise_to(&m->max_abs_weight, weight < 0 ? -weight : weight);
    }
}

/* Find the weights of the k-th LSTM. int8: two units of each direction are sentinels, and the
 * inputs of the second LSTM, which are h of the first, have the range of h. */
static int find_lstm(edge_lstm *m, int32_t k) {
    lstm_layer *layer = &m->lstms[k];
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
    const int32_t *b = SHAPE(directions, gates);
    const int32_t *scale = SHAPE(directions);
    if (!find_constant(m, "lstm", k, "_w", weight_type(m), w, &layer->w) ||
        !find_constant(m, "lstm", k, "_r", weight_type(m), r, &layer->r) ||
        !find_constant(m, "lstm", k, "_b", FLOAT32, b, &layer->b))
        return 0;
    if (!m->is_int8)
        return 1;
    raise_max_abs_weight(m, layer->w, (size_t)(directions * x) * (size_t)gates);
    raise_max_abs_weight(m, layer->r, (size_t)(directions * h) * (size_t)gates);
    return find_constant(m, "lstm", k, "_w_scale", SCALES, scale, &layer->w_scales) &&
           find_constant(m, "lstm", k, "_r_scale", SCALES, scale, &layer->r_scales);
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

/* Find the tables of first states: all LSTMs have them, of as many rows, or none has. int8 needs
 * them as soon as one LSTM reads another. */
static int find_first_states(edge_lstm *m) {
    lstm_layer *first = &m->lstms[0];
    size_t bytes_of_row = sizeof(float) * (size_t)(first->num_directions * first->hidden);
    size_t rows = slice_length(constant_bytes(m, "lstm", 0, "_h")) / bytes_of_row;
    size_t most = m->padding == PADDING_NONE ? (size_t)m->max_length + 1 : 1;
    if (!find_tensor(m, "lstm", 0, "_h").at && !find_tensor(m, "lstm", 0, "_c").at) {
        int needs_them = m->is_int8 && m->num_lstms > 1;
        return !needs_them;
    }
    if (rows == 0 || rows > most)
        return 0;
    for (int32_t k = 0; k < m->num_lstms; k++) {
        lstm_layer *layer = &m->lstms[k];
        layer->start_rows = (int32_t)rows;
        const int32_t *shape = SHAPE(layer->num_directions, layer->start_rows, layer->hidden);
        if (!find_constant(m, "lstm", k, "_h", FLOAT32, shape, &layer->start_h) ||
            !find_constant(m, "lstm", k, "_c", FLOAT32, shape, &layer->start_c) ||
            !are_first_states(m, layer))
            return 0;
    }
    return 1;
}

/* Find the scales and the bias of a dense layer. */
static int find_dense(const edge_lstm *m, dense_layer *layer, const char *word, int32_t number) {
    const int32_t *scales = SHAPE(layer->inputs, 1);
    if (m->is_int8 &&
        !find_constant(m, word, number, "_w_scales", SCALES, scales, &layer->w_scales))
        return 0;
    return find_constant(m, word, number, "_b", FLOAT32, SHAPE(layer->units), &layer->b);
}

/* Find the weights of all dense layers. Behind the last hidden one, the head reads the n-grams.
 * Only its weights may be a packed table. */
static int find_dense_layers(edge_lstm *m) {
    int32_t inputs = pooled_dim(m);
    for (int32_t k = 0; k + 1 < m->num_dense; k++) {
        dense_layer *layer = &m->dense[k];
        layer->inputs = inputs;
        layer->w.columns = (size_t)layer->units;
        const int32_t *shape = SHAPE(inputs, layer->units);
        if (!find_constant(m, "dense", k, "_w", weight_type(m), shape, &layer->w.values) ||
            !find_dense(m, layer, "dense", k))
            return 0;
        inputs = layer->units;
    }
    dense_layer *head = &m->dense[m->num_dense - 1];
    head->inputs = inputs + m->ngram_dim;
    return find_table(m, "head_w", head->inputs, head->units, &head->w) &&
           find_dense(m, head, "head", NO_NUMBER);
}

/* Find the vectors of n-grams, and the hash table of pairs. */
static int find_ngrams(edge_lstm *m) {
    const int none = NO_NUMBER;
    size_t buckets = slice_length(constant_bytes(m, "pair", none, "_displacements"));
    m->pair_buckets = buckets > MAX_SLOTS ? 0 : (int32_t)buckets;
    if (!find_table(m, "ngram_vectors", m->num_ngrams, m->ngram_dim, &m->ngram_vectors))
        return 0;
    const int32_t *scales = SHAPE(m->ngram_dim);
    if (m->is_int8 && !find_constant(m, "ngram", none, "_scales", SCALES, scales, &m->ngram_scales))
        return 0;
    if (m->ngram_slots == 0)
        return 1;
    return m->pair_buckets > 0 &&
           find_constant(m, "pair", none, "_displacements", UINT8, SHAPE(m->pair_buckets),
                         &m->pair_displacements) &&
           find_constant(m, "pair", none, "_fingerprints", UINT8, SHAPE(m->ngram_slots),
                         &m->pair_fingerprints);
}

/* Find all weights. Return NULL, or an error. */
static const char *find_weights(edge_lstm *m) {
    m->is_int8 = constant_bytes(m, "head", NO_NUMBER, "_w_scales").at != NULL;
    if (m->num_lstms > 0 && !find_embedding(m))
        return UNKNOWN_GRAPH;
    for (int32_t k = 0; k < m->num_lstms; k++)
        if (!find_lstm(m, k))
            return UNKNOWN_GRAPH;
    if (m->num_lstms > 0 && !find_first_states(m))
        return UNKNOWN_GRAPH;
    if (m->num_ngrams > 0 && !find_ngrams(m))
        return UNKNOWN_GRAPH;
    if (!find_dense_layers(m))
        return UNKNOWN_GRAPH;
    return NULL;
}

#endif
