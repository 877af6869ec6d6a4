/* The network around the LSTM's step: the steps of a text, the vectors of n-grams, the head. */
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
    for (size_t k = 0; !t->multipliers && k < t->columns; k++)
        x[k] = (unsigned char)(t->values[id * t->columns + k] + zero);
    if (t->multipliers)
        unpack_row(t, id, (uint32_t)zero, x);
    x[t->columns] = (unsigned char)(zero + HIGH_SENTINEL);
    x[t->columns + 1] = (unsigned char)(zero + LOW_SENTINEL);
    if (m->kernel->input_type == INPUTS_S16)
        for (int32_t k = m->embedding_dim - 1; k >= 0; k--) /* in place, from the end */
            ((int16_t *)(void *)x)[k] = (signed char)x[k];
}

/* Load the embedding of the i-th id that a direction reads. */
static void load_input(const edge_lstm *m, sequence *s, int32_t d, size_t i) {
    size_t at = d == 0 ? i : s->count - 1 - i; /* the second one reads backwards */
    load_embedding(m, (size_t)s->ids[at], s->states[d].x);
}

/* Get a sequence ready for its first step. */
static void reset_sequence(const edge_lstm *m, sequence *s) {
    size_t size = sizeof(float) * (size_t)m->units;
    s->at = 0;
    for (int32_t d = 0; d < m->num_directions; d++) {
        lstm_state *state = &s->states[d];
        memset(state->c, 0, size);
        memset(state->h, 0, size);
        memset(state->h_sum, 0, size);
        memset(state->h_max, 0, size);
        state->h_low = 0;
        state->h_high = 0;
        state->h_scale = 1;
        state->h_zero_point = 0;
        load_input(m, s, d, 0);
        if (m->is_int8) {
            int zero = m->kernel->input_type == INPUTS_S8 ? -128 : 0; /* q = 0 */
            memset(state->h_q, zero, (size_t)(m->units + INPUT_PADDING) * input_size(m));
        }
    }
}

/* Do one step of each sequence. They do not affect each other. An input is loaded a step before it
 * is multiplied, and its bytes have left the processor's store buffer by then. */
static void step_sequences(const edge_lstm *m, sequence *sequences, int count) {
    lstm_state *states[EDGE_LSTM_TEXTS];
    for (int32_t d = 0; d < m->num_directions; d++) {
        for (int t = 0; t < count; t++)
            states[t] = &sequences[t].states[d];
        m->kernel->step(m, d, states, count);
        for (int t = 0; t < count; t++) {
            sequence *s = &sequences[t];
            if (s->at + 1 < s->count)
                load_input(m, s, d, s->at + 1);
        }
    }
    for (int t = 0; t < count; t++)
        sequences[t].at++;
}

/* sum[j] += factor * (row[j] * scale) */
static void add_row(edge_lstm_worker *w, const table *t, size_t row, float factor, float scale,
                    float *restrict sum) {
    const unsigned char *bytes = t->values + row * t->columns;
    if (t->multipliers) {
        unpack_row(t, row, 0, w->row);
        bytes = w->row;
    }
    for (size_t j = 0; j < t->columns; j++) {
        float value = w->model->is_int8 ? (float)(signed char)bytes[j]
                                        : load_f32(t->values, row * t->columns + j);
        sum[j] += factor * (value * scale);
    }
}

/* Add a row of the n-grams' vectors to the sum, unless the text had it before. */
ALWAYS_INLINE void add_ngram(edge_lstm_worker *w, size_t row, float *sum) {
    unsigned char bit = (unsigned char)(1 << row % 8);
    if (!(w->ngrams_seen[row / 8] & bit))
        add_row(w, &w->model->ngram_vectors, row, 1, 1, sum);
    w->ngrams_seen[row / 8] |= bit;
}

/* Add up the vectors of the text's n-grams, each once, and divide by the square root of its length.
 * Sums of 2^17 int8 are exact. */
static void sum_ngrams(edge_lstm_worker *w, const sequence *s, float *out) {
    const edge_lstm *m = w->model;
    size_t width = (size_t)m->ngram_dim;
    size_t words = (size_t)m->ngram_words;
    uint32_t slot;
    float root = square_root(s->count);
    memset(w->ngrams_seen, 0, (size_t)m->num_ngrams / 8 + 1);
    memset(out, 0, sizeof *out * width);
    for (size_t t = 0; t < s->count; t++) {
        size_t word = (size_t)s->ids[t] - OOV_ID; /* an id below has no vector */
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

/* Write what the head reads of the LSTM: of each direction the last h, or the means of h in all
 * directions and then the largest. */
static void pool(const edge_lstm *m, const sequence *s, float *out) {
    int32_t hidden = m->hidden;
    float steps = (float)s->count;
    for (int32_t d = 0; d < m->num_directions; d++) {
        const lstm_state *state = &s->states[d];
        float *first = out + d * hidden;
        float *second = first + m->num_directions * hidden;
        for (int32_t j = 0; j < hidden; j++) {
            if (m->pools_last) {
                first[j] = state->h[j];
            } else {
                first[j] = state->h_sum[j] / steps;
                second[j] = state->h_max[j];
            }
        }
    }
}

/* logits[l] = sum of features[j] * weight[j][l], in the order of j, + bias[l] */
static void apply_head(edge_lstm_worker *w, const float *features, size_t inputs,
                       float *restrict logits) {
    const edge_lstm *m = w->model;
    size_t count = (size_t)m->num_logits;
    for (size_t l = 0; l < count; l++)
        logits[l] = 0;
    for (size_t j = 0; j < inputs; j++) {
        float scale = m->is_int8 ? load_f32(m->head_w_scales, j) : 1;
        add_row(w, &m->head_w, j, features[j], scale, logits);
    }
    for (size_t l = 0; l < count; l++)
        logits[l] += load_f32(m->head_b, l);
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
    int32_t pooled = pooled_dim(m);
    pool(m, s, w->features);
    if (m->num_ngrams)
        sum_ngrams(w, s, w->features + pooled);
    apply_head(w, w->features, (size_t)(pooled + m->ngram_dim), w->logits);
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
