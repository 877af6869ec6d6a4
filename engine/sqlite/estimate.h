/* The lowest probability that a file asks for, as core/risk_coverage.py has it, and the score of
 * labels that are numbers, as core/question.py has it. */
#ifndef EDGE_LSTM_ESTIMATE_H
#define EDGE_LSTM_ESTIMATE_H

#include "../src/json.h"

#include <math.h>

#define NO_THRESHOLD 2.0 /* above any probability */
#define DOUBT 0.1        /* 1 - CONFIDENCE of core/risk_coverage.py */
#define TAIL 0.1         /* as core/question.py has it */
#define ROUNDING 1e-6    /* likewise */

/* Return whether at most this share of a model's answers is wrong, with confidence, if `wrong` of
 * `answered` were: the tail of a binomial distribution. */
static int is_shown(double share, double answered, double wrong) {
    double term = answered * log1p(-share); /* the logarithm of its next term */
    double tail = exp(term);
    if (wrong > share * answered)
        return 0;
    for (double k = 1; k <= wrong && tail <= DOUBT; k++) {
        term += log((answered - k + 1) / k * (share / (1 - share)));
        tail += exp(term);
    }
    return tail <= DOUBT;
}

/* Return the lowest probability of an answer, by a risk-coverage curve and its default: 0 if there
 * is none. */
static double lowest_probability(slice curve) {
    slice value;
    slice points;
    slice point;
    double share;
    if (!json_get(curve, "default", &value) || !json_number(value, &share))
        return 0;
    if (!json_enter_member(curve, "points", '[', &points))
        return NO_THRESHOLD;
    while (json_next_value(&points, &point) && json_enter(&point, '[')) {
        double numbers[3] = {0}; /* threshold, answered, wrong */
        for (int i = 0; i < 3 && json_next_value(&point, &value); i++)
            json_number(value, &numbers[i]);
        if (is_shown(share, numbers[1], numbers[2]))
            return numbers[0];
    }
    return NO_THRESHOLD;
}

static double level(const edge_lstm *model, size_t i) {
    const char *label = edge_lstm_label(model, i);
    slice digits = slice_of(label, strlen(label));
    double number = 0;
    accept_char(&digits, '+');
    json_number(digits, &number);
    return number;
}

/* Write the expected value of a score, and the ends of its interval. */
static void estimate(const edge_lstm *model, const float *probabilities, double *score) {
    size_t labels = edge_lstm_labels(model);
    double total = 0;
    score[0] = 0;
    score[1] = INFINITY;
    score[2] = INFINITY;
    for (size_t i = 0; i < labels; i++)
        total += (double)probabilities[i];
    for (size_t i = 0; i < labels; i++) {
        double value = level(model, i);
        double below = 0; /* the share of this level and of all lower ones */
        for (size_t k = 0; k < labels; k++)
            if (level(model, k) <= value)
                below += (double)probabilities[k] / total;
        score[0] += (double)probabilities[i] / total * value;
        if (below >= TAIL - ROUNDING && value < score[1])
            score[1] = value;
        if (below >= 1 - TAIL - ROUNDING && value < score[2])
            score[2] = value;
    }
}

#endif
