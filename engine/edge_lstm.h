/* Runs the model files of edge-lstm: C99, no allocation, of the C library memory and string functions alone.
 *
 *     const char *error;
 *     size_t size = edge_lstm_needs(file, file_size, NULL, &error);
 *     edge_lstm *model = edge_lstm_open(file, file_size, NULL, malloc(size), size, &error);
 *     if (!model) return puts(error);
 *     size = edge_lstm_worker_needs(model);
 *     edge_lstm_worker *worker = edge_lstm_worker_start(model, malloc(size), size);
 *     float probabilities[2];                       // edge_lstm_labels(model) of them
 *     edge_lstm_predict(worker, text, strlen(text), probabilities);
 *
 * The file is read where it lies, in memory or in flash, and has to stay there. A model is never written to once it is
 * open: any number of threads may share it, each with a worker of its own. The probabilities are the same bits on every
 * machine, with every kernel, alone and with other texts. What the file means, byte by byte: docs/file-format.md.
 *
 * Compile with -std=c99 or -ffp-contract=off, and never with -ffast-math. */
#ifndef EDGE_LSTM_H
#define EDGE_LSTM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edge_lstm edge_lstm;
typedef struct edge_lstm_worker edge_lstm_worker;

/* No words; words, but none of the vocabulary; only the end of the text was read. Every text gets an answer all the same. */
typedef enum { EDGE_LSTM_OK, EDGE_LSTM_EMPTY, EDGE_LSTM_UNKNOWN_WORDS, EDGE_LSTM_TRUNCATED } edge_lstm_status;
const char *edge_lstm_status_name(edge_lstm_status status); /* "ok", "empty", "unknown_words" or "truncated" */

/* The i-th kernel that this machine runs, the best first: "avx512-vnni", "avx-vnni", "avx2", "sse2", "neon-dot", "neon",
 * "wasm-simd" or "plain". NULL behind the last. */
const char *edge_lstm_kernels(size_t i);

/* How much memory the model takes, in bytes; of any alignment. 0 where the file is no model that can be run here: *error
 * says why, in one line that is never freed. Whether the file was changed is found out by open.
 * kernel: a name, or NULL for the best. */
size_t edge_lstm_needs(const void *file, size_t size, const char *kernel, const char **error);

/* Checks the file, every byte of it, and gets ready. NULL with *error set where it or the memory will not do. */
edge_lstm *edge_lstm_open(const void *file, size_t size, const char *kernel, void *memory, size_t memory_size,
                          const char **error);

/* What a thread needs beside the model. NULL where the memory is too small. */
size_t edge_lstm_worker_needs(const edge_lstm *model);
edge_lstm_worker *edge_lstm_worker_start(const edge_lstm *model, void *memory, size_t memory_size);

/* The kernel in use; how many labels there are, and the i-th one: UTF-8 that ends with a NUL. */
const char *edge_lstm_kernel(const edge_lstm *model);
size_t edge_lstm_labels(const edge_lstm *model);
const char *edge_lstm_label(const edge_lstm *model, size_t i);
/* Of a model that gives several labels a text: the probability from which on a text has the i-th one; it may have none.
 * 0 where each text has one label, the most probable. */
double edge_lstm_threshold(const edge_lstm *model, size_t i);

/* Classifies a text in UTF-8 (bytes that are none count as U+FFFD) → one probability for each label. */
edge_lstm_status edge_lstm_predict(edge_lstm_worker *worker, const char *text, size_t size, float *probabilities);

/* Many texts, some side by side, which is faster; the same bits. probabilities: [count, labels]; statuses: count of them,
 * or NULL. */
void edge_lstm_predict_many(edge_lstm_worker *worker, const char *const *texts, const size_t *sizes, size_t count,
                            float *probabilities, edge_lstm_status *statuses);

/* The two halves of predict: text → ids (in the worker, until the next call), and rows of ids, [count, columns], each filled
 * up with 0 behind its last → probabilities, [count, labels]. Ids are 0 to what the file's network has, columns at least one
 * and at most the file's length; others give no answer (0). */
edge_lstm_status edge_lstm_encode(edge_lstm_worker *worker, const char *text, size_t size, const int32_t **ids, size_t *count);
int edge_lstm_run(edge_lstm_worker *worker, const int32_t *ids, size_t count, size_t columns, float *probabilities);

/* Runs the file's own test: → how many of its golden rows do not give their ids and, to 0.001, probabilities here.
 * rows: how many there are; worst: the largest difference. Either may be NULL. */
size_t edge_lstm_check(edge_lstm_worker *worker, size_t *rows, float *worst);

#ifdef __cplusplus
}
#endif

#endif
