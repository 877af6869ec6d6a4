/* Texts in memory that Python does not look into, and the functions that make them of a list or of
 * Arrow. */
#include "texts.h"

#include <stdint.h>
#include <string.h>

/* The C data interface and the C stream interface of Apache Arrow, as it specifies them. */
struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

PyTypeObject *texts_type;

static void texts_dealloc(Texts *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    for (size_t i = 0; i < self->num_arrays; i++)
        self->arrays[i].release(&self->arrays[i]);
    PyMem_Free(self->arrays);
    PyMem_Free((void *)self->starts);
    PyMem_Free(self->sizes);
    Py_XDECREF(self->owner);
    release(self);
    Py_DECREF(type);
}

/* Make room for this many texts more. Return whether there is the memory. */
static int make_room(Texts *t, size_t more) {
    size_t count = (size_t)t->count + more;
    if (count <= PY_SSIZE_T_MAX / sizeof *t->starts) {
        const char **starts = PyMem_Realloc((void *)t->starts, (count + 1) * sizeof *starts);
        if (starts)
            t->starts = starts;
        size_t *sizes = PyMem_Realloc(t->sizes, (count + 1) * sizeof *sizes);
        if (sizes)
            t->sizes = sizes;
        if (starts && sizes)
            return 1;
    }
    PyErr_NoMemory();
    return 0;
}

/* --- A list ---------------------------------------------------------------------------------- */

/* A tuple of str, or None for a null → Texts. Raises UnicodeEncodeError for surrogates. */
static PyObject *of_strings(PyObject *module, PyObject *strings) {
    (void)module;
    Py_ssize_t count = PyTuple_Size(strings);
    if (count < 0)
        return NULL;
    Texts *t = (Texts *)PyType_GenericAlloc(texts_type, 0);
    if (!t || !make_room(t, (size_t)count))
        goto failed;
    t->owner = Py_NewRef(strings);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *text = PyTuple_GetItem(strings, i);
        Py_ssize_t size = 0;
        t->starts[i] = NULL;
        if (text != Py_None && !PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "texts[%zd] is no string", i);
            goto failed;
        }
        if (text != Py_None) {
            t->starts[i] = PyUnicode_AsUTF8AndSize(text, &size);
            if (!t->starts[i])
                goto failed;
        }
        t->sizes[i] = (size_t)size;
    }
    t->count = count;
    return (PyObject *)t;
failed:
    Py_XDECREF(t);
    return NULL;
}

/* --- Arrow ----------------------------------------------------------------------------------- */

enum { VIEW_BYTES = 16, MAX_INLINE = 12 };

typedef enum { NOT_TEXT, UTF8, LARGE_UTF8, UTF8_VIEW } text_format;

/* Return the format of an array. NOT_TEXT: an error is raised. */
static text_format format_of(const struct ArrowSchema *schema) {
    static const char *const names[] = {[UTF8] = "u", [LARGE_UTF8] = "U", [UTF8_VIEW] = "vu"};
    for (text_format format = UTF8; format <= UTF8_VIEW && !schema->dictionary; format++)
        if (strcmp(schema->format, names[format]) == 0)
            return format;
    PyErr_Format(PyExc_TypeError, "the Arrow type is %s, not a string", schema->format);
    return NOT_TEXT;
}

static int is_valid(const struct ArrowArray *array, size_t i) {
    const unsigned char *bits = array->buffers[0];
    return !bits || array->null_count == 0 || bits[i / 8] >> i % 8 & 1;
}

/* Find the i-th text of an array, counted from the beginning of its buffers. */
static const char *text_at(const struct ArrowArray *array, text_format format, size_t i,
                           size_t *size) {
    if (format != UTF8_VIEW) {
        const int32_t *small = array->buffers[1];
        const int64_t *large = array->buffers[1];
        int64_t start = format == UTF8 ? small[i] : large[i];
        int64_t end = format == UTF8 ? small[i + 1] : large[i + 1];
        *size = (size_t)(end - start);
        return (const char *)array->buffers[2] + start;
    }
    const char *view = (const char *)array->buffers[1] + VIEW_BYTES * i;
    int32_t words[4]; /* size, first bytes, buffer, offset */
    memcpy(words, view, sizeof words);
    *size = (size_t)words[0];
    if (words[0] <= MAX_INLINE)
        return view + 4;
    return (const char *)array->buffers[2 + words[2]] + words[3];
}

/* Add the texts of an array, and take the array over. Return whether no error was raised. */
static int add_array(Texts *t, struct ArrowArray *array, text_format format) {
    if (format == NOT_TEXT)
        return 0;
    struct ArrowArray *arrays = PyMem_Realloc(t->arrays, (t->num_arrays + 1) * sizeof *t->arrays);
    if (!arrays) {
        PyErr_NoMemory();
        return 0;
    }
    t->arrays = arrays;
    size_t length = (size_t)array->length;
    size_t offset = (size_t)array->offset;
    if (!make_room(t, length))
        return 0;
    for (size_t i = 0; i < length; i++) {
        size_t at = (size_t)t->count + i;
        t->starts[at] = NULL;
        t->sizes[at] = 0;
        if (is_valid(array, offset + i)) {
            const char *start = text_at(array, format, offset + i, &t->sizes[at]);
            t->starts[at] = start ? start : ""; /* no text has a byte: there may be no buffer */
        }
    }
    t->count += (Py_ssize_t)length;
    arrays[t->num_arrays] = *array;
    t->num_arrays++;
    array->release = NULL; /* it is moved */
    return 1;
}

/* The two capsules of __arrow_c_array__ → Texts. */
static PyObject *of_array(PyObject *module, PyObject *arguments) {
    PyObject *schema_capsule;
    PyObject *array_capsule;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OO:arrow_array", &schema_capsule, &array_capsule))
        return NULL;
    struct ArrowSchema *schema = PyCapsule_GetPointer(schema_capsule, "arrow_schema");
    struct ArrowArray *array = PyCapsule_GetPointer(array_capsule, "arrow_array");
    if (!schema || !array)
        return NULL;
    Texts *t = (Texts *)PyType_GenericAlloc(texts_type, 0);
    if (t && add_array(t, array, format_of(schema)))
        return (PyObject *)t;
    Py_XDECREF(t);
    return NULL;
}

/* Read all arrays of a stream. Return whether no error was raised. */
static int add_stream(Texts *t, struct ArrowArrayStream *stream) {
    struct ArrowSchema schema;
    struct ArrowArray array;
    if (stream->get_schema(stream, &schema) != 0)
        goto unreadable;
    text_format format = format_of(&schema);
    schema.release(&schema);
    while (format != NOT_TEXT) {
        if (stream->get_next(stream, &array) != 0)
            goto unreadable;
        if (!array.release)
            return 1; /* the end */
        int is_added = add_array(t, &array, format);
        if (array.release)
            array.release(&array);
        if (!is_added)
            break;
    }
    return 0;
unreadable:
    PyErr_SetString(PyExc_ValueError, "the Arrow stream cannot be read");
    return 0;
}

/* The capsule of __arrow_c_stream__ → Texts. */
static PyObject *of_stream(PyObject *module, PyObject *capsule) {
    (void)module;
    struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (!stream)
        return NULL;
    Texts *t = (Texts *)PyType_GenericAlloc(texts_type, 0);
    if (t && make_room(t, 0) && add_stream(t, stream))
        return (PyObject *)t;
    Py_XDECREF(t);
    return NULL;
}

/* --- The type -------------------------------------------------------------------------------- */

static PyObject *texts_count(Texts *self, void *nothing) {
    (void)nothing;
    return PyLong_FromSsize_t(self->count);
}

static PyGetSetDef members[] = {
    {"count", (getter)texts_count, NULL, "The number of texts.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot type_slots[] = {{Py_tp_dealloc, (void *)texts_dealloc},
                                   {Py_tp_getset, members},
                                   {0, NULL}};
static PyType_Spec type_spec = {"edge_lstm_native._engine.Texts", sizeof(Texts), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                type_slots};
static PyMethodDef functions[] = {
    {"strings", of_strings, METH_O, "A tuple of str or None: Texts."},
    {"arrow_array", of_array, METH_VARARGS, "Two capsules: Texts."},
    {"arrow_stream", of_stream, METH_O, "A capsule: Texts."},
    {NULL, NULL, 0, NULL}};

int texts_add(PyObject *module) {
    texts_type = (PyTypeObject *)PyType_FromSpec(&type_spec);
    return texts_type && PyModule_AddFunctions(module, functions) == 0;
}
