/* The network around the LSTM's step: the steps of a text, the vectors of n-grams, the head.
 *
 * reset_sequence begins a text, step_sequences does a step of each text that is being read, and
 * classify ends one. */
#ifndef EDGE_LSTM_NETWORK_H
#define EDGE_LSTM_NETWORK_H

#include "arithmetic.h"
#include "kernels.h"
#include "model.h"
#include "ngrams.h"
#include "packing.h"
#include "table.h"

/* Write an id's embedding and the sentinels into x, in the kernel's type of inputs. */
static void load_embedding(const edge_lstm *m, size_t id, unsigned char *x) {
    const table *t = &m->embedding;
    int32_t zero = m->kernel->input_type == INPUTS_U8 ? EMBEDDING_ZERO_POINT : 0;
    size_t row_size = sizeof(float) * t->columns;
    if (!m->is_int8) {
        memcpy(x, t->values + row_size * id, row_size);
        return;
    }
    if (has_packed_rows(t)) {
        unpack_row(t, id, (uint32_t)zero, x);
    } else {
        for (size_t k = 0; k < t->columns; k++)
            x[k] = (unsigned char)(t->values[id * t->columns + k] + zero);
    }
    x[t->columns] = (unsigned char)(zero + HIGH_SENTINEL);
    x[t->columns + 1] = (unsigned char)(zero + LOW_SENTINEL);
    if (m->kernel->input_type == INPUTS_S16)
        for (int32_t k = m->lstms[0].inputs - 1; k >= 0; k--) /* in place, from the end */
            ((int16_t *)(void *)x)[k] = (signed char)x[k];
}

/* Return the place of a direction's i-th step in the text: the second one reads backwards. */
ALWAYS_INLINE size_t place_of_step(const sequence *s, int32_t d, size_t i) {
    return d == 0 ? i : s->count - 1 - i;
}

/* Load what a direction reads at its i-th step: an embedding, or the outputs of the LSTM before. */
static void load_input(const edge_lstm *m, sequence *s, int32_t d, size_t i) {
    size_t place = place_of_step(s, d, i);
    if (s->layer == 0) {
        load_embedding(m, (size_t)s->ids[place], s->states[d].x);
        return;
    }
    size_t size = (size_t)m->lstms[s->layer].inputs * input_size(m);
    memcpy(s->states[d].x, s->steps[(s->layer - 1) % 2] + place * size, size);
}

/* Keep a direction's outputs for the next LSTM. int8: their bytes are its inputs. */
static void keep_output(const edge_lstm *m, sequence *s, int32_t d) {
    const lstm_layer *layer = &m->lstms[s->layer];
    size_t size = (size_t)layer->hidden * input_size(m);
    size_t row = place_of_step(s, d, s->at) * (size_t)layer->num_directions + (size_t)d;
    memcpy(s->steps[s->layer % 2] + row * size, s->states[d].h_q, size);
}

/* Set a direction to the first states of the file. Padding before the text, which is not run, has
 * a row for each column. */
static void load_first_states(const edge_lstm *m, sequence *s, int32_t d) {
    const lstm_layer *layer = &m->lstms[s->layer];
    lstm_state *state = &s->states[d];
    size_t rows = (size_t)layer->start_rows;
    size_t row = s->padding < rows ? s->padding : rows - 1;
    size_t size = sizeof(float) * (size_t)layer->hidden;
    size_t offset = ((size_t)d * rows + row) * size;
    memcpy(state->h, layer->start_h + offset, size);
    memcpy(state->c, layer->start_c + offset, size);
    if (m->is_int8) {
        find_scale(-END_OF_H, END_OF_H, &state->h_scale, &state->h_zero_point);
        m->kernel->round_h(m, layer, state);
    }
}

/* Get a sequence ready for the first step of an LSTM. */
static void start_layer(const edge_lstm *m, sequence *s, int32_t number) {
    const lstm_layer *layer = &m->lstms[number];
    size_t size = sizeof(float) * (size_t)layer->units;
    s->layer = number;
    s->at = 0;
    for (int32_t d = 0; d < layer->num_directions; d++) {
        lstm_state *state = &s->states[d];
        memset(state->c, 0, size);
        memset(state->h, 0, size);
        memset(state->h_sum, 0, size);
        for (int32_t j = 0; j < layer->units; j++)
            state->h_max[j] = layer->least_max;
        state->h_low = 0;
        state->h_high = 0;
        state->h_scale = 1;
        state->h_zero_point = 0;
        if (m->is_int8) {
            int zero = m->kernel->input_type == INPUTS_S8 ? -128 : 0; /* q = 0 */
            memset(state->h_q, zero, (size_t)(layer->units + INPUT_PADDING) * input_size(m));
        }
        if (layer->start_rows > 0)
            load_first_states(m, s, d);
        if (s->count > 0)
            load_input(m, s, d, 0);
    }
}

/* Put padding around the ids if the network reads it. */
static void add_padding(const edge_lstm *m, sequence *s) {
    size_t padding = (size_t)m->max_length - s->count;
    s->padding = padding;
    if (m->padding == PADDING_NONE)
        return;
    size_t first = m->padding == PADDING_FRONT ? padding : 0;
    size_t ids_end = first + s->count;
    memmove(s->ids + first, s->ids, s->count * sizeof *s->ids);
    memset(s->ids, 0, first * sizeof *s->ids);
    memset(s->ids + ids_end, 0, (padding - first) * sizeof *s->ids);
    s->count = (size_t)m->max_length;
    s->padding = 0;
}

/* Get a sequence ready for the first step of the first LSTM. A text without ids has no step: it is
 * at the start of the last one. */
static void reset_sequence(const edge_lstm *m, sequence *s) {
    add_padding(m, s);
    s->at = s->count;
    if (m->num_lstms > 0)
        start_layer(m, s, s->count > 0 ? 0 : m->num_lstms - 1);
}

/* Do a step of each sequence that is in this LSTM. An input is loaded a step before it is
 * multiplied, and its bytes have left the processor's store buffer by then. */
static void step_layer(const edge_lstm *m, int32_t number, sequence *sequences, int count) {
    const lstm_layer *layer = &m->lstms[number];
    sequence *readers[EDGE_LSTM_TEXTS];
    lstm_state *states[EDGE_LSTM_TEXTS];
    int num_readers = 0;
    for (int t = 0; t < count; t++) {
        if (sequences[t].layer == number && sequences[t].at < sequences[t].count) {
            readers[num_readers] = &sequences[t];
            num_readers++;
        }
    }
    for (int32_t d = 0; d < layer->num_directions && num_readers > 0; d++) {
        for (int t = 0; t < num_readers; t++)
            states[t] = &readers[t]->states[d];
        m->kernel->step(m, layer, d, states, num_readers);
        for (int t = 0; t < num_readers; t++) {
            sequence *s = readers[t];
            if (layer->gives_steps)
                keep_output(m, s, d);
            if (s->at + 1 < s->count)
                load_input(m, s, d, s->at + 1);
        }
    }
}

/* Do one step of each sequence. They do not affect each other. Behind the last step of an LSTM
 * comes the first one of the next. */
static void step_sequences(const edge_lstm *m, sequence *sequences, int count) {
    for (int32_t k = 0; k < m->num_lstms; k++)
        step_layer(m, k, sequences, count);
    for (int t = 0; t < count; t++) {
        sequence *s = &sequences[t];
        if (s->at == s->count)
            continue; /* it had no step */
        s->at++;
        if (s->at == s->count && s->layer + 1 < m->num_lstms)
            start_layer(m, s, s->layer + 1);
    }
}

/* sum[j] += factor * (row[j] * scale) */
static void add_row(edge_lstm_worker *w, const table *t, size_t row, float factor, float scale,
                    float *restrict sum) {
    const unsigned char *bytes = t->values + row * t->columns;
    if (has_packed_rows(t)) {
        unpack_row(t, row, 0, w->row);
        bytes = w->row;
    }
    for (size_t j = 0; j < t->columns; j++) {
        float value = w->model->is_int8 ? (float)(signed char)bytes[j]
                                        : load_f32(t->values, row * t->columns + j);
        sum[j] += factor * (value * scale);
    }
}

/* Add a row of the n-grams' vectors to the sum, unless it counts no more. */
ALWAYS_INLINE void add_ngram(edge_lstm_worker *w, size_t row, float *sum) {
    unsigned bits = w->model->ngram_bits;
    unsigned char *seen = &w->ngrams_seen[row * bits / 8];
    size_t shift = row * bits % 8;
    int32_t times = *seen >> shift & ((1 << bits) - 1);
    if (times >= w->model->ngram_most)
        return;
    add_row(w, &w->model->ngram_vectors, row, (float)w->model->ngram_gains[times], 1, sum);
    *seen = (unsigned char)(*seen + (1u << shift));
}

/* Add up the vectors of the text's n-grams, times what each counts, and divide by the square root
 * of its length. Sums of int8 are exact below 2^24. */
static void sum_ngrams(edge_lstm_worker *w, const sequence *s, float *out) {
    const edge_lstm *m = w->model;
    size_t width = (size_t)m->ngram_dim;
    size_t words = (size_t)m->ngram_words;
    uint32_t slot;
    float root = square_root(s->count > 0 ? s->count : 1);
    memset(w->ngrams_seen, 0, seen_bytes(m));
    memset(out, 0, sizeof *out * width);
    for (size_t t = 0; t < s->count; t++) {
        size_t word = (size_t)s->ids[t] - FIRST_NGRAM_ID; /* of an id below: beyond all words */
        if (t > 0 && find_pair(m, s->ids[t - 1], s->ids[t], &slot))
            add_ngram(w, words + slot, out);
        if (word < words)
            add_ngram(w, word, out);
    }
    for (size_t j = 0; j < width; j++) {
        if (m->is_int8)
            out[j] *= load_f32(m->ngram_scales, j);
        out[j] /= root;
    }
}

/* Write what is read of the last LSTM: of each direction the last h, or the means of h in all
 * directions, the largest, or both. Of no step, mean and largest are 0. */
static void pool(const edge_lstm *m, const sequence *s, float *out) {
    const lstm_layer *layer = &m->lstms[m->num_lstms - 1];
    int32_t hidden = layer->hidden;
    float steps = s->count > 0 ? (float)s->count : 1;
    for (int32_t d = 0; d < layer->num_directions; d++) {
        const lstm_state *state = &s->states[d];
        float *first = out + d * hidden;
        float *largest = layer->gives_mean ? first + layer->num_directions * hidden : first;
        for (int32_t j = 0; j < hidden; j++) {
            if (layer->gives_mean)
                first[j] = state->h_sum[j] / steps;
            if (layer->gives_max)
                largest[j] = s->count > 0 ? state->h_max[j] : 0;
            if (!layer->gives_mean && !layer->gives_max)
                first[j] = state->h[j];
        }
    }
}

/* plain_tanh and plain_sigmoid are those of lstm_step.h in the kernel "plain". */
static float activate(int activation, float x) {
    switch (activation) {
    case RELU:
        return x > 0 ? x : 0;
    case TANH:
        return plain_tanh(x);
    case SIGMOID:
        return plain_sigmoid(x);
    default:
        return x;
    }
}

/* out[l] = activation of the sum of in[j] * weight[j][l], in the order of j, + bias[l] */
static void apply_dense(edge_lstm_worker *w, const dense_layer *layer, const float *in,
                        float *restrict out) {
    for (int32_t l = 0; l < layer->units; l++)
        out[l] = 0;
    for (int32_t j = 0; j < layer->inputs; j++) {
        float scale = w->model->is_int8 ? load_f32(layer->w_scales, (size_t)j) : 1;
        add_row(w, &layer->w, (size_t)j, in[j], scale, out);
    }
    for (int32_t l = 0; l < layer->units; l++)
        out[l] = activate(layer->activation, out[l] + load_f32(layer->b, (size_t)l));
}

/* Turn logits into probabilities that add up to 1. Changes the logits. */
static void softmax(float *logits, int32_t count, float *probabilities) {
    float largest = logits[0];
    float sum = 0;
    for (int32_t l = 1; l < count; l++)
        if (logits[l] > largest)
            largest = logits[l];
    for (int32_t l = 0; l < count; l++) {
        logits[l] = exponential(logits[l] - largest);
        sum += logits[l];
    }
    for (int32_t l = 0; l < count; l++)
        probabilities[l] = logits[l] / sum;
}

/* Turn a text that was read to its end into probabilities. */
static void classify(edge_lstm_worker *w, const sequence *s, float *probabilities) {
    const edge_lstm *m = w->model;
    const dense_layer *head = &m->dense[m->num_dense - 1];
    float *in = w->features[0];
    float *out = w->features[1];
    if (m->num_lstms > 0)
        pool(m, s, in);
    for (const dense_layer *layer = m->dense; layer < head; layer++) {
        apply_dense(w, layer, in, out);
        float *read = in;
        in = out;
        out = read;
    }
    if (m->num_ngrams)
        sum_ngrams(w, s, in + head->inputs - m->ngram_dim);
    apply_dense(w, head, in, w->logits);
    if (m->num_logits == 1) { /* that of the second of two labels */
        probabilities[1] = plain_sigmoid(w->logits[0]);
        probabilities[0] = 1.0f - probabilities[1];
    } else if (m->is_multi_label) {
        for (int32_t l = 0; l < m->num_logits; l++)
            probabilities[l] = plain_sigmoid(w->logits[l]);
    } else {
        softmax(w->logits, m->num_logits, probabilities);
    }
}

#endif
