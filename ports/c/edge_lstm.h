/* Runs the model files of edge-lstm: C99, the standard library, no allocation.
 *
 *     static unsigned char arena[65536];
 *     const char *error;
 *     edge_lstm *model = edge_lstm_open(file, file_size, arena, sizeof arena, &error);
 *     if (!model) puts(error);
 *     float probabilities[2];                       // edge_lstm_labels(model) of them
 *     edge_lstm_predict(model, text, strlen(text), probabilities);
 *
 * The file is read where it lies, in memory or in flash, and has to stay there. Everything else is in the arena.
 * One model serves one thread at a time. What the file means, byte by byte: docs/file-format.md.
 */
#ifndef EDGE_LSTM_H
#define EDGE_LSTM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edge_lstm edge_lstm;

typedef enum {
    EDGE_LSTM_OK,
    EDGE_LSTM_EMPTY,         /* no words */
    EDGE_LSTM_UNKNOWN_WORDS, /* words, but none of the vocabulary */
    EDGE_LSTM_TRUNCATED      /* only the end of the text was read */
} edge_lstm_status;          /* every text gets an answer all the same */

/* How large the arena must be, in bytes; one of any alignment will do. 0 where the file is no model that can be run
 * here: *error says why, in one line that is never freed. Whether the file was changed is found out by open. */
size_t edge_lstm_needs(const void *file, size_t size, const char **error);

/* Checks the file, every byte of it, and gets ready. NULL with *error set where it or the arena will not do. */
edge_lstm *edge_lstm_open(const void *file, size_t size, void *arena, size_t arena_size, const char **error);

size_t edge_lstm_labels(const edge_lstm *model);
/* The i-th label: UTF-8 that ends with a NUL. */
const char *edge_lstm_label(const edge_lstm *model, size_t i);
/* Of a model that gives several labels a text: the probability from which on a text has the i-th one; it may have none.
 * 0 where each text has one label, the most probable. */
double edge_lstm_threshold(const edge_lstm *model, size_t i);

/* Classifies a text in UTF-8 (bytes that are none count as U+FFFD) → one probability for each label. */
edge_lstm_status edge_lstm_predict(edge_lstm *model, const char *text, size_t size, float *probabilities);

/* The two halves of predict: text → ids (in the arena, until the next call), ids → probabilities. Ids are 0 to
 * what the file's network has, at least one and at most the file's length of them; others give no answer (0). */
edge_lstm_status edge_lstm_encode(edge_lstm *model, const char *text, size_t size, const int32_t **ids, size_t *count);
int edge_lstm_run(edge_lstm *model, const int32_t *ids, size_t count, float *probabilities);

/* "ok", "empty", "unknown_words" or "truncated". */
const char *edge_lstm_status_name(edge_lstm_status status);

/* Runs the file's own test: → how many of its golden rows do not give their ids and, to 0.001, probabilities here.
 * rows: how many there are; worst: the largest difference. Either may be NULL. */
size_t edge_lstm_check(edge_lstm *model, size_t *rows, float *worst);

#ifdef __cplusplus
}
#endif

#endif
