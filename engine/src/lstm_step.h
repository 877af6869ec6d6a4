/* The step of an LSTM, in the operations of a kernel: kernels.h includes this file for each, and
 * says what KERNEL, TARGET, MIN, FMA, DOT and so on stand for.
 *
 * NAME(step) is the function of the kernel called "step", such as avx2_step. Read it as plain C
 * first: there LANES is 1, `floats` is float, `ints` is int32_t, and BROADCAST(x) is x. A step
 * multiplies the inputs and h by their weights (tile and multiply_int8, or multiply_fp32), which
 * gives the gates; and update_cell computes c and h from them. */

#define LANES NAME(lanes)
#define BLOCKS NAME(blocks_at_once)
#define TEXTS NAME(texts_at_once)
#define INPUT_TYPE ((int)NAME(input_type))
#define floats NAME(floats)
#define ints NAME(ints)
#define shorts NAME(shorts)
#define bytes NAME(bytes)

/* A vector with x in each lane. */
#define BROADCAST(x) ((x) - (floats){0})
#define BROADCAST_INT(x) ((x) - (ints){0})

VECTOR_OF(float, floats);
VECTOR_OF(int32_t, ints);
VECTOR_OF(int16_t, shorts);
VECTOR_OF(unsigned char, bytes);

TARGET ALWAYS_INLINE floats NAME(load)(const float *at) {
    return *(const floats *)(const void *)at;
}

TARGET ALWAYS_INLINE void NAME(store)(float *at, floats value) {
    *(floats *)(void *)at = value;
}

/* Return the polynomial with n coefficients, the one of the highest power first. */
TARGET ALWAYS_INLINE floats NAME(polynomial)(floats x, const float *coefficients, const int n) {
    floats y = BROADCAST(coefficients[0]);
    UNROLL
    for (int i = 1; i < n; i++)
        y = FMA(y, x, BROADCAST(coefficients[i]));
    return y;
}

TARGET ALWAYS_INLINE floats NAME(clamp)(floats x, float low, float high) {
    return MIN(MAX(x, BROADCAST(low)), BROADCAST(high));
}

TARGET ALWAYS_INLINE floats NAME(sigmoid)(floats x) {
    x = NAME(clamp)(x, -SIGMOID_LIMIT, SIGMOID_LIMIT);
    floats numerator = NAME(polynomial)(x * x, SIGMOID_NUMERATOR, SIGMOID_NUMERATOR_TERMS) * x;
    floats denominator = NAME(polynomial)(x * x, SIGMOID_DENOMINATOR, SIGMOID_DENOMINATOR_TERMS);
    return NAME(clamp)(numerator / denominator + BROADCAST(0.5f), 0.0f, 1.0f);
}

TARGET ALWAYS_INLINE floats NAME(tanh)(floats x) {
    x = NAME(clamp)(x, -TANH_LIMIT, TANH_LIMIT);
    floats numerator = NAME(polynomial)(x * x, TANH_NUMERATOR, TANH_NUMERATOR_TERMS) * x;
    floats denominator = NAME(polynomial)(x * x, TANH_DENOMINATOR, TANH_DENOMINATOR_TERMS);
    return numerator / denominator;
}

/* Return what a gate lets through. */
TARGET ALWAYS_INLINE floats NAME(gate)(const lstm_layer *layer, floats x) {
    if (layer->hard_slope > 0)
        return NAME(clamp)(x * BROADCAST(layer->hard_slope) + BROADCAST(0.5f), 0.0f, 1.0f);
    return NAME(sigmoid)(x);
}

/* Round a vector of h to 8 bits over its range, in the kernel's type of inputs. */
TARGET ALWAYS_INLINE void NAME(quantize)(unsigned char *out, floats h, const lstm_state *s) {
    floats scaled = h / BROADCAST(s->h_scale);
    floats rounded = (scaled + BROADCAST(ROUND_TO_INTEGER)) - BROADCAST(ROUND_TO_INTEGER);
    floats q = rounded + BROADCAST((float)s->h_zero_point);
    ints n = CONVERT(NAME(clamp)(q, 0.0f, 255.0f), ints); /* a NaN becomes 0 */
    if (INPUT_TYPE == INPUTS_S16)
        *(shorts *)(void *)out = CONVERT(n - s->h_zero_point, shorts);
    else if (INPUT_TYPE == INPUTS_S8)
        *(bytes *)(void *)out = CONVERT(n - 128, bytes);
    else
        *(bytes *)(void *)out = CONVERT(n, bytes);
}

/* int8: round h, which the next step multiplies. */
TARGET ALWAYS_INLINE void NAME(round_h)(const edge_lstm *m, const lstm_layer *layer,
                                        lstm_state *s) {
    for (int32_t j = 0; j < layer->units; j += LANES)
        NAME(quantize)(s->h_q + (size_t)j * input_size(m), NAME(load)(s->h + j), s);
}

/* int8: compute the gates of a tile, which is some blocks of units for some texts, or (adds_h) add
 * to them: integer sums, which stay in registers, times their scale.
 *
 * An input stands for q - zero point. A kernel that takes 16 bits multiplies that; the others
 * multiply q, or q - 128, so their sums begin with what this leaves out: the difference times the
 * sum of the weights' column, which a block's first row has.
 *
 * w: packed weights; bytes_of_block, groups: their layout; first: the number of the first block;
 * x_zero_point: that of the layer's inputs. texts, blocks and adds_h are constants of each call, so
 * that all loops over them are unrolled. */
TARGET ALWAYS_INLINE void NAME(tile)(const unsigned char *w, size_t bytes_of_block, int32_t groups,
                                     lstm_state *const *states, int32_t first, const int texts,
                                     const int blocks, const int adds_h, int32_t x_zero_point,
                                     float scale) {
    ints sum[4 * (TEXTS > BLOCKS ? TEXTS : BLOCKS)]; /* [block and gate, text] */
    ints x[TEXTS];
    const int gates = 4 * blocks;
    const size_t bytes_of_row = 4 * 4 * LANES;
    int i;
    int t;
/* The weights of the i-th block and gate, in the row at w. */
#define WEIGHTS(i)                                                          \
    (*(const ints *)(const void *)(w + (size_t)((i) / 4) * bytes_of_block + \
                                   (size_t)((i) % 4) * 4 * LANES))

    w += (size_t)first * bytes_of_block;
    UNROLL
    for (i = 0; i < gates; i++) {
        UNROLL
        for (t = 0; t < texts; t++) {
            int32_t zero_point = adds_h ? states[t]->h_zero_point : x_zero_point;
            int32_t offset = INPUT_TYPE == INPUTS_S8 ? 128 : 0;
            if (INPUT_TYPE == INPUTS_S16)
                sum[i * texts + t] = (ints){0};
            else
                sum[i * texts + t] = WEIGHTS(i) * (offset - zero_point);
        }
    }
    w += bytes_of_row;

    for (int32_t k = 0; k < groups; k++) {
        UNROLL
        for (t = 0; t < texts; t++) {
            const unsigned char *inputs = adds_h ? states[t]->h_q : states[t]->x;
            int32_t group;
            memcpy(&group, inputs + 4 * k, sizeof group);
            x[t] = BROADCAST_INT(group);
        }
        UNROLL
        for (i = 0; i < gates; i++) {
            ints weights = WEIGHTS(i);
            UNROLL
            for (t = 0; t < texts; t++) {
                sum[i * texts + t] = DOT(sum[i * texts + t], weights, x[t]);
            }
        }
        w += bytes_of_row;
    }

    UNROLL
    for (t = 0; t < texts; t++) {
        float *out = states[t]->gates + first * 4 * LANES;
        floats scales = BROADCAST(adds_h ? states[t]->h_scale * scale : scale);
        UNROLL
        for (i = 0; i < gates; i++) {
            floats product = CONVERT(sum[i * texts + t], floats) * scales;
            NAME(store)(out, adds_h ? NAME(load)(out) + product : product);
            out += LANES;
        }
    }
#undef WEIGHTS
}

/* int8: compute the gates of the texts, or add to them. A weight that was loaded serves several
 * texts or, for the last ones, an input several blocks. */
TARGET ALWAYS_INLINE void NAME(multiply_int8)(const edge_lstm *m, const lstm_layer *layer,
                                              const unsigned char *w, lstm_state *const *states,
                                              int count, const int adds_h, float scale) {
    int32_t inputs = adds_h ? layer->hidden : layer->inputs;
    int32_t groups = num_groups(m, inputs);
    int32_t blocks = layer->units / LANES;
    int32_t zero = layer->input_zero_point;
    size_t size = block_size(m, inputs);
    int32_t first;
    for (; TEXTS > 1 && count >= TEXTS; count -= TEXTS) {
        for (first = 0; first < blocks; first++)
            NAME(tile)(w, size, groups, states, first, TEXTS, 1, adds_h, zero, scale);
        states += TEXTS;
    }
    for (; count > 0; count--) {
        for (first = 0; first + BLOCKS <= blocks; first += BLOCKS)
            NAME(tile)(w, size, groups, states, first, 1, BLOCKS, adds_h, zero, scale);
        for (; BLOCKS > 1 && first < blocks; first++)
            NAME(tile)(w, size, groups, states, first, 1, 1, adds_h, zero, scale);
        states++;
    }
}

/* fp32: compute the gates, or add to them, the sum of x[k] * w[k] in the order of k. */
TARGET ALWAYS_INLINE void NAME(multiply_fp32)(const lstm_layer *layer, const unsigned char *packed,
                                              const float *x, float *gates, const int adds_h) {
    const float *w = (const float *)(const void *)packed;
    const float *end = gates + 4 * layer->units;
    int32_t inputs = adds_h ? layer->hidden : layer->inputs;
    int i;
    for (; gates < end; gates += 4 * LANES) {
        floats sum[4] = {BROADCAST(0.0f), BROADCAST(0.0f), BROADCAST(0.0f), BROADCAST(0.0f)};
        for (int32_t k = 0; k < inputs; k++) {
            UNROLL
            for (i = 0; i < 4; i++)
                sum[i] += BROADCAST(x[k]) * NAME(load)(w + i * LANES);
            w += 4 * LANES;
        }
        UNROLL
        for (i = 0; i < 4; i++) {
            float *out = gates + i * LANES;
            NAME(store)(out, adds_h ? NAME(load)(out) + sum[i] : sum[i]);
        }
    }
}

/* Return the largest of a vector's floats. */
TARGET ALWAYS_INLINE float NAME(max_lane)(floats v) {
    float x[LANES];
    memcpy(x, &v, sizeof x);
    UNROLL
    for (int n = LANES / 2; n > 0; n /= 2) {
        UNROLL
        for (int i = 0; i < n; i++)
            x[i] = x[i] > x[i + n] ? x[i] : x[i + n];
    }
    return x[0];
}

/* Compute c and h from the gates, the sum and maximum of h, and h rounded for the next step. */
TARGET ALWAYS_INLINE void NAME(update_cell)(const edge_lstm *m, const lstm_layer *layer,
                                            const float *bias, lstm_state *s) {
    const int is_pooled = layer->gives_mean || layer->gives_max;
    const int32_t units = layer->units;
    floats low = BROADCAST(0.0f);
    floats high = BROADCAST(0.0f);
#define GATE(i) \
    (NAME(load)(s->gates + 4 * j + (i) * LANES) + NAME(load)(bias + 4 * j + (i) * LANES))
    for (int32_t j = 0; j < units; j += LANES) {
        floats input = NAME(gate)(layer, GATE(0)); /* the order of the gates is ONNX's */
        floats output = NAME(gate)(layer, GATE(1));
        floats forget = NAME(gate)(layer, GATE(2));
        floats candidate = NAME(tanh)(GATE(3));
        floats c = forget * NAME(load)(s->c + j) + input * candidate;
        floats h = output * NAME(tanh)(c);
        NAME(store)(s->c + j, c);
        NAME(store)(s->h + j, h);
        low = MIN(h, low);
        high = MAX(h, high);
        if (is_pooled) {
            NAME(store)(s->h_sum + j, NAME(load)(s->h_sum + j) + h);
            NAME(store)(s->h_max + j, MAX(h, NAME(load)(s->h_max + j)));
        }
    }
#undef GATE
    if (!m->is_int8)
        return;
    float h_low = -NAME(max_lane)(-low);
    float h_high = NAME(max_lane)(high);
    int has_fixed_range = layer->start_rows > 0;
    if (!has_fixed_range && (h_low != s->h_low || h_high != s->h_high)) {
        s->h_low = h_low;
        s->h_high = h_high;
        find_scale(h_low, h_high, &s->h_scale, &s->h_zero_point);
    }
    NAME(round_h)(m, layer, s);
}

TARGET static void NAME(step)(const edge_lstm *m, const lstm_layer *layer, int direction,
                              lstm_state *const *states, int count) {
    const packed_weights *packed = &layer->packed[direction];
    if (m->is_int8) {
        NAME(multiply_int8)(m, layer, packed->w, states, count, 0, packed->w_scale);
        NAME(multiply_int8)(m, layer, packed->r, states, count, 1, packed->r_scale);
    } else {
        for (int t = 0; t < count; t++) {
            const float *x = (const float *)(const void *)states[t]->x;
            float *gates = states[t]->gates;
            NAME(multiply_fp32)(layer, packed->w, x, gates, 0);
            NAME(multiply_fp32)(layer, packed->r, states[t]->h, gates, 1);
        }
    }
    for (int t = 0; t < count; t++)
        NAME(update_cell)(m, layer, packed->bias, states[t]);
}

#undef LANES
#undef BLOCKS
#undef TEXTS
#undef INPUT_TYPE
#undef floats
#undef ints
#undef shorts
#undef bytes
#undef BROADCAST
#undef BROADCAST_INT
#undef KERNEL
#undef TARGET
#undef DOT
