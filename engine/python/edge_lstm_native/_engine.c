/* edge_lstm_native._engine: the engine as a Python module, in CPython's stable ABI. What it takes and gives, tuples and
 * the bytes of float32, __init__.py makes from and into what users have. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "edge_lstm.h"

#include <string.h>

typedef struct idle {
    struct idle *next;
    edge_lstm_worker *worker; /* its memory lies behind this */
} idle;

typedef struct {
    PyObject_HEAD
    PyObject *file; /* bytes: read where they lie */
    void *memory;
    edge_lstm *model;
    idle *workers; /* those that no thread uses now */
} Model;

/* A worker that no other thread uses until it is given back; the GIL is held. */
static idle *take_worker(Model *self) {
    size_t size = edge_lstm_worker_needs(self->model);
    idle *w = self->workers ? self->workers : PyMem_Calloc(1, sizeof *w + size);
    if (!w) return PyErr_NoMemory(), NULL;
    if (!w->worker) w->worker = edge_lstm_worker_start(self->model, w + 1, size);
    self->workers = w->next;
    return w;
}

static void give_worker(Model *self, idle *w) { w->next = self->workers, self->workers = w; }

static PyObject *model_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"data", "kernel", NULL};
    PyObject *data;
    const char *kernel = NULL, *error = NULL, *file;
    size_t needs, size;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "S|z:Model", names, &data, &kernel)) return NULL;
    Model *self = (Model *)PyType_GenericAlloc(type, 0);
    if (!self) return NULL;
    self->file = Py_NewRef(data);
    file = PyBytes_AsString(data), size = (size_t)PyBytes_Size(data);
    needs = edge_lstm_needs(file, size, kernel, &error);
    if (needs) self->memory = PyMem_Malloc(needs);
    if (self->memory) {
        Py_BEGIN_ALLOW_THREADS
        self->model = edge_lstm_open(file, size, kernel, self->memory, needs, &error);
        Py_END_ALLOW_THREADS
    }
    if (self->model) return (PyObject *)self;
    if (error) PyErr_SetString(PyExc_ValueError, error);
    else PyErr_NoMemory();
    Py_DECREF(self);
    return NULL;
}

static void model_dealloc(Model *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    for (idle *w; (w = self->workers) != NULL; PyMem_Free(w)) self->workers = w->next;
    PyMem_Free(self->memory);
    Py_XDECREF(self->file);
    release(self);
    Py_DECREF(type);
}

/* Return bytes for the probabilities of so many texts, and take a worker; NULL where there is not the memory. */
static PyObject *new_answers(Model *self, size_t texts, idle **w) {
    size_t size = edge_lstm_labels(self->model) * sizeof(float);
    if (texts > (size_t)PY_SSIZE_T_MAX / size) return PyErr_NoMemory();
    PyObject *answers = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(texts * size));
    *w = answers ? take_worker(self) : NULL;
    if (!*w) Py_CLEAR(answers);
    return answers;
}

static float *floats_of(PyObject *answers) { return (float *)(void *)PyBytes_AsString(answers); } /* CPython's begin at 32 */

/* Texts, and the share of familiar ones that may be called unfamiliar, or None → (probabilities, statuses). The GIL is
 * released, and taken now and then. */
static PyObject *model_classify(Model *self, PyObject *arguments) {
    enum { AT_A_TIME = 1024 };
    const char *starts[AT_A_TIME], *statuses[AT_A_TIME];
    size_t sizes[AT_A_TIME], labels = edge_lstm_labels(self->model);
    PyObject *texts, *share, *text, *name = NULL;
    Py_ssize_t size;
    double above = -1;
    if (!PyArg_ParseTuple(arguments, "OO:_classify", &texts, &share)) return NULL;
    if (share != Py_None) above = edge_lstm_unfamiliar_above(self->model, PyFloat_AsDouble(share));
    if (share != Py_None && above < 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "the file has no threshold for this share; give one such as 0.05");
    if (PyErr_Occurred()) return NULL;
    Py_ssize_t count = PyTuple_Size(texts), done, part, i;
    PyObject *names = count < 0 ? NULL : PyList_New(count);
    idle *w = NULL;
    PyObject *answers = names ? new_answers(self, (size_t)count, &w) : NULL;
    for (done = 0; answers && done < count; done += part) {
        part = count - done < AT_A_TIME ? count - done : AT_A_TIME;
        for (i = 0; i < part; i++) {
            text = PyTuple_GetItem(texts, done + i);
            if (text && !PyUnicode_Check(text)) PyErr_Format(PyExc_TypeError, "texts[%zd] is no string", done + i);
            starts[i] = PyErr_Occurred() ? NULL : PyUnicode_AsUTF8AndSize(text, &size);
            if (!starts[i]) break;
            sizes[i] = (size_t)size;
        }
        if (i < part) break;
        Py_BEGIN_ALLOW_THREADS
        float *rows = floats_of(answers) + (size_t)done * labels;
        edge_lstm_predict_many(w->worker, starts, sizes, (size_t)part, rows, statuses);
        for (i = 0; above >= 0 && i < part; i++)
            if ((!strcmp(statuses[i], "ok") || !strcmp(statuses[i], "truncated")) &&
                edge_lstm_unfamiliarity(w->worker, starts[i], sizes[i], rows + (size_t)i * labels) > above)
                statuses[i] = "unfamiliar";
        Py_END_ALLOW_THREADS
        for (i = 0; i < part; i++) { /* most have the status of the one before */
            int same = i && statuses[i] == statuses[i - 1];
            name = same ? Py_NewRef(name) : PyUnicode_InternFromString(statuses[i]);
            if (!name || PyList_SetItem(names, done + i, name) < 0) break;
        }
        if (i < part || PyErr_CheckSignals()) break;
    }
    if (answers) give_worker(self, w);
    if (answers && done >= count) return Py_BuildValue("NN", answers, names);
    Py_XDECREF(answers);
    Py_XDECREF(names);
    return NULL;
}

static PyObject *model_run(Model *self, PyObject *arguments) {
    const char *ids;
    Py_ssize_t size, columns, rows;
    idle *w;
    int ran;
    if (!PyArg_ParseTuple(arguments, "y#n:_run", &ids, &size, &columns)) return NULL;
    rows = columns > 0 ? size / 4 / columns : 0;
    if (columns <= 0 || rows * columns * 4 != size || (uintptr_t)ids % sizeof(int32_t))
        return PyErr_SetString(PyExc_ValueError, "ids are no int32 [rows, columns]"), NULL;
    PyObject *answers = new_answers(self, (size_t)rows, &w);
    if (!answers) return NULL;
    Py_BEGIN_ALLOW_THREADS
    ran = edge_lstm_run(w->worker, (const int32_t *)(const void *)ids, (size_t)rows, (size_t)columns, floats_of(answers));
    Py_END_ALLOW_THREADS
    give_worker(self, w);
    if (ran) return answers;
    PyErr_SetString(PyExc_ValueError, "the ids are too many, or not all of the model's");
    Py_DECREF(answers);
    return NULL;
}

static PyObject *model_check(Model *self, PyObject *nothing) {
    size_t wrong, rows;
    float worst;
    idle *w = take_worker(self);
    (void)nothing;
    if (!w) return NULL;
    Py_BEGIN_ALLOW_THREADS
    wrong = edge_lstm_check(w->worker, &rows, &worst);
    Py_END_ALLOW_THREADS
    give_worker(self, w);
    return Py_BuildValue("nnd", (Py_ssize_t)wrong, (Py_ssize_t)rows, (double)worst);
}

/* (the kernel in use, a list with each label and its threshold) */
static PyObject *model_describe(Model *self, PyObject *nothing) {
    PyObject *labels = PyList_New(0), *pair;
    (void)nothing;
    for (size_t i = 0; labels && i < edge_lstm_labels(self->model); i++) {
        pair = Py_BuildValue("sd", edge_lstm_label(self->model, i), edge_lstm_threshold(self->model, i));
        if (!pair || PyList_Append(labels, pair) < 0) Py_CLEAR(labels);
        Py_XDECREF(pair);
    }
    return labels ? Py_BuildValue("sN", edge_lstm_kernel(self->model), labels) : NULL;
}

static PyObject *kernels(PyObject *module, PyObject *nothing) {
    PyObject *list = PyList_New(0), *name;
    (void)module, (void)nothing;
    for (size_t i = 0; list && edge_lstm_kernels(i); i++) {
        name = PyUnicode_FromString(edge_lstm_kernels(i));
        if (!name || PyList_Append(list, name) < 0) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}

static PyMethodDef model_methods[] = {
    {"_describe", (PyCFunction)model_describe, METH_NOARGS, "(kernel, [(label, threshold)])."},
    {"_classify", (PyCFunction)model_classify, METH_VARARGS, "Texts, a share or None: (float32, statuses)."},
    {"_run", (PyCFunction)model_run, METH_VARARGS, "Ids of texts, int32 [texts, columns], columns: float32."},
    {"check", (PyCFunction)model_check, METH_NOARGS, "(wrong golden rows, golden rows, largest difference)."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot model_slots[] = {{Py_tp_new, (void *)model_new},
                                    {Py_tp_dealloc, (void *)model_dealloc},
                                    {Py_tp_methods, model_methods},
                                    {0, NULL}};
static PyType_Spec model_spec = {"edge_lstm_native._engine.Model", sizeof(Model), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, model_slots};

static int execute(PyObject *module) {
    PyObject *type = PyType_FromSpec(&model_spec);
    if (type && PyModule_AddObject(module, "Model", type) == 0) return 0; /* it takes the reference */
    Py_XDECREF(type);
    return -1;
}

static PyMethodDef functions[] = {{"kernels", kernels, METH_NOARGS, "Those that this machine runs, the best first."},
                                  {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)execute}, {0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "edge_lstm_native._engine", NULL, 0, functions, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__engine(void) { return PyModuleDef_Init(&definition); }
