/* An answer as predict --json prints it. */
#ifndef EDGE_LSTM_ANSWER_H
#define EDGE_LSTM_ANSWER_H

#include "../src/decide.h"
#include "estimate.h"

#include <stdio.h>
#include <stdlib.h>

/* Append the shortest digits that are this double, as Python writes them, in any locale. */
static void append_number(sqlite3_str *out, double number) {
    char digits[32];
    int precision = 14;
    do {
        precision++;
        snprintf(digits, sizeof digits, "%.*g", precision, number);
    } while (precision < 17 && strtod(digits, NULL) != number);
    const char *behind = digits + strspn(digits, "-0123456789");
    size_t point = strcspn(behind, "0123456789e"); /* bytes of it */
    sqlite3_str_append(out, digits, (int)(behind - digits));
    if (point > 0 || !*behind)
        sqlite3_str_appendchar(out, 1, '.');
    sqlite3_str_appendall(out, *behind ? behind + point : "0");
}

/* Append a label, which has no control character; null for none. */
static void append_label(sqlite3_str *out, const char *label) {
    if (!label) {
        sqlite3_str_appendall(out, "null");
        return;
    }
    sqlite3_str_appendchar(out, 1, '"');
    for (; *label; label++) {
        if (*label == '"' || *label == '\\')
            sqlite3_str_appendchar(out, 1, '\\');
        sqlite3_str_appendchar(out, 1, *label);
    }
    sqlite3_str_appendchar(out, 1, '"');
}

/* Append each label with its probability, or with its threshold for NULL. */
static void append_numbers(sqlite3_str *out, const edge_lstm *model, const float *probabilities) {
    for (size_t i = 0; i < edge_lstm_labels(model); i++) {
        sqlite3_str_appendall(out, i ? ", " : "{");
        append_label(out, edge_lstm_label(model, i));
        sqlite3_str_appendall(out, ": ");
        append_number(out,
                      probabilities ? (double)probabilities[i] : edge_lstm_threshold(model, i));
    }
    sqlite3_str_appendchar(out, 1, '}');
}

static void append_score(sqlite3_str *out, const edge_lstm *model, const float *probabilities) {
    static const char *const NAMES[] = {"\"score\": ", "\"low\": ", "\"high\": "};
    double score[3];
    if (probabilities)
        estimate(model, probabilities, score);
    for (int i = 0; i < 3; i++) {
        sqlite3_str_appendall(out, NAMES[i]);
        if (probabilities)
            append_number(out, score[i]);
        sqlite3_str_appendall(out, probabilities ? ", " : "null, ");
    }
}

/* Append the labels of a text that may have several. */
static void append_labels(sqlite3_str *out, const edge_lstm *model, const float *probabilities,
                          size_t label) {
    size_t labels = edge_lstm_labels(model);
    sqlite3_str_appendall(out, "\"labels\": [");
    for (const char *separator = ""; label < labels; separator = ", ") {
        sqlite3_str_appendall(out, separator);
        append_label(out, edge_lstm_label(model, label));
        label = other_label(model, probabilities, label);
    }
    sqlite3_str_appendall(out, "], ");
}

/* status: how the text was read. */
static void append_answer(sqlite3_str *out, const edge_lstm *model, const float *probabilities,
                          double lowest, const char *status) {
    size_t size;
    size_t labels = edge_lstm_labels(model);
    const char *question = edge_lstm_metadata(model, "edge_lstm.question", &size);
    int is_multi_label = edge_lstm_threshold(model, 0) > 0;
    decision d = decide(model, probabilities, status_code(status), (float)lowest);
    sqlite3_str_appendchar(out, 1, '{');
    if (is_multi_label) {
        append_labels(out, model, probabilities, d.label);
    } else {
        if (json_member_is(slice_of(question, size), "type", "\"score\""))
            append_score(out, model, d.label < labels ? probabilities : NULL);
        sqlite3_str_appendall(out, "\"label\": ");
        append_label(out, d.label < labels ? edge_lstm_label(model, d.label) : NULL);
        sqlite3_str_appendall(out, ", \"probability\": ");
        append_number(out, (double)d.probability);
        sqlite3_str_appendall(out, ", ");
    }
    sqlite3_str_appendall(out, "\"probabilities\": ");
    append_numbers(out, model, probabilities);
    if (is_multi_label) {
        sqlite3_str_appendall(out, ", \"thresholds\": ");
        append_numbers(out, model, NULL);
    }
    sqlite3_str_appendf(out, ", \"status\": \"%s\"}", STATUSES[d.status]);
}

#endif
