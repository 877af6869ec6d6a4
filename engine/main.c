/* edge-lstm-c MODEL [TEXT…]: answers each text, or each line of standard input, as the command
 * edge-lstm predict does.
 *
 *     --all               every label's probability behind the answer
 *     --unfamiliar SHARE  marks texts unlike those that the model learnt from, and at most this
 *                         share of the others
 *     --check             runs the file's golden rows instead
 *     --kernel NAME       takes this kernel, not the best: avx512-vnni, avx-vnni, avx2, sse2,
 *                         neon-dot, neon, plain */
#include "edge_lstm.h"
#include "src/characters.h"
#include "src/decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_FILE_BYTES = 1 << 20,
    FIRST_LINE_BYTES = 1024
}; /* room that doubles when it is full */

static const char USAGE[] =
    "usage: edge-lstm-c [--all] [--unfamiliar SHARE] [--check] [--kernel NAME] MODEL [TEXT...]\n";

typedef struct {
    int shows_all;
    int runs_check;
    const char *kernel; /* NULL: the best */
    const char *share;  /* NULL: no text is unfamiliar */
    const char *path;
    char **texts;
    int num_texts; /* 0: the lines of standard input are the texts */
} options;

typedef struct {
    const edge_lstm *model;
    edge_lstm_worker *worker;
    float *probabilities; /* [labels] */
    double above;         /* a text with a higher score is unfamiliar; below 0 none is */
    int shows_all;
} session;

/* The memory is given back when the program ends. */
static void fail(const char *subject, const char *reason) {
    fprintf(stderr, "error: %s: %s\n", subject, reason);
    exit(1);
}

static void *reallocate(void *data, size_t size) {
    data = realloc(data, size);
    if (!data)
        fail("memory", "there is not enough");
    return data;
}

static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    size_t capacity = FIRST_FILE_BYTES;
    char *data = reallocate(NULL, capacity);
    size_t got;
    if (!file)
        fail(path, "it cannot be opened; check the path");
    *size = 0;
    do {
        if (*size == capacity) {
            capacity *= 2;
            data = reallocate(data, capacity);
        }
        got = fread(data + *size, 1, capacity - *size, file);
        *size += got;
    } while (got > 0);
    if (ferror(file))
        fail(path, "it cannot be read; give the path of a model file");
    fclose(file);
    return data;
}

/* Read a line of any length without its end, into memory that the next one takes. Return NULL
 * behind the last. */
static const char *read_line(size_t *size) {
    static char *line;
    static size_t capacity;
    int c = getchar();
    *size = 0;
    if (c == EOF)
        return NULL;
    for (; c != EOF && c != '\n'; c = getchar()) {
        if (*size == capacity) {
            capacity = 2 * capacity + FIRST_LINE_BYTES;
            line = reallocate(line, capacity);
        }
        line[*size] = (char)c;
        *size += 1;
    }
    if (*size > 0 && line[*size - 1] == '\r')
        *size -= 1;
    return line ? line : "";
}

/* Return whether a character changes the direction of the text or ends its line. */
static int is_invisible(uint32_t c) {
    return c == 0x61C || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

/* Print a label. It has no control character; an invisible one is printed as an escape. */
static void print_label(const char *label) {
    slice left = slice_of(label, strlen(label));
    while (left.at < left.end) {
        const unsigned char *start = left.at;
        uint32_t c = read_utf8(&left);
        if (is_invisible(c))
            printf("\\u%04x", (unsigned)c);
        else
            fwrite(start, 1, (size_t)(left.at - start), stdout);
    }
}

/* Return the status of a text, which is unfamiliar if its score is above. */
static int read_status(const session *s, const char *text, size_t size, int status) {
    if (s->above < 0 || !can_be_unfamiliar(status))
        return status;
    double score = edge_lstm_unfamiliarity(s->worker, text, size, s->probabilities);
    return mark_unfamiliar(status, score, s->above);
}

static void answer(const session *s, const char *text, size_t size) {
    size_t labels = edge_lstm_labels(s->model);
    const char *separator = "";
    int status = status_code(edge_lstm_predict(s->worker, text, size, s->probabilities));
    if (status == TEXT_ERROR)
        fail(text, "it is not the JSON object that this model reads");
    if (!are_probabilities(s->probabilities, labels))
        fail(text, "the model gives values that are not probabilities; export it again");
    status = read_status(s, text, size, status);
    decision d = decide(s->model, s->probabilities, status, 0);
    for (size_t i = d.label; i < labels; i = other_label(s->model, s->probabilities, i)) {
        fputs(separator, stdout);
        print_label(edge_lstm_label(s->model, i));
        separator = "|";
    }
    printf("\t%.6f\t%s", (double)d.probability, STATUSES[d.status]);
    if (s->shows_all)
        for (size_t i = 0; i < labels; i++)
            printf("\t%.9g", (double)s->probabilities[i]);
    putchar('\n');
    if (fflush(stdout) != 0)
        fail("standard output", "it cannot be written");
}

/* Run the golden rows. Return whether one is wrong. */
static int check(edge_lstm_worker *worker) {
    size_t rows;
    float worst;
    size_t wrong = edge_lstm_check(worker, &rows, &worst);
    printf("%zu of %zu golden rows, largest difference %.1e\n", rows - wrong, rows, (double)worst);
    return wrong > 0;
}

/* Read the command line. Return whether it is one. */
static int read_options(options *o, int count, char **arguments) {
    int i = 1;
    memset(o, 0, sizeof *o);
    for (; i < count && strncmp(arguments[i], "--", 2) == 0; i++) {
        const char *name = arguments[i];
        int has_value = i + 1 < count;
        if (strcmp(name, "--all") == 0) {
            o->shows_all = 1;
        } else if (strcmp(name, "--check") == 0) {
            o->runs_check = 1;
        } else if (strcmp(name, "--kernel") == 0 && has_value) {
            i++;
            o->kernel = arguments[i];
        } else if (strcmp(name, "--unfamiliar") == 0 && has_value) {
            i++;
            o->share = arguments[i];
        } else {
            return 0;
        }
    }
    if (i >= count)
        return 0;
    o->path = arguments[i];
    o->texts = arguments + i + 1;
    o->num_texts = count - i - 1;
    return 1;
}

static edge_lstm *open_model(const options *o) {
    const char *error;
    edge_lstm *model = NULL;
    size_t size;
    const char *file = read_file(o->path, &size);
    size_t needs = edge_lstm_needs(file, size, o->kernel, &error);
    if (needs) {
        void *memory = reallocate(NULL, needs);
        model = edge_lstm_open(file, size, o->kernel, memory, needs, &error);
    }
    if (!model)
        fail(o->path, error);
    return model;
}

int main(int count, char **arguments) {
    options o;
    if (!read_options(&o, count, arguments)) {
        fputs(USAGE, stderr);
        return 2;
    }
    session s = {.model = open_model(&o), .above = -1, .shows_all = o.shows_all};
    if (o.share) {
        s.above = edge_lstm_unfamiliar_above(s.model, atof(o.share));
        if (s.above < 0)
            fail(o.path, "it has no threshold for this share; give one such as 0.05, or export it "
                         "with more texts");
    }
    size_t worker_size = edge_lstm_worker_needs(s.model);
    void *worker_memory = reallocate(NULL, worker_size);
    s.worker = edge_lstm_worker_start(s.model, worker_memory, worker_size);
    if (o.runs_check)
        return check(s.worker);

    size_t row_size = edge_lstm_labels(s.model) * sizeof(float);
    s.probabilities = reallocate(NULL, row_size);
    for (int i = 0; i < o.num_texts; i++)
        answer(&s, o.texts[i], strlen(o.texts[i]));
    if (o.num_texts == 0) {
        size_t size;
        const char *line = read_line(&size);
        for (; line; line = read_line(&size))
            answer(&s, line, size);
    }
    return 0;
}
