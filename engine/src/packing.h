/* The weights in the kernel's order.
 *
 * The units of a direction are split into blocks of `lanes` units, the last one filled up with
 * zeros. fp32: [block, input, gate, lane]. int8: of each block the sums of the columns, [gate,
 * lane], then [group, gate, lane] of four bytes each. A group is the inputs that share four bytes:
 * four of 8 bits, or two of 16. */
#ifndef EDGE_LSTM_PACKING_H
#define EDGE_LSTM_PACKING_H

#include "arithmetic.h"
#include "model.h"

enum { INPUT_PADDING = ROW_PADDING }; /* the last group may lack three inputs */

static int32_t group_width(const edge_lstm *m) {
    return m->kernel->input_type == INPUTS_S16 ? 2 : 4;
}

static int32_t num_groups(const edge_lstm *m, int32_t inputs) {
    return (inputs + group_width(m) - 1) / group_width(m);
}

/* Return the bytes of an input. */
static size_t input_size(const edge_lstm *m) {
    return m->is_int8 ? 4 / (size_t)group_width(m) : sizeof(float);
}

/* Return the bytes of a row: four for each gate of each unit of a block. */
static size_t row_size(const edge_lstm *m) {
    return 4 * 4 * (size_t)m->kernel->lanes;
}

/* Return the bytes of a block's weights. */
static size_t block_size(const edge_lstm *m, int32_t inputs) {
    int32_t rows = m->is_int8 ? 1 + num_groups(m, inputs) : inputs;
    return row_size(m) * (size_t)rows;
}

/* Return the offset of the i-th value of [gate, hidden] in the first row of its block. */
static size_t packed_offset(const edge_lstm *m, int32_t hidden, size_t i, size_t bytes_of_block) {
    size_t lanes = (size_t)m->kernel->lanes;
    size_t gate = i / (size_t)hidden;
    size_t unit = i % (size_t)hidden;
    return unit / lanes * bytes_of_block + 4 * (gate * lanes + unit % lanes);
}

/* Pack a matrix [gates * hidden, inputs] of floats. */
static void pack_fp32(const edge_lstm *m, const unsigned char *w, int32_t inputs, int32_t hidden,
                      unsigned char *out) {
    size_t gates = 4 * (size_t)hidden;
    for (size_t i = 0; i < gates; i++) {
        const unsigned char *from = w + sizeof(float) * i * (size_t)inputs;
        unsigned char *to = out + packed_offset(m, hidden, i, block_size(m, inputs));
        for (int32_t k = 0; k < inputs; k++) {
            memcpy(to, from, sizeof(float));
            from += sizeof(float);
            to += row_size(m);
        }
    }
}

/* Pack a matrix [inputs, gates * hidden] of signed bytes. */
static void pack_int8(const edge_lstm *m, const unsigned char *w, int32_t inputs, int32_t hidden,
                      unsigned char *out) {
    size_t size = input_size(m);
    size_t gates = 4 * (size_t)hidden;
    for (size_t i = 0; i < gates; i++) {
        unsigned char *first_row = out + packed_offset(m, hidden, i, block_size(m, inputs));
        int32_t sum = 0;
        for (size_t k = 0; k < (size_t)inputs; k++) {
            int32_t weight = (signed char)w[k * gates + i];
            unsigned char *group = first_row + row_size(m) * (1 + k * size / 4);
            group[k * size % 4] = (unsigned char)weight;
            if (size == 2)
                group[k * size % 4 + 1] = (unsigned char)(weight >> 8);
            sum += weight;
        }
        memcpy(first_row, &sum, sizeof sum);
    }
}

/* Pack the weights of a direction. */
static void pack_direction(const edge_lstm *m, lstm_layer *layer, int32_t d) {
    packed_weights *packed = &layer->packed[d];
    int32_t inputs = layer->inputs;
    int32_t hidden = layer->hidden;
    size_t gates = 4 * (size_t)hidden;
    size_t part = weight_size(m) * gates * (size_t)d;
    const unsigned char *w = layer->w + part * (size_t)inputs;
    const unsigned char *r = layer->r + part * (size_t)hidden;
    const unsigned char *bias = layer->b + sizeof(float) * gates * (size_t)d;
    if (m->is_int8) {
        pack_int8(m, w, inputs, hidden, packed->w);
        pack_int8(m, r, hidden, hidden, packed->r);
        packed->w_scale = layer->input_scale * load_f32(layer->w_scales, (size_t)d);
        packed->r_scale = load_f32(layer->r_scales, (size_t)d);
    } else {
        pack_fp32(m, w, inputs, hidden, packed->w);
        pack_fp32(m, r, hidden, hidden, packed->r);
    }
    for (size_t i = 0; i < gates; i++) {
        size_t offset = packed_offset(m, hidden, i, row_size(m));
        packed->bias[offset / sizeof(float)] = load_f32(bias, i);
    }
}

#endif
