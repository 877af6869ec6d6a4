/* Instead of the engine's own answers, those that a text says: how it was read, how unlike the
 * training texts it is, and a probability for each label, with spaces between them. */
#include "edge_lstm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double told_score;

static inline const char *told_predict(edge_lstm_worker *worker, const char *text, size_t size,
                                       float *probabilities) {
    static char said[1000];
    (void)worker;
    snprintf(said, sizeof said, "%.*s", (int)size, text);
    char *at = said + strcspn(said, " ");
    *at++ = 0;
    for (told_score = strtod(at, &at); *at == ' '; probabilities++)
        *probabilities = (float)strtod(at, &at);
    return said;
}

static inline double told_unfamiliarity(edge_lstm_worker *worker, const char *text, size_t size,
                                        const float *probabilities) {
    (void)worker, (void)text, (void)size, (void)probabilities;
    return told_score;
}

#define edge_lstm_predict told_predict
#define edge_lstm_unfamiliarity told_unfamiliarity
