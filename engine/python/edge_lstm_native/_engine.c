/* edge_lstm_native._engine: the engine as a Python module, in CPython's stable ABI. It takes and
 * returns tuples and the bytes of float32; __init__.py has the interface for users. */
#include "texts.h"

#include "edge_lstm.h"
#include "src/decide.h"

#include <math.h>
#include <string.h>

enum { TEXTS_AT_ONCE = 1024 }; /* without the GIL */

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

/* The texts of a call, and where their answers go. */
typedef struct {
    edge_lstm_worker *worker;
    const char *const *starts; /* [count]; NULL for a null */
    const size_t *sizes;       /* [count] */
    size_t count;
    size_t labels;
    double above; /* a text with a higher score is unfamiliar; below 0 none is */
    float *rows;  /* [count, labels] */
    char *codes;  /* [count], of the statuses */
} texts_to_classify;

/* Return the status of the i-th text, which is unfamiliar if its score is above. */
static int read_status(const texts_to_classify *t, size_t i, const float *row, int status) {
    if (t->above < 0 || !can_be_unfamiliar(status))
        return status;
    double score = edge_lstm_unfamiliarity(t->worker, t->starts[i], t->sizes[i], row);
    return mark_unfamiliar(status, score, t->above);
}

/* Classify at most TEXTS_AT_ONCE of the texts; no GIL is needed. */
static void classify_some(const texts_to_classify *t, size_t first) {
    const char *statuses[TEXTS_AT_ONCE];
    size_t left = t->count - first;
    size_t count = left < TEXTS_AT_ONCE ? left : TEXTS_AT_ONCE;
    float *rows = t->rows + first * t->labels;
    edge_lstm_predict_many(t->worker, t->starts + first, t->sizes + first, count, rows, statuses);
    for (size_t k = 0; k < count; k++) {
        size_t i = first + k;
        float *row = t->rows + i * t->labels;
        int status = t->starts[i] ? status_code(statuses[k]) : TEXT_ERROR;
        t->codes[i] = (char)read_status(t, i, row, status);
        for (size_t l = 0; !t->starts[i] && l < t->labels; l++)
            row[l] = NAN;
    }
}

/* Texts, the first of them, how many, a share or None → (probabilities, a byte for each status).
 * The GIL is released, and taken now and then to see whether a signal came. */
static PyObject *model_classify(Model *self, PyObject *arguments) {
    PyObject *object;
    PyObject *share;
    Py_ssize_t first;
    Py_ssize_t count;
    if (!PyArg_ParseTuple(arguments, "O!nnO:_classify", texts_type, &object, &first, &count,
                          &share))
        return NULL;
    const Texts *texts = (const Texts *)object;
    if (first < 0 || count < 0 || first > texts->count || count > texts->count - first) {
        PyErr_SetString(PyExc_ValueError, "there are not so many texts");
        return NULL;
    }
    texts_to_classify t;
    if (!read_share(self->model, share, &t.above))
        return NULL;
    PyObject *codes = PyBytes_FromStringAndSize(NULL, count);
    if (!codes)
        return NULL;
    idle_worker *w = NULL;
    PyObject *answers = new_answers(self, (size_t)count, &w);
    if (!answers) {
        Py_DECREF(codes);
        return NULL;
    }
    t.worker = w->worker;
    t.starts = texts->starts + first;
    t.sizes = texts->sizes + first;
    t.count = (size_t)count;
    t.labels = edge_lstm_labels(self->model);
    t.rows = floats_of(answers);
    t.codes = PyBytes_AsString(codes);
    int is_stopped = 0;
    for (size_t done = 0; done < t.count && !is_stopped; done += TEXTS_AT_ONCE) {
        Py_BEGIN_ALLOW_THREADS
        classify_some(&t, done);
        Py_END_ALLOW_THREADS
        is_stopped = PyErr_CheckSignals();
    }
    give_worker(self, w);
    if (!is_stopped)
        return Py_BuildValue("NN", answers, codes);
    Py_DECREF(answers);
    Py_DECREF(codes);
    return NULL;
}

/* --- Decisions ------------------------------------------------------------------------------- */

/* What was decided on each text, columns of numbers of 4 bytes: its label, or the number of labels
 * for none; its status; and, rank by rank, its most probable labels and their probabilities. */
typedef struct {
    int32_t *label;
    int32_t *status;
    int32_t *best;      /* [top, texts] */
    float *probability; /* [top, texts] */
} decisions;

/* Return new bytes for numbers of 4 bytes, and where they are. NULL if there is not the memory. */
static PyObject *new_numbers(size_t count, void *at) {
    PyObject *numbers = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * 4));
    *(void **)at = numbers ? PyBytes_AsString(numbers) : NULL;
    return numbers;
}

/* Write down what is decided on the i-th of the texts. */
static void put_decision(const decisions *d, size_t texts, size_t i, const edge_lstm *model,
                         const float *row, size_t top, decision made) {
    size_t labels = edge_lstm_labels(model);
    size_t label = labels;
    for (size_t rank = 0; rank < top; rank++) {
        if (made.status != TEXT_ERROR)
            label = next_label(model, row, label);
        d->best[rank * texts + i] = (int32_t)label;
        d->probability[rank * texts + i] = label < labels ? row[label] : NAN;
    }
    d->label[i] = (int32_t)made.label;
    d->status[i] = made.status;
}

/* Answers of a model and the statuses of their texts. */
typedef struct {
    const float *rows; /* [texts, labels] */
    const char *codes; /* [texts] */
    size_t texts;
    size_t labels;
} answered;

/* Read them. Return whether they are of this model; an error is set if not. */
static int read_answers(const Model *self, const char *bytes, Py_ssize_t size, answered *a) {
    a->rows = (const float *)(const void *)bytes;
    a->labels = edge_lstm_labels(self->model);
    if ((size_t)size == a->texts * a->labels * sizeof(float) &&
        (uintptr_t)bytes % sizeof(float) == 0)
        return 1;
    PyErr_SetString(PyExc_ValueError, "these are no answers of this model");
    return 0;
}

/* Return whether all are probabilities, except those of missing texts. */
static int are_answers(const answered *a) {
    for (size_t i = 0; i < a->texts; i++)
        if (a->codes[i] != TEXT_ERROR && !are_probabilities(a->rows + i * a->labels, a->labels))
            return 0;
    return 1;
}

/* Answers, a byte for each status, how many of the best labels, the least probability of a label
 * → (labels, statuses, best labels, their probabilities), None if the answers are no
 * probabilities. The model gives each text one label. */
static PyObject *model_decide(Model *self, PyObject *arguments) {
    const char *bytes;
    answered a;
    Py_ssize_t size;
    Py_ssize_t count;
    Py_ssize_t top;
    float lowest;
    if (!PyArg_ParseTuple(arguments, "y#y#nf:_decide", &bytes, &size, &a.codes, &count, &top,
                          &lowest))
        return NULL;
    a.texts = (size_t)count;
    if (!read_answers(self, bytes, size, &a))
        return NULL;
    if (top < 1 || (size_t)top > a.labels) {
        PyErr_SetString(PyExc_ValueError, "the model has not so many labels");
        return NULL;
    }
    if (!are_answers(&a))
        return Py_NewRef(Py_None);
    decisions d;
    PyObject *result =
        Py_BuildValue("NNNN", new_numbers(a.texts, &d.label), new_numbers(a.texts, &d.status),
                      new_numbers(a.texts * (size_t)top, &d.best),
                      new_numbers(a.texts * (size_t)top, &d.probability));
    for (size_t i = 0; result && i < a.texts; i++) {
        const float *row = a.rows + i * a.labels;
        put_decision(&d, a.texts, i, self->model, row, (size_t)top,
                     decide(self->model, row, a.codes[i], lowest));
    }
    return result;
}

/* Append an object to a list, and give up the reference to it. Clears the list on an error. */
static void append(PyObject **list, PyObject *item) {
    if (!item || PyList_Append(*list, item) < 0)
        Py_CLEAR(*list);
    Py_XDECREF(item);
}

/* Return the label of a text, None for no text; if it may have several, a tuple of them. */
static PyObject *labels_of(const edge_lstm *model, const float *row, decision d) {
    size_t labels = edge_lstm_labels(model);
    if (d.status == TEXT_ERROR)
        return Py_NewRef(Py_None);
    if (edge_lstm_threshold(model, 0) <= 0)
        return PyUnicode_FromString(edge_lstm_label(model, d.label));
    PyObject *list = PyList_New(0);
    for (size_t i = d.label; list && i < labels; i = other_label(model, row, i))
        append(&list, PyUnicode_FromString(edge_lstm_label(model, i)));
    PyObject *found = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return found;
}

/* Answers, a byte for each status → [(label or labels, highest probability, status)], None if the
 * answers are no probabilities. */
static PyObject *model_predictions(Model *self, PyObject *arguments) {
    const char *bytes;
    answered a;
    Py_ssize_t size;
    Py_ssize_t count;
    if (!PyArg_ParseTuple(arguments, "y#y#:_predictions", &bytes, &size, &a.codes, &count))
        return NULL;
    a.texts = (size_t)count;
    if (!read_answers(self, bytes, size, &a))
        return NULL;
    if (!are_answers(&a))
        return Py_NewRef(Py_None);
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < a.texts; i++) {
        const float *row = a.rows + i * a.labels;
        decision d = decide(self->model, row, a.codes[i], 0);
        append(&list, Py_BuildValue("Nds", labels_of(self->model, row, d), (double)d.probability,
                                    STATUSES[d.status]));
    }
    return list;
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
     "Texts, the first, how many, a share or None: (float32, statuses)."},
    {"_decide", (PyCFunction)model_decide, METH_VARARGS,
     "Answers, statuses, top, threshold: columns."},
    {"_predictions", (PyCFunction)model_predictions, METH_VARARGS,
     "Answers, statuses: [(label or labels, highest probability, status)]."},
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

/* Add the names of the statuses, by their code. */
static int add_statuses(PyObject *module) {
    PyObject *names = PyList_New(0);
    for (size_t i = 0; names && i < NUM_STATUSES; i++)
        append(&names, PyUnicode_FromString(STATUSES[i]));
    if (names && PyModule_AddObject(module, "STATUSES", names) == 0)
        return 1; /* the module has the reference now */
    Py_XDECREF(names);
    return 0;
}

static int execute(PyObject *module) {
    if (!texts_add(module) || !add_statuses(module))
        return -1;
    if (PyModule_AddStringConstant(module, "__version__", EDGE_LSTM_VERSION) < 0)
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
