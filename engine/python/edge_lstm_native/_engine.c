/* edge_lstm_native._engine: the engine as a Python module, in CPython's stable ABI. It takes and
 * returns tuples and the bytes of float32; __init__.py has the interface for users. */
#include "texts.h"

#include "edge_lstm.h"

#include <math.h>
#include <string.h>

enum { TEXTS_AT_ONCE = 1024 }; /* the GIL is held between two such parts */

/* A worker that no thread uses now. */
typedef struct idle_worker {
    struct idle_worker *next;
    edge_lstm_worker *worker; /* its memory lies behind this */
} idle_worker;

typedef struct {
    PyObject_HEAD
    PyObject *file; /* bytes, which the model reads in place */
    void *memory;
    edge_lstm *model;
    idle_worker *workers;
} Model;

/* Take a worker, which no other thread uses until it is given back. The GIL is held. */
static idle_worker *take_worker(Model *self) {
    size_t size = edge_lstm_worker_needs(self->model);
    idle_worker *w = self->workers;
    if (w) {
        self->workers = w->next;
        return w;
    }
    w = PyMem_Calloc(1, sizeof *w + size);
    if (!w) {
        PyErr_NoMemory();
        return NULL;
    }
    w->worker = edge_lstm_worker_start(self->model, w + 1, size);
    return w;
}

static void give_worker(Model *self, idle_worker *w) {
    w->next = self->workers;
    self->workers = w;
}

static PyObject *model_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"data", "kernel", NULL};
    PyObject *data;
    const char *kernel = NULL;
    const char *error = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "S|z:Model", names, &data, &kernel))
        return NULL;
    Model *self = (Model *)PyType_GenericAlloc(type, 0);
    if (!self)
        return NULL;
    self->file = Py_NewRef(data);
    const char *file = PyBytes_AsString(data);
    size_t size = (size_t)PyBytes_Size(data);
    size_t needs = edge_lstm_needs(file, size, kernel, &error);
    if (needs)
        self->memory = PyMem_Malloc(needs);
    if (self->memory) {
        Py_BEGIN_ALLOW_THREADS
        self->model = edge_lstm_open(file, size, kernel, self->memory, needs, &error);
        Py_END_ALLOW_THREADS
    }
    if (self->model)
        return (PyObject *)self;
    if (error)
        PyErr_SetString(PyExc_ValueError, error);
    else
        PyErr_NoMemory();
    Py_DECREF(self);
    return NULL;
}

static void model_dealloc(Model *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    while (self->workers) {
        idle_worker *w = self->workers;
        self->workers = w->next;
        PyMem_Free(w);
    }
    PyMem_Free(self->memory);
    Py_XDECREF(self->file);
    release(self);
    Py_DECREF(type);
}

/* Take a worker, and return bytes for the probabilities of the texts. NULL if there is not the
 * memory. */
static PyObject *new_answers(Model *self, size_t texts, idle_worker **w) {
    size_t row_size = edge_lstm_labels(self->model) * sizeof(float);
    if (texts > (size_t)PY_SSIZE_T_MAX / row_size)
        return PyErr_NoMemory();
    PyObject *answers = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(texts * row_size));
    if (!answers)
        return NULL;
    *w = take_worker(self);
    if (!*w)
        Py_CLEAR(answers);
    return answers;
}

/* Return the floats of such bytes, which CPython aligns. */
static float *floats_of(PyObject *answers) {
    return (float *)(void *)PyBytes_AsString(answers);
}

/* Read the share of familiar texts that may be called unfamiliar, or None. Return whether it is one
 * of the file's. above: a text with a higher score is unfamiliar; below 0 none is. */
static int read_share(const edge_lstm *model, PyObject *share, double *above) {
    *above = -1;
    if (share == Py_None)
        return 1;
    double number = PyFloat_AsDouble(share);
    if (PyErr_Occurred())
        return 0;
    *above = edge_lstm_unfamiliar_above(model, number);
    if (*above >= 0)
        return 1;
    PyErr_SetString(PyExc_ValueError,
                    "the file has no threshold for this share; give one such as 0.05");
    return 0;
}

/* Some texts of a call, and their statuses. */
typedef struct {
    Py_ssize_t count;
    const char *starts[TEXTS_AT_ONCE];
    size_t sizes[TEXTS_AT_ONCE];
    const char *statuses[TEXTS_AT_ONCE];
} part;

/* Find the UTF-8 of the texts from this one on. Return whether all are strings. */
static int read_texts(PyObject *texts, Py_ssize_t first, part *p) {
    for (Py_ssize_t i = 0; i < p->count; i++) {
        PyObject *text = PyTuple_GetItem(texts, first + i);
        Py_ssize_t size;
        if (!text)
            return 0;
        if (!PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "texts[%zd] is no string", first + i);
            return 0;
        }
        p->starts[i] = PyUnicode_AsUTF8AndSize(text, &size);
        if (!p->starts[i])
            return 0;
        p->sizes[i] = (size_t)size;
    }
    return 1;
}

/* Classify the texts of a part; no GIL is needed. rows: [count, labels]. */
static void classify_part(edge_lstm_worker *w, part *p, double above, size_t labels, float *rows) {
    size_t count = (size_t)p->count;
    edge_lstm_predict_many(w, p->starts, p->sizes, count, rows, p->statuses);
    if (above < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        const char *status = p->statuses[i];
        if (strcmp(status, "ok") != 0 && strcmp(status, "truncated") != 0)
            continue;
        const float *row = rows + i * labels;
        double score = edge_lstm_unfamiliarity(w, p->starts[i], p->sizes[i], row);
        if (score > above)
            p->statuses[i] = "unfamiliar";
    }
}

/* Write the statuses into a list. Most texts have that of the one before. */
static int store_statuses(const part *p, PyObject *names, Py_ssize_t first) {
    PyObject *name = NULL;
    for (Py_ssize_t i = 0; i < p->count; i++) {
        int is_same = i > 0 && p->statuses[i] == p->statuses[i - 1];
        name = is_same ? Py_NewRef(name) : PyUnicode_InternFromString(p->statuses[i]);
        if (!name || PyList_SetItem(names, first + i, name) < 0)
            return 0;
    }
    return 1;
}

/* Classify all texts, part by part. Return whether no error was raised. */
static int classify_all(Model *self, PyObject *texts, double above, idle_worker *w, float *rows,
                        PyObject *names) {
    size_t labels = edge_lstm_labels(self->model);
    Py_ssize_t count = PyTuple_Size(texts);
    part p;
    for (Py_ssize_t first = 0; first < count; first += p.count) {
        Py_ssize_t left = count - first;
        p.count = left < TEXTS_AT_ONCE ? left : TEXTS_AT_ONCE;
        if (!read_texts(texts, first, &p))
            return 0;
        Py_BEGIN_ALLOW_THREADS
        classify_part(w->worker, &p, above, labels, rows + (size_t)first * labels);
        Py_END_ALLOW_THREADS
        if (!store_statuses(&p, names, first))
            return 0;
        if (PyErr_CheckSignals())
            return 0;
    }
    return 1;
}

/* Texts, and a share or None → (probabilities, statuses). The GIL is released, and taken now and
 * then. */
static PyObject *model_classify(Model *self, PyObject *arguments) {
    PyObject *texts;
    PyObject *share;
    double above;
    if (!PyArg_ParseTuple(arguments, "OO:_classify", &texts, &share))
        return NULL;
    if (!read_share(self->model, share, &above))
        return NULL;
    Py_ssize_t count = PyTuple_Size(texts);
    if (count < 0)
        return NULL;
    PyObject *names = PyList_New(count);
    if (!names)
        return NULL;
    idle_worker *w = NULL;
    PyObject *answers = new_answers(self, (size_t)count, &w);
    if (!answers) {
        Py_DECREF(names);
        return NULL;
    }
    int is_done = classify_all(self, texts, above, w, floats_of(answers), names);
    give_worker(self, w);
    if (is_done)
        return Py_BuildValue("NN", answers, names);
    Py_DECREF(answers);
    Py_DECREF(names);
    return NULL;
}

/* Append an object to a list, and give up the reference to it. Clears the list on an error. */
static void append(PyObject **list, PyObject *item) {
    if (!item || PyList_Append(*list, item) < 0)
        Py_CLEAR(*list);
    Py_XDECREF(item);
}

/* --- Texts that Python does not look into --- */

static PyTypeObject *texts_type;

/* A text's status is its place here. Behind them are the status of a null of Arrow, and that of a
 * text whose best label is not probable enough. */
static const char *const STATUSES[] = {"ok", "empty", "unknown_words", "truncated"};
enum { NUM_STATUSES = sizeof STATUSES / sizeof *STATUSES, NULL_TEXT = NUM_STATUSES, ABSTAINED };

static char status_code(const char *status) {
    char code = 0;
    while (code < NUM_STATUSES - 1 && strcmp(status, STATUSES[(size_t)code]) != 0)
        code++;
    return code;
}

/* Classify some of the texts; no GIL is needed. rows: [count, labels]; codes: [count]. */
static void classify_texts(edge_lstm_worker *w, const Texts *t, size_t first, size_t count,
                           size_t labels, float *rows, char *codes) {
    part p;
    for (size_t done = 0; done < count; done += (size_t)p.count) {
        size_t left = count - done;
        p.count = (Py_ssize_t)(left < TEXTS_AT_ONCE ? left : TEXTS_AT_ONCE);
        for (Py_ssize_t i = 0; i < p.count; i++) {
            size_t at = first + done + (size_t)i;
            p.starts[i] = t->starts[at] ? t->starts[at] : "";
            p.sizes[i] = t->sizes[at];
        }
        float *answers = rows + done * labels;
        classify_part(w, &p, -1, labels, answers);
        for (Py_ssize_t i = 0; i < p.count; i++) {
            codes[done + (size_t)i] = status_code(p.statuses[i]);
            if (t->starts[first + done + (size_t)i])
                continue;
            codes[done + (size_t)i] = NULL_TEXT;
            for (size_t l = 0; l < labels; l++)
                answers[(size_t)i * labels + l] = NAN;
        }
    }
}

/* Texts, the first of them, how many → (probabilities, a byte for each status). */
static PyObject *model_classify_texts(Model *self, PyObject *arguments) {
    PyObject *object;
    Py_ssize_t first;
    Py_ssize_t count;
    if (!PyArg_ParseTuple(arguments, "O!nn:_classify_texts", texts_type, &object, &first, &count))
        return NULL;
    const Texts *texts = (const Texts *)object;
    if (first < 0 || count < 0 || first > texts->count || count > texts->count - first) {
        PyErr_SetString(PyExc_ValueError, "there are not so many texts");
        return NULL;
    }
    PyObject *codes = PyBytes_FromStringAndSize(NULL, count);
    if (!codes)
        return NULL;
    idle_worker *w = NULL;
    PyObject *answers = new_answers(self, (size_t)count, &w);
    if (!answers) {
        Py_DECREF(codes);
        return NULL;
    }
    size_t labels = edge_lstm_labels(self->model);
    float *rows = floats_of(answers);
    char *statuses = PyBytes_AsString(codes);
    Py_BEGIN_ALLOW_THREADS
    classify_texts(w->worker, texts, (size_t)first, (size_t)count, labels, rows, statuses);
    Py_END_ALLOW_THREADS
    give_worker(self, w);
    return Py_BuildValue("NN", answers, codes);
}

/* What was decided on a text: its label, or the number of labels for none; its status; and its most
 * probable labels, with their probabilities. Each is a column. */
typedef struct {
    int32_t *label;
    int32_t *status;
    int32_t **best;
    float **probability;
} decisions;

/* Return the most probable label of a row after another one, the first of equal ones. before: the
 * other one; the number of labels if there is none. */
static size_t next_label(const float *row, size_t labels, size_t before) {
    size_t best = labels;
    for (size_t l = 0; l < labels; l++) {
        int is_done = before < labels &&
                      (row[l] > row[before] || (row[l] == row[before] && l <= before));
        if (!is_done && (best == labels || row[l] > row[best]))
            best = l;
    }
    return best;
}

/* Decide on the i-th text. */
static void decide(const decisions *d, size_t i, const float *row, size_t labels, size_t top,
                   float threshold) {
    size_t label = labels;
    for (size_t rank = 0; rank < top; rank++) {
        if (d->status[i] != NULL_TEXT)
            label = next_label(row, labels, label);
        d->best[rank][i] = (int32_t)label;
        d->probability[rank][i] = label < labels ? row[label] : NAN;
    }
    d->label[i] = d->best[0][i];
    if (d->probability[0][i] < threshold) {
        d->label[i] = (int32_t)labels;
        d->status[i] = ABSTAINED;
    }
}

/* Return a list of numbers: how many rows have each code below this one. */
static PyObject *counts_of(const int32_t *codes, size_t rows, size_t below) {
    Py_ssize_t *counts = PyMem_Calloc(below, sizeof *counts);
    PyObject *list = counts ? PyList_New(0) : PyErr_NoMemory();
    for (size_t i = 0; list && i < rows; i++)
        if ((size_t)codes[i] < below)
            counts[codes[i]]++;
    for (size_t c = 0; list && c < below; c++)
        append(&list, PyLong_FromSsize_t(counts[c]));
    PyMem_Free(counts);
    return list;
}

/* Return new bytes for a number of 4 bytes for each row, and where they are. NULL if there is not
 * the memory. */
static PyObject *new_column(size_t rows, void *at) {
    PyObject *column = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(rows * 4));
    *(void **)at = column ? PyBytes_AsString(column) : NULL;
    return column;
}

/* Return whether all are from 0 to `most`, except those of a null of Arrow. */
static int are_probabilities(const float *answers, const char *codes, size_t rows, size_t labels,
                             float most) {
    for (size_t i = 0; i < rows; i++)
        for (size_t l = 0; l < labels; l++) {
            float value = answers[i * labels + l];
            if (!(value >= 0 && value <= most) && codes[i] != NULL_TEXT)
                return 0;
        }
    return 1;
}

/* Answers, a byte for each status, how many of the best labels, the least probability of a label,
 * the highest of all → (labels, statuses, [(labels, probabilities)], labels' counts, statuses'
 * counts), None if the answers are no probabilities. */
static PyObject *model_decide(Model *self, PyObject *arguments) {
    const char *bytes;
    const char *codes;
    Py_ssize_t size;
    Py_ssize_t count;
    Py_ssize_t top;
    float threshold;
    float most;
    if (!PyArg_ParseTuple(arguments, "y#y#nff:_decide", &bytes, &size, &codes, &count, &top,
                          &threshold, &most))
        return NULL;
    size_t rows = (size_t)count;
    size_t labels = edge_lstm_labels(self->model);
    if ((size_t)size != rows * labels * sizeof(float) || top < 1 || (size_t)top > labels ||
        (uintptr_t)bytes % sizeof(float) != 0) {
        PyErr_SetString(PyExc_ValueError, "these are no answers of this model");
        return NULL;
    }
    const float *answers = (const float *)(const void *)bytes;
    if (!are_probabilities(answers, codes, rows, labels, most))
        return Py_NewRef(Py_None);
    decisions d;
    d.best = PyMem_Calloc((size_t)top, sizeof *d.best);
    d.probability = PyMem_Calloc((size_t)top, sizeof *d.probability);
    PyObject *label = new_column(rows, &d.label);
    PyObject *status = new_column(rows, &d.status);
    PyObject *ranks = PyList_New(0);
    for (size_t rank = 0; d.best && d.probability && ranks && rank < (size_t)top; rank++) {
        PyObject *best = new_column(rows, &d.best[rank]);
        PyObject *probability = new_column(rows, &d.probability[rank]);
        append(&ranks, Py_BuildValue("NN", best, probability));
    }
    PyObject *result = NULL;
    if (d.best && d.probability && label && status && ranks) {
        for (size_t i = 0; i < rows; i++) {
            d.status[i] = codes[i];
            decide(&d, i, answers + i * labels, labels, (size_t)top, threshold);
        }
        result = Py_BuildValue("OOONN", label, status, ranks, counts_of(d.label, rows, labels),
                               counts_of(d.status, rows, ABSTAINED + 1));
    } else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    Py_XDECREF(label);
    Py_XDECREF(status);
    Py_XDECREF(ranks);
    PyMem_Free(d.best);
    PyMem_Free(d.probability);
    return result;
}

/* Rows of ids, int32, and their columns → probabilities. */
static PyObject *model_run(Model *self, PyObject *arguments) {
    const char *bytes;
    Py_ssize_t size;
    Py_ssize_t columns;
    const Py_ssize_t id_size = sizeof(int32_t);
    if (!PyArg_ParseTuple(arguments, "y#n:_run", &bytes, &size, &columns))
        return NULL;
    Py_ssize_t rows = columns > 0 ? size / id_size / columns : 0;
    int is_array = columns > 0 && rows * columns * id_size == size;
    if (!is_array || (uintptr_t)bytes % sizeof(int32_t) != 0) {
        PyErr_SetString(PyExc_ValueError, "ids are no int32 [rows, columns]");
        return NULL;
    }
    idle_worker *w;
    PyObject *answers = new_answers(self, (size_t)rows, &w);
    if (!answers)
        return NULL;
    const int32_t *ids = (const int32_t *)(const void *)bytes;
    float *probabilities = floats_of(answers);
    int ran;
    Py_BEGIN_ALLOW_THREADS
    ran = edge_lstm_run(w->worker, ids, (size_t)rows, (size_t)columns, probabilities);
    Py_END_ALLOW_THREADS
    give_worker(self, w);
    if (ran)
        return answers;
    PyErr_SetString(PyExc_ValueError, "the ids are too many, or not all of the model's");
    Py_DECREF(answers);
    return NULL;
}

static PyObject *model_check(Model *self, PyObject *nothing) {
    size_t wrong;
    size_t rows;
    float worst;
    (void)nothing;
    idle_worker *w = take_worker(self);
    if (!w)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    wrong = edge_lstm_check(w->worker, &rows, &worst);
    Py_END_ALLOW_THREADS
    give_worker(self, w);
    return Py_BuildValue("nnd", (Py_ssize_t)wrong, (Py_ssize_t)rows, (double)worst);
}

/* → (the kernel in use, a list with each label and its threshold) */
static PyObject *model_describe(Model *self, PyObject *nothing) {
    const edge_lstm *model = self->model;
    PyObject *labels = PyList_New(0);
    (void)nothing;
    for (size_t i = 0; labels && i < edge_lstm_labels(model); i++) {
        const char *label = edge_lstm_label(model, i);
        append(&labels, Py_BuildValue("sd", label, edge_lstm_threshold(model, i)));
    }
    if (!labels)
        return NULL;
    return Py_BuildValue("sN", edge_lstm_kernel(model), labels);
}

static PyObject *kernels(PyObject *module, PyObject *nothing) {
    PyObject *names = PyList_New(0);
    (void)module;
    (void)nothing;
    for (size_t i = 0; names && edge_lstm_kernels(i); i++)
        append(&names, PyUnicode_FromString(edge_lstm_kernels(i)));
    return names;
}

static PyMethodDef model_methods[] = {
    {"_describe", (PyCFunction)model_describe, METH_NOARGS, "(kernel, [(label, threshold)])."},
    {"_classify", (PyCFunction)model_classify, METH_VARARGS,
     "Texts, a share or None: (float32, statuses)."},
    {"_classify_texts", (PyCFunction)model_classify_texts, METH_VARARGS,
     "Texts, the first, how many: (float32, statuses)."},
    {"_decide", (PyCFunction)model_decide, METH_VARARGS,
     "Answers, statuses, top, threshold, most: columns and counts."},
    {"_run", (PyCFunction)model_run, METH_VARARGS,
     "Ids of texts, int32 [texts, columns], columns: float32."},
    {"check", (PyCFunction)model_check, METH_NOARGS,
     "(wrong golden rows, golden rows, largest difference)."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot model_slots[] = {{Py_tp_new, (void *)model_new},
                                    {Py_tp_dealloc, (void *)model_dealloc},
                                    {Py_tp_methods, model_methods},
                                    {0, NULL}};
static PyType_Spec model_spec = {"edge_lstm_native._engine.Model", sizeof(Model), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, model_slots};

static int execute(PyObject *module) {
    texts_type = texts_add(module);
    if (!texts_type)
        return -1;
    PyObject *type = PyType_FromSpec(&model_spec);
    if (type && PyModule_AddObject(module, "Model", type) == 0)
        return 0; /* the module has the reference now */
    Py_XDECREF(type);
    return -1;
}

static PyMethodDef functions[] = {
    {"kernels", kernels, METH_NOARGS, "The kernels that this machine runs, the best first."},
    {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)execute}, {0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "edge_lstm_native._engine", NULL, 0, functions, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__engine(void) {
    return PyModuleDef_Init(&definition);
}
