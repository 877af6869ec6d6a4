/* Lower case as Unicode and Python's str.lower() have it. */
#ifndef EDGE_LSTM_UNICODE_H
#define EDGE_LSTM_UNICODE_H

#include <stddef.h>
#include <stdint.h>

#include "unicode_tables.h"

#define CAPITAL_SIGMA 0x3A3u
#define FINAL_SIGMA 0x3C2u
/* Alone of all letters, this one has a lower case of two characters: i and the dot. */
#define CAPITAL_I_WITH_DOT 0x130u
#define COMBINING_DOT_ABOVE 0x307u

/* Return the lower case of a letter, or c if it has none or one of two characters. */
static uint32_t to_lower(uint32_t c) {
    size_t low = 0; /* the number of ranges that begin at or before c, by binary search */
    size_t high = sizeof LOWER_RANGES / sizeof *LOWER_RANGES;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (LOWER_RANGES[middle].first <= c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return c;
    struct lower_range range = LOWER_RANGES[low - 1];
    uint32_t away = c - range.first;
    if (away % range.step != 0 || away / range.step >= range.count)
        return c;
    int32_t distance = range.distance;
    return c + (uint32_t)distance;
}

static enum case_property case_property(uint32_t c) {
    size_t low = 0; /* the number of runs that begin at or before c; the first begins at 0 */
    size_t high = sizeof CASE_RUNS / sizeof *CASE_RUNS;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (CASE_RUNS[middle] / 4 <= c)
            low = middle + 1;
        else
            high = middle;
    }
    return (enum case_property)(CASE_RUNS[low - 1] % 4);
}

#endif
