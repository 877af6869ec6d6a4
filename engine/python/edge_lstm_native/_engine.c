/* edge_lstm_native._engine: the engine as a Python module, in CPython's stable ABI. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "edge_lstm.h"

#include <string.h>

typedef struct idle {
    struct idle *next;
    void *memory;
    edge_lstm_worker *worker;
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
    idle *w = self->workers;
    if (w) {
        self->workers = w->next;
        return w;
    }
    w = PyMem_Calloc(1, sizeof *w);
    if (w) w->memory = PyMem_Malloc(size);
    if (w && w->memory) w->worker = edge_lstm_worker_start(self->model, w->memory, size);
    if (w && w->worker) return w;
    if (w) PyMem_Free(w);
    PyErr_NoMemory();
    return NULL;
}

static void give_worker(Model *self, idle *w) { w->next = self->workers, self->workers = w; }

static PyObject *model_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"data", "kernel", NULL};
    PyObject *data;
    const char *kernel = NULL, *error = NULL, *file;
    Py_ssize_t size;
    size_t needs;
    Model *self;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "S|z:Model", names, &data, &kernel)) return NULL;
    self = (Model *)PyType_GenericAlloc(type, 0);
    if (!self) return NULL;
    self->file = Py_NewRef(data);
    file = PyBytes_AsString(data), size = PyBytes_Size(data);
    needs = edge_lstm_needs(file, (size_t)size, kernel, &error);
    if (needs && !(self->memory = PyMem_Malloc(needs))) {
        PyErr_NoMemory();
        goto failed;
    }
    if (needs) {
        Py_BEGIN_ALLOW_THREADS
        self->model = edge_lstm_open(file, (size_t)size, kernel, self->memory, needs, &error);
        Py_END_ALLOW_THREADS
    }
    if (self->model) return (PyObject *)self;
    PyErr_SetString(PyExc_ValueError, error);
failed:
    Py_DECREF(self);
    return NULL;
}

static void model_dealloc(Model *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    while (self->workers) {
        idle *w = self->workers;
        self->workers = w->next;
        PyMem_Free(w->memory), PyMem_Free(w);
    }
    PyMem_Free(self->memory);
    Py_XDECREF(self->file);
    release(self);
    Py_DECREF(type);
}

static PyObject *label_of(Model *self, size_t i) { return PyUnicode_FromString(edge_lstm_label(self->model, i)); }

/* Texts with their UTF-8. A lone surrogate, which has none, is an unknown letter. */
typedef struct {
    PyObject *kept; /* a list of str: what the pointers point into */
    Py_ssize_t count;
    const char **at;
    size_t *sizes;
} texts;

static void forget(texts *t) {
    Py_CLEAR(t->kept);
    PyMem_Free((void *)t->at), PyMem_Free(t->sizes);
}

static const char *utf8_of(texts *t, Py_ssize_t i, Py_ssize_t *size) {
    PyObject *text = PyList_GetItem(t->kept, i), *wide, *clean;
    const char *at = PyUnicode_AsUTF8AndSize(text, size);
    if (at || !PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return at;
    PyErr_Clear();
    wide = PyUnicode_AsEncodedString(text, "utf-16-le", "surrogatepass");
    clean = wide ? PyUnicode_FromEncodedObject(wide, "utf-16-le", "replace") : NULL;
    Py_XDECREF(wide);
    if (!clean || PyList_SetItem(t->kept, i, clean) < 0) return NULL; /* it takes the reference */
    return PyUnicode_AsUTF8AndSize(clean, size);
}

static int read_texts(PyObject *given, texts *t) {
    Py_ssize_t i, size;
    memset(t, 0, sizeof *t);
    if (PyUnicode_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "texts is one string; give a list of them");
        return 0;
    }
    t->kept = PySequence_List(given);
    if (!t->kept) return 0;
    t->count = PyList_Size(t->kept);
    t->at = PyMem_Calloc((size_t)t->count + 1, sizeof *t->at), t->sizes = PyMem_Calloc((size_t)t->count + 1, sizeof *t->sizes);
    if (!t->at || !t->sizes) return forget(t), PyErr_NoMemory(), 0;
    for (i = 0; i < t->count; i++) {
        PyObject *text = PyList_GetItem(t->kept, i);
        if (!PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "texts[%zd] is no string", i);
            return forget(t), 0;
        }
        t->at[i] = utf8_of(t, i, &size);
        if (!t->at[i]) return forget(t), 0;
        t->sizes[i] = (size_t)size;
    }
    return 1;
}

/* Texts → float32 [texts, labels] as bytes, and their statuses unless NULL. The GIL is released, and taken now and then. */
static PyObject *run(Model *self, const texts *t, edge_lstm_status *statuses) {
    enum { AT_A_TIME = 4096 };
    size_t labels = edge_lstm_labels(self->model), count = (size_t)t->count, done, part;
    PyObject *out;
    float *probabilities;
    idle *w;
    if (count > (size_t)PY_SSIZE_T_MAX / sizeof(float) / labels) return PyErr_NoMemory();
    out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * labels * sizeof(float)));
    if (!out) return NULL;
    probabilities = (float *)(void *)PyBytes_AsString(out); /* aligned: CPython's bytes begin at 32 */
    w = take_worker(self);
    if (!w) return Py_DECREF(out), NULL;
    for (done = 0; done < count && out; done += part) {
        part = count - done < AT_A_TIME ? count - done : AT_A_TIME;
        Py_BEGIN_ALLOW_THREADS
        edge_lstm_predict_many(w->worker, t->at + done, t->sizes + done, part, probabilities + done * labels,
                               statuses ? statuses + done : NULL);
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals()) Py_CLEAR(out);
    }
    give_worker(self, w);
    return out;
}

static PyObject *as_floats(PyObject *bytes, Py_ssize_t rows, size_t labels) { /* takes the reference */
    PyObject *view = bytes ? PyMemoryView_FromObject(bytes) : NULL, *cast = NULL;
    if (view && !rows) cast = PyObject_CallMethod(view, "cast", "s", "f");
    else if (view) cast = PyObject_CallMethod(view, "cast", "s(nn)", "f", rows, (Py_ssize_t)labels);
    Py_XDECREF(view);
    Py_XDECREF(bytes);
    return cast;
}

static PyObject *model_run(Model *self, PyObject *arguments) {
    const char *ids;
    Py_ssize_t size, columns, rows;
    size_t labels = edge_lstm_labels(self->model);
    float *probabilities;
    PyObject *out;
    idle *w;
    int ran;
    if (!PyArg_ParseTuple(arguments, "y#n:run", &ids, &size, &columns)) return NULL;
    rows = columns > 0 ? size / 4 / columns : 0;
    if (columns <= 0 || rows * columns * 4 != size || (uintptr_t)ids % sizeof(int32_t))
        return PyErr_SetString(PyExc_ValueError, "ids are no int32 [rows, columns]"), NULL;
    if ((size_t)rows > (size_t)PY_SSIZE_T_MAX / sizeof(float) / labels) return PyErr_NoMemory();
    out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)((size_t)rows * labels * sizeof(float)));
    w = out ? take_worker(self) : NULL;
    if (!w) return Py_XDECREF(out), NULL;
    probabilities = (float *)(void *)PyBytes_AsString(out);
    Py_BEGIN_ALLOW_THREADS
    ran = edge_lstm_run(w->worker, (const int32_t *)(const void *)ids, (size_t)rows, (size_t)columns, probabilities);
    Py_END_ALLOW_THREADS
    give_worker(self, w);
    if (ran) return as_floats(out, rows, labels);
    PyErr_SetString(PyExc_ValueError, "the ids are too many, or not all of the model's");
    return Py_DECREF(out), NULL;
}

static PyObject *model_probabilities(Model *self, PyObject *given) {
    PyObject *out;
    texts t;
    if (!read_texts(given, &t)) return NULL;
    out = as_floats(run(self, &t, NULL), t.count, edge_lstm_labels(self->model));
    forget(&t);
    return out;
}

static PyObject *model_classify(Model *self, PyObject *given) {
    PyObject *out = NULL, *names = NULL, *name;
    edge_lstm_status *statuses;
    Py_ssize_t n;
    texts t;
    if (!read_texts(given, &t)) return NULL;
    statuses = PyMem_Calloc((size_t)t.count + 1, sizeof *statuses);
    if (!statuses) PyErr_NoMemory();
    else out = as_floats(run(self, &t, statuses), t.count, edge_lstm_labels(self->model));
    if (out) names = PyList_New(t.count);
    for (n = 0; names && n < t.count; n++) {
        name = PyUnicode_InternFromString(edge_lstm_status_name(statuses[n]));
        if (!name || PyList_SetItem(names, n, name) < 0) Py_CLEAR(names);
    }
    PyMem_Free(statuses);
    forget(&t);
    if (names) return Py_BuildValue("NN", out, names);
    Py_XDECREF(out);
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

static PyObject *model_labels(Model *self, void *nothing) {
    Py_ssize_t n = (Py_ssize_t)edge_lstm_labels(self->model), i;
    PyObject *tuple = PyTuple_New(n), *label;
    (void)nothing;
    for (i = 0; tuple && i < n; i++) {
        label = label_of(self, (size_t)i);
        if (!label || PyTuple_SetItem(tuple, i, label) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *model_thresholds(Model *self, void *nothing) {
    Py_ssize_t n = (Py_ssize_t)edge_lstm_labels(self->model), i;
    PyObject *tuple, *number;
    (void)nothing;
    if (!(edge_lstm_threshold(self->model, 0) > 0)) return Py_NewRef(Py_None);
    tuple = PyTuple_New(n);
    for (i = 0; tuple && i < n; i++) {
        number = PyFloat_FromDouble(edge_lstm_threshold(self->model, (size_t)i));
        if (!number || PyTuple_SetItem(tuple, i, number) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *model_kernel(Model *self, void *nothing) {
    (void)nothing;
    return PyUnicode_FromString(edge_lstm_kernel(self->model));
}

static PyObject *kernels(PyObject *module, PyObject *nothing) {
    PyObject *list = PyList_New(0), *name;
    size_t i;
    (void)module, (void)nothing;
    for (i = 0; list && edge_lstm_kernels(i); i++) {
        name = PyUnicode_FromString(edge_lstm_kernels(i));
        if (!name || PyList_Append(list, name) < 0) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}

static PyMethodDef model_methods[] = {
    {"classify", (PyCFunction)model_classify, METH_O, "float32 [texts, labels], and the status of each text."},
    {"probabilities", (PyCFunction)model_probabilities, METH_O, "float32 [texts, labels]."},
    {"run", (PyCFunction)model_run, METH_VARARGS, "Ids of texts, int32 [texts, columns], columns: float32 [texts, labels]."},
    {"check", (PyCFunction)model_check, METH_NOARGS, "(wrong golden rows, golden rows, largest difference)."},
    {NULL, NULL, 0, NULL}};
static PyGetSetDef model_properties[] = {
    {"labels", (getter)model_labels, NULL, "In the order of the probabilities.", NULL},
    {"thresholds", (getter)model_thresholds, NULL, "Where a text may have several labels; else None.", NULL},
    {"kernel", (getter)model_kernel, NULL, "The kernel in use.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot model_slots[] = {{Py_tp_new, (void *)model_new},
                                    {Py_tp_dealloc, (void *)model_dealloc},
                                    {Py_tp_methods, model_methods},
                                    {Py_tp_getset, model_properties},
                                    {Py_tp_doc, "A model file, open: Model(path or bytes, kernel=None)."},
                                    {0, NULL}};
static PyType_Spec model_spec = {"edge_lstm_native._engine.Model", sizeof(Model), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, model_slots};

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
