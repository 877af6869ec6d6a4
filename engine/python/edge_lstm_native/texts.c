/* Texts in memory that Python does not look into: the functions that make them of a list, of Arrow
 * or of the rows of a file, and the type's methods; lines.c has the one that writes them. */
#include "texts.h"

#include <stdlib.h>
#include <string.h>

PyTypeObject *texts_type;

static void texts_dealloc(Texts *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    for (size_t i = 0; i < self->num_arrays; i++)
        self->arrays[i].release(&self->arrays[i]);
    PyMem_Free(self->arrays);
    PyMem_Free((void *)self->starts);
    PyMem_Free(self->sizes);
    PyMem_Free(self->items);
    PyMem_Free(self->values);
    free(self->memory);
    Py_XDECREF(self->owner);
    release(self);
    Py_DECREF(type);
}

/* Make room for this many texts more. Return whether there is the memory. */
static int make_room(Texts *t, size_t more) {
    size_t count = (size_t)t->count + more;
    if (count > PY_SSIZE_T_MAX / sizeof *t->starts) {
        PyErr_NoMemory();
        return 0;
    }
    const char **starts = PyMem_Realloc((void *)t->starts, (count + 1) * sizeof *starts);
    if (starts)
        t->starts = starts;
    size_t *sizes = PyMem_Realloc(t->sizes, (count + 1) * sizeof *sizes);
    if (sizes)
        t->sizes = sizes;
    if (starts && sizes)
        return 1;
    PyErr_NoMemory();
    return 0;
}

static Texts *new_texts(void) {
    return (Texts *)PyType_GenericAlloc(texts_type, 0); /* all zero */
}

/* --- A list ---------------------------------------------------------------------------------- */

/* A tuple of str → Texts. Raises UnicodeEncodeError for surrogates. */
static PyObject *of_strings(PyObject *module, PyObject *strings) {
    (void)module;
    Py_ssize_t count = PyTuple_Size(strings);
    if (count < 0)
        return NULL;
    Texts *t = new_texts();
    if (!t || !make_room(t, (size_t)count))
        goto failed;
    t->owner = Py_NewRef(strings);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *text = PyTuple_GetItem(strings, i);
        Py_ssize_t size;
        if (!PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "texts[%zd] is no string", i);
            goto failed;
        }
        t->starts[i] = PyUnicode_AsUTF8AndSize(text, &size);
        if (!t->starts[i])
            goto failed;
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

static text_format format_of(const struct ArrowSchema *schema) {
    if (schema->dictionary)
        return NOT_TEXT;
    if (strcmp(schema->format, "u") == 0)
        return UTF8;
    if (strcmp(schema->format, "U") == 0)
        return LARGE_UTF8;
    return strcmp(schema->format, "vu") == 0 ? UTF8_VIEW : NOT_TEXT;
}

static int is_valid(const struct ArrowArray *array, size_t i) {
    const unsigned char *bits = array->buffers[0];
    return !bits || array->null_count == 0 || bits[i / 8] >> i % 8 & 1;
}

/* Find the i-th text of an array, counted from the beginning of its buffers. */
static const char *text_at(const struct ArrowArray *array, text_format format, size_t i,
                           size_t *size) {
    if (format == UTF8) {
        const int32_t *offsets = array->buffers[1];
        *size = (size_t)(offsets[i + 1] - offsets[i]);
        return (const char *)array->buffers[2] + offsets[i];
    }
    if (format == LARGE_UTF8) {
        const int64_t *offsets = array->buffers[1];
        *size = (size_t)(offsets[i + 1] - offsets[i]);
        return (const char *)array->buffers[2] + offsets[i];
    }
    const char *view = (const char *)array->buffers[1] + VIEW_BYTES * i;
    int32_t words[4]; /* size, first bytes, buffer, offset */
    memcpy(words, view, sizeof words);
    *size = (size_t)words[0];
    if (words[0] <= MAX_INLINE)
        return view + 4;
    return (const char *)array->buffers[2 + words[2]] + words[3];
}

/* Add the texts of an array, and take the array over. */
static int add_array(Texts *t, struct ArrowArray *array, text_format format) {
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

static text_format checked_format(const struct ArrowSchema *schema) {
    text_format format = format_of(schema);
    if (format == NOT_TEXT)
        PyErr_Format(PyExc_TypeError, "the Arrow type is %s, not a string", schema->format);
    return format;
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
    text_format format = checked_format(schema);
    if (format == NOT_TEXT)
        return NULL;
    Texts *t = new_texts();
    if (t && add_array(t, array, format))
        return (PyObject *)t;
    Py_XDECREF(t);
    return NULL;
}

/* Read all arrays of a stream. Return whether no error was raised. */
static int add_stream(Texts *t, struct ArrowArrayStream *stream) {
    struct ArrowSchema schema;
    if (stream->get_schema(stream, &schema) != 0) {
        PyErr_SetString(PyExc_ValueError, "the Arrow stream cannot be read");
        return 0;
    }
    text_format format = checked_format(&schema);
    schema.release(&schema);
    if (format == NOT_TEXT)
        return 0;
    for (;;) {
        struct ArrowArray array;
        if (stream->get_next(stream, &array) != 0) {
            PyErr_SetString(PyExc_ValueError, "the Arrow stream cannot be read");
            return 0;
        }
        if (!array.release)
            return 1; /* the end */
        int is_added = add_array(t, &array, format);
        if (array.release)
            array.release(&array);
        if (!is_added)
            return 0;
    }
}

/* The capsule of __arrow_c_stream__ → Texts. */
static PyObject *of_stream(PyObject *module, PyObject *capsule) {
    (void)module;
    struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (!stream)
        return NULL;
    Texts *t = new_texts();
    if (t && make_room(t, 0) && add_stream(t, stream))
        return (PyObject *)t;
    Py_XDECREF(t);
    return NULL;
}

/* --- Rows of a file -------------------------------------------------------------------------- */

enum { MAX_NAMES = 1024 };

static size_t count_lines(slice rows) {
    size_t count = 0;
    const unsigned char *newline = line_end(rows);
    while (newline) {
        count++;
        rows.at = newline + 1;
        newline = line_end(rows);
    }
    return count;
}

/* Read whole rows up to the first that the reader refuses. No GIL is needed.
 * data: the bytes in which the rows are. */
static void read_rows(Texts *t, const unsigned char *data, slice rows, const row_reader *reader) {
    unsigned char *memory = t->memory;
    const unsigned char *stop = reader->end(rows);
    while (stop) {
        slice *values = t->values + (size_t)t->count * reader->num_values;
        table_row row;
        if (!reader->read(reader->form, (slice){rows.at, stop}, &memory, &row, values))
            break;
        t->starts[t->count] = (const char *)row.text.at;
        t->sizes[t->count] = slice_length(row.text);
        t->items[t->count] = row.items;
        t->count++;
        rows.at = stop + 1;
        stop = reader->end(rows);
    }
    t->end = rows.at - data;
    t->next = (stop ? stop + 1 : rows.end) - data;
}

/* Read the rows of bytes from a place on. Return Texts, or NULL. */
static PyObject *texts_of(PyObject *data, Py_ssize_t start, const row_reader *reader) {
    Py_ssize_t size = PyBytes_Size(data);
    const unsigned char *bytes = (const unsigned char *)PyBytes_AsString(data);
    if (start < 0 || start > size) {
        PyErr_SetString(PyExc_ValueError, "no rows begin there");
        return NULL;
    }
    slice rows = {bytes + start, bytes + size};
    size_t lines = count_lines(rows);
    size_t room = reader->room * slice_length(rows) + reader->room_a_row * lines;
    Texts *t = new_texts();
    if (!t || !make_room(t, lines)) {
        Py_XDECREF(t);
        return NULL;
    }
    t->owner = Py_NewRef(data);
    t->num_values = reader->num_values;
    t->items = PyMem_Malloc((lines + 1) * sizeof *t->items);
    t->values = PyMem_Malloc((lines + 1) * (reader->num_values + 1) * sizeof *t->values);
    t->memory = malloc(room + 1);
    if (!t->items || !t->values || !t->memory) {
        Py_DECREF(t);
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    read_rows(t, bytes, rows, reader);
    Py_END_ALLOW_THREADS
    return (PyObject *)t;
}

/* Read a tuple of bytes. Return their number, or -1 with an error. */
static Py_ssize_t read_names(PyObject *tuple, slice *names) {
    Py_ssize_t count = PyTuple_Size(tuple);
    if (count > MAX_NAMES) {
        PyErr_SetString(PyExc_ValueError, "too many keys");
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GetItem(tuple, i);
        Py_ssize_t size;
        char *at;
        if (PyBytes_AsStringAndSize(name, &at, &size) < 0)
            return -1;
        names[i] = slice_of(at, (size_t)size);
    }
    return count;
}

/* bytes, where to begin, wanted keys, refused keys → Texts */
static PyObject *of_json_lines(PyObject *module, PyObject *arguments) {
    PyObject *data;
    Py_ssize_t start;
    PyObject *wanted;
    PyObject *refused;
    slice wanted_names[MAX_NAMES];
    slice refused_names[MAX_NAMES];
    (void)module;
    if (!PyArg_ParseTuple(arguments, "SnOO:json_lines", &data, &start, &wanted, &refused))
        return NULL;
    Py_ssize_t num_wanted = read_names(wanted, wanted_names);
    if (num_wanted < 0)
        return NULL;
    Py_ssize_t num_refused = read_names(refused, refused_names);
    if (num_refused < 0)
        return NULL;
    if (num_wanted == 0) {
        PyErr_SetString(PyExc_ValueError, "no key is wanted");
        return NULL;
    }
    jsonl_keys keys = {wanted_names, (size_t)num_wanted, refused_names, (size_t)num_refused};
    row_reader reader = jsonl_reader(&keys);
    return texts_of(data, start, &reader);
}

/* Find the place of each column among the wanted ones. Return 0 with an error if there is none. */
static int read_places(PyObject *wanted, int *places, Py_ssize_t columns) {
    for (Py_ssize_t i = 0; i < columns; i++)
        places[i] = -1;
    for (Py_ssize_t i = 0; i < PyTuple_Size(wanted); i++) {
        Py_ssize_t column = PyNumber_AsSsize_t(PyTuple_GetItem(wanted, i), PyExc_IndexError);
        if (column == -1 && PyErr_Occurred())
            return 0;
        if (column < 0 || column >= columns || places[column] >= 0) {
            PyErr_SetString(PyExc_ValueError, "a wanted column is not there, or wanted twice");
            return 0;
        }
        places[column] = (int)i;
    }
    return 1;
}

/* bytes, where to begin, delimiter, the number of columns, the text's, the wanted ones → Texts */
static PyObject *of_csv_rows(PyObject *module, PyObject *arguments) {
    PyObject *data;
    Py_ssize_t start;
    char delimiter;
    Py_ssize_t columns;
    Py_ssize_t text;
    PyObject *wanted;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "SncnnO!:csv_rows", &data, &start, &delimiter, &columns, &text,
                          &PyTuple_Type, &wanted))
        return NULL;
    if (text < 0 || text >= columns) {
        PyErr_SetString(PyExc_ValueError, "the text is not one of the columns");
        return NULL;
    }
    int *places = PyMem_Malloc((size_t)columns * sizeof *places);
    if (!places)
        return PyErr_NoMemory();
    csv_form form = {(unsigned char)delimiter, (size_t)columns, (size_t)text, places,
                     (size_t)PyTuple_Size(wanted)};
    row_reader reader = csv_reader(&form);
    PyObject *texts = NULL;
    if (read_places(wanted, places, columns))
        texts = texts_of(data, start, &reader);
    PyMem_Free(places);
    return texts;
}

/* bytes, where to begin → Texts */
static PyObject *of_text_lines(PyObject *module, PyObject *arguments) {
    PyObject *data;
    Py_ssize_t start;
    row_reader reader = text_reader();
    (void)module;
    if (!PyArg_ParseTuple(arguments, "Sn:text_lines", &data, &start))
        return NULL;
    return texts_of(data, start, &reader);
}

/* --- Methods --------------------------------------------------------------------------------- */

/* → int64 as bytes: the characters of each text */
static PyObject *texts_lengths(Texts *self, PyObject *nothing) {
    (void)nothing;
    PyObject *lengths = PyBytes_FromStringAndSize(NULL, self->count * (Py_ssize_t)sizeof(int64_t));
    if (!lengths)
        return NULL;
    char *out = PyBytes_AsString(lengths);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        slice text = slice_of(self->starts[i], self->sizes[i]);
        int64_t length = (int64_t)utf8_length(text);
        memcpy(out + i * (Py_ssize_t)sizeof length, &length, sizeof length);
    }
    return lengths;
}

/* a text's place → its UTF-8 */
static PyObject *texts_text(Texts *self, PyObject *place) {
    Py_ssize_t i = PyNumber_AsSsize_t(place, PyExc_IndexError);
    if (i == -1 && PyErr_Occurred())
        return NULL;
    if (i >= 0 && i < self->count && self->starts[i])
        return PyBytes_FromStringAndSize(self->starts[i], (Py_ssize_t)self->sizes[i]);
    PyErr_SetString(PyExc_IndexError, "there is no such text");
    return NULL;
}

/* the most bytes of a text → the place of the first that is longer or not UTF-8, or the number of
 * texts */
static PyObject *texts_unfit(Texts *self, PyObject *most) {
    Py_ssize_t limit = PyNumber_AsSsize_t(most, PyExc_OverflowError);
    Py_ssize_t i = 0;
    if (limit == -1 && PyErr_Occurred())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    for (; i < self->count; i++) {
        slice text = slice_of(self->starts[i], self->sizes[i]);
        if (text.at && (slice_length(text) > (size_t)limit || !is_utf8(text)))
            break;
    }
    Py_END_ALLOW_THREADS
    return PyLong_FromSsize_t(i);
}

static PyObject *texts_count(Texts *self, void *nothing) {
    (void)nothing;
    return PyLong_FromSsize_t(self->count);
}

static PyObject *texts_end(Texts *self, void *nothing) {
    (void)nothing;
    return PyLong_FromSsize_t(self->end);
}

static PyObject *texts_next(Texts *self, void *nothing) {
    (void)nothing;
    return PyLong_FromSsize_t(self->next);
}

static PyGetSetDef members[] = {
    {"count", (getter)texts_count, NULL, "The number of texts.", NULL},
    {"end", (getter)texts_end, NULL, "Of rows: the bytes that were read.", NULL},
    {"next", (getter)texts_next, NULL, "Of rows: where the one after the refused one begins.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef methods[] = {
    {"write", (PyCFunction)texts_write, METH_VARARGS, "Parts, chosen or None: lines."},
    {"text", (PyCFunction)texts_text, METH_O, "A text's place: its UTF-8."},
    {"unfit", (PyCFunction)texts_unfit, METH_O,
     "The most bytes: the place of the first text that is longer or not UTF-8."},
    {"lengths", (PyCFunction)texts_lengths, METH_NOARGS, "The characters of each text, int64."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot type_slots[] = {{Py_tp_dealloc, (void *)texts_dealloc},
                                   {Py_tp_methods, methods},
                                   {Py_tp_getset, members},
                                   {0, NULL}};
static PyType_Spec type_spec = {"edge_lstm_native._engine.Texts", sizeof(Texts), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                type_slots};
static PyMethodDef functions[] = {
    {"strings", of_strings, METH_O, "A tuple of str: Texts."},
    {"arrow_array", of_array, METH_VARARGS, "Two capsules: Texts."},
    {"arrow_stream", of_stream, METH_O, "A capsule: Texts."},
    {"json_lines", of_json_lines, METH_VARARGS, "Bytes, start, wanted keys, refused keys: Texts."},
    {"csv_rows", of_csv_rows, METH_VARARGS,
     "Bytes, start, delimiter, columns, the text's, wanted ones: Texts."},
    {"text_lines", of_text_lines, METH_VARARGS, "Bytes, start: Texts."},
    {NULL, NULL, 0, NULL}};

int texts_add(PyObject *module) {
    texts_type = (PyTypeObject *)PyType_FromSpec(&type_spec);
    return texts_type && PyModule_AddFunctions(module, functions) == 0;
}
