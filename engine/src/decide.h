/* Which labels a text gets, or none, as core/decide.py decides it: the one place for what is
 * written in C. The engine itself gives probabilities, and does not include this. */
#ifndef EDGE_LSTM_DECIDE_H
#define EDGE_LSTM_DECIDE_H

#include "../edge_lstm.h"

#include <string.h>

#define MOST_PROBABLE 1.01f /* as core/model_checks.py has it */

/* The statuses of texts, in the order of core/decide.py. The engine gives the first four, and the
 * next to a text that is no row. */
enum {
    TEXT_OK,
    TEXT_EMPTY,
    TEXT_UNKNOWN_WORDS,
    TEXT_TRUNCATED,
    TEXT_ERROR, /* and that of a text that is missing */
    TEXT_ABSTAINED,
    TEXT_UNFAMILIAR,
    NUM_STATUSES
};
static const char *const STATUSES[NUM_STATUSES] = {
    "ok", "empty", "unknown_words", "truncated", "error", "abstained", "unfamiliar"};

/* Return the place in STATUSES of what the engine says of a text. */
static inline int status_code(const char *status) {
    int code = TEXT_OK;
    while (code < TEXT_ERROR && strcmp(status, STATUSES[code]) != 0)
        code++;
    return code;
}

/* Return whether a text that was read so has known words: others have no score. */
static inline int can_be_unfamiliar(int status) {
    return status == TEXT_OK || status == TEXT_TRUNCATED;
}

/* Return the status of a text by its score, edge_lstm_unfamiliarity. above: a higher score makes a
 * text with known words unfamiliar. */
static inline int mark_unfamiliar(int status, double score, double above) {
    return can_be_unfamiliar(status) && score > above ? TEXT_UNFAMILIAR : status;
}

/* Return whether all values of a text are from 0 to 1. A softmax may end a little above 1. */
static inline int are_probabilities(const float *row, size_t labels) {
    for (size_t i = 0; i < labels; i++)
        if (!(row[i] >= 0 && row[i] <= MOST_PROBABLE))
            return 0;
    return 1;
}

/* Return the most probable label behind another one, the first of equal ones, among those whose
 * probability reaches their threshold: among all, if each text has one label. Return the number of
 * labels if there is none. before: the other one; the number of labels for the first. */
static inline size_t next_label(const edge_lstm *model, const float *row, size_t before) {
    size_t labels = edge_lstm_labels(model);
    size_t best = labels;
    for (size_t i = 0; i < labels; i++) {
        int is_done = before < labels &&
                      (row[i] > row[before] || (row[i] == row[before] && i <= before));
        int is_had = (double)row[i] >= edge_lstm_threshold(model, i);
        if (!is_done && is_had && (best == labels || row[i] > row[best]))
            best = i;
    }
    return best;
}

/* What was decided on a text. */
typedef struct {
    size_t label;      /* the first of its labels; the number of labels for none */
    float probability; /* of the most probable label */
    int status;        /* its place in STATUSES */
} decision;

/* Decide on a text. status: how it was read. lowest: the probability below which it gets no label;
 * 0 for a model that gives several. */
static inline decision decide(const edge_lstm *model, const float *row, int status, float lowest) {
    size_t labels = edge_lstm_labels(model);
    decision d = {labels, row[0], status};
    for (size_t i = 1; i < labels; i++)
        if (row[i] > d.probability)
            d.probability = row[i];
    if (status == TEXT_ERROR)
        return d;
    if (d.probability < lowest)
        d.status = TEXT_ABSTAINED;
    else
        d.label = next_label(model, row, labels);
    return d;
}

/* Return the label that a text has behind another one of its own; the number of labels for none. */
static inline size_t other_label(const edge_lstm *model, const float *row, size_t label) {
    int gives_several = edge_lstm_threshold(model, 0) > 0;
    return gives_several ? next_label(model, row, label) : edge_lstm_labels(model);
}

#endif
