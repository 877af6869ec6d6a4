/* Runs the model files of edge-lstm: C99, no allocation, and nothing of the C library but string.h.
 *
 * The file is read in place, in memory or in flash, and has to stay there. An open model never
 * changes: any number of threads may share it, each with a worker of its own. The probabilities are
 * the same bits on every machine, with every kernel, alone and side by side with other texts.
 * docs/file-format.md says what each byte of a file means.
 *
 * Compile edge_lstm.c, which includes the folder src, with -std=c99 or -ffp-contract=off, and never
 * with -ffast-math. docs/ports.md has an example. */
#ifndef EDGE_LSTM_H
#define EDGE_LSTM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edge_lstm edge_lstm;
typedef struct edge_lstm_worker edge_lstm_worker;

/* Return the i-th kernel that this machine runs, the best first, and NULL behind the last:
 * "avx512-vnni", "avx-vnni", "avx2", "sse2", "neon-dot", "neon", "wasm-simd", "plain". */
const char *edge_lstm_kernels(size_t i);

/* Return the bytes of memory, of any alignment, that the model takes. Return 0 if the file is not a
 * model that can run here: *error is then one line that says why; do not free it. Only open finds
 * out whether the file was changed.
 * kernel: a name, or NULL for the best. */
size_t edge_lstm_needs(const void *file, size_t size, const char *kernel, const char **error);

/* Check every byte of the file and get ready. Return NULL, with *error set, if the file or the
 * memory will not do. */
edge_lstm *edge_lstm_open(const void *file, size_t size, const char *kernel, void *memory,
                          size_t memory_size, const char **error);

/* Return the bytes of memory, of any alignment, that each thread takes besides the model. */
size_t edge_lstm_worker_needs(const edge_lstm *model);

/* Get a thread's memory ready. Return NULL if it is too small. */
edge_lstm_worker *edge_lstm_worker_start(const edge_lstm *model, void *memory, size_t memory_size);

/* Return the name of the kernel in use. */
const char *edge_lstm_kernel(const edge_lstm *model);

/* Return the number of labels. */
size_t edge_lstm_labels(const edge_lstm *model);

/* Return the i-th label, in UTF-8. */
const char *edge_lstm_label(const edge_lstm *model, size_t i);

/* Return the lowest probability at which a text has the i-th label, for a model that gives a text
 * several labels or none. Return 0 if each text has one label, the most probable. */
double edge_lstm_threshold(const edge_lstm *model, size_t i);

/* Return an entry of the file's metadata, such as "edge_lstm.training", of *size bytes; NULL if
 * there is none. */
const char *edge_lstm_metadata(const edge_lstm *model, const char *key, size_t *size);

/* Classify a text in UTF-8 (each wrong sequence counts as U+FFFD): write a probability for each
 * label. Return the text's status: "ok"; "empty", without words; "unknown_words", with none of the
 * vocabulary; "truncated", read only in part. A file with fields reads an object in JSON; another
 * text is its first text field. The status is "error", with probabilities of 0, if a text begins as
 * an object and is none, or no field is a text. */
const char *edge_lstm_predict(edge_lstm_worker *worker, const char *text, size_t size,
                              float *probabilities);

/* Classify many texts side by side, which is faster.
 * probabilities: [count, labels]; statuses: [count] or NULL. */
void edge_lstm_predict_many(edge_lstm_worker *worker, const char *const *texts, const size_t *sizes,
                            size_t count, float *probabilities, const char **statuses);

/* The first half of predict: turn a text into ids, which stay in the worker until its next call.
 * Return the text's status. */
const char *edge_lstm_encode(edge_lstm_worker *worker, const char *text, size_t size,
                             const int32_t **ids, size_t *count);

/* The second half: run rows of ids, [count, columns], each padded with 0.
 * probabilities: [count, labels]. Return 0 if there are no columns or more than the file's length,
 * or if the network does not have an id. */
int edge_lstm_run(edge_lstm_worker *worker, const int32_t *ids, size_t count, size_t columns,
                  float *probabilities);

/* Return how unlike the training texts this text is, from 0 (like them) to 1.5.
 * probabilities: as predict gave them. */
double edge_lstm_unfamiliarity(edge_lstm_worker *worker, const char *text, size_t size,
                               const float *probabilities);

/* Return the threshold that at most this share of familiar texts exceeds, or a number below 0 if
 * the file has none for this share. */
double edge_lstm_unfamiliar_above(const edge_lstm *model, double share);

/* Run the file's self-test. Return the number of golden rows whose ids or probabilities (to within
 * 0.001) differ. rows: the number of golden rows; worst: the largest difference. */
size_t edge_lstm_check(edge_lstm_worker *worker, size_t *rows, float *worst);

#ifdef __cplusplus
}
#endif

#endif
