/* Lines of rows with their answers, as edge-lstm writes them: Texts.write. */
#include "texts.h"

enum { ITEMS = -1 };
enum { WHOLE_BYTES = 20 }; /* the most of a whole number */

/* A part of each line: the same bytes; the row's own items, or the value of a wanted key; one of a
 * table of bytes, by its number; a float; a whole number. */
typedef enum { SAME, OWN, CODED, FLOAT, WHOLE } part_kind;

typedef struct {
    part_kind kind;
    slice bytes;        /* SAME */
    Py_ssize_t place;   /* OWN: ITEMS or the number of a key */
    slice *table;       /* CODED */
    const char *column; /* of CODED (int32), FLOAT (float32) and WHOLE (int64) */
    size_t most;        /* bytes of one */
} line_part;

static int wrong_part(void) {
    PyErr_SetString(PyExc_ValueError, "a part of the lines is not as it must be");
    return 0;
}

/* Read (codes, table): int32 as bytes, a tuple of bytes. */
static int read_coded(PyObject *pair, size_t rows, line_part *part) {
    const char *codes;
    Py_ssize_t size;
    PyObject *table;
    if (!PyArg_ParseTuple(pair, "y#O!", &codes, &size, &PyTuple_Type, &table))
        return 0;
    size_t entries = (size_t)PyTuple_Size(table);
    if ((size_t)size != rows * sizeof(int32_t))
        return wrong_part();
    part->table = PyMem_Malloc((entries + 1) * sizeof *part->table);
    if (!part->table) {
        PyErr_NoMemory();
        return 0;
    }
    for (size_t i = 0; i < entries; i++) {
        char *at;
        Py_ssize_t length;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(table, (Py_ssize_t)i), &at, &length) < 0)
            return 0;
        part->table[i] = slice_of(at, (size_t)length);
        if ((size_t)length > part->most)
            part->most = (size_t)length;
    }
    for (size_t i = 0; i < rows; i++) {
        int32_t code;
        memcpy(&code, codes + i * sizeof code, sizeof code);
        if (code < 0 || (size_t)code >= entries)
            return wrong_part();
    }
    part->kind = CODED;
    part->column = codes;
    return 1;
}

/* Read ("f" or "q", bytes): float32 or int64. */
static int read_numbers(PyObject *pair, size_t rows, line_part *part) {
    const char *type;
    const char *column;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(pair, "sy#", &type, &column, &size))
        return 0;
    part->kind = type[0] == 'f' ? FLOAT : WHOLE;
    part->column = column;
    part->most = part->kind == FLOAT ? FLOAT_BYTES : WHOLE_BYTES;
    size_t item = part->kind == FLOAT ? sizeof(float) : sizeof(int64_t);
    return (size_t)size == rows * item ? 1 : wrong_part();
}

static int read_part(const Texts *t, PyObject *value, line_part *part) {
    if (PyBytes_Check(value)) {
        part->kind = SAME;
        part->most = (size_t)PyBytes_Size(value);
        part->bytes = slice_of(PyBytes_AsString(value), part->most);
        return 1;
    }
    if (PyLong_Check(value)) {
        part->kind = OWN;
        part->place = PyLong_AsSsize_t(value);
        if (part->place < ITEMS || part->place >= (Py_ssize_t)t->num_values)
            return wrong_part();
        return 1;
    }
    if (!PyTuple_Check(value) || PyTuple_Size(value) != 2)
        return wrong_part();
    if (PyBytes_Check(PyTuple_GetItem(value, 0)))
        return read_coded(value, (size_t)t->count, part);
    return read_numbers(value, (size_t)t->count, part);
}

static slice own_of(const Texts *t, const line_part *part, size_t row) {
    if (part->place == ITEMS)
        return t->items[row];
    slice value = t->values[row * t->num_values + (size_t)part->place];
    return value.at ? value : slice_of("null", 4);
}

/* Write a whole number; 0 for one below. */
static unsigned char *put_whole(int64_t number, unsigned char *out) {
    unsigned char digits[WHOLE_BYTES];
    unsigned char *end = digits + sizeof digits;
    unsigned char *at = end;
    uint64_t left = number < 0 ? 0 : (uint64_t)number;
    do {
        at--;
        *at = (unsigned char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    return put_slice((slice){at, end}, out);
}

/* Write a part of a row. Return the end, or NULL for a float that jsonl.h does not write. */
static unsigned char *put_part(const Texts *t, const line_part *part, size_t row,
                               unsigned char *out) {
    int32_t code;
    int64_t number;
    float value;
    size_t size;
    switch (part->kind) {
    case SAME:
        return put_slice(part->bytes, out);
    case OWN:
        return put_slice(own_of(t, part, row), out);
    case CODED:
        memcpy(&code, part->column + row * sizeof code, sizeof code);
        return put_slice(part->table[code], out);
    case WHOLE:
        memcpy(&number, part->column + row * sizeof number, sizeof number);
        return put_whole(number, out);
    default:
        memcpy(&value, part->column + row * sizeof value, sizeof value);
        size = write_float(value, out);
        return size > 0 ? out + size : NULL;
    }
}

/* Return the most bytes that the parts of all rows take. */
static size_t room_for(const Texts *t, const line_part *parts, size_t count) {
    size_t room = 0;
    size_t rows = (size_t)t->count;
    for (size_t p = 0; p < count; p++) {
        if (parts[p].kind != OWN) {
            room += rows * parts[p].most;
            continue;
        }
        for (size_t i = 0; i < rows; i++)
            room += slice_length(own_of(t, &parts[p], i));
    }
    return room;
}

/* Write the rows that are chosen (a byte for each row; NULL: all). Return the end, or NULL. */
static unsigned char *put_rows(const Texts *t, const line_part *parts, size_t count,
                               const char *chosen, unsigned char *out) {
    for (size_t i = 0; i < (size_t)t->count; i++) {
        if (chosen && !chosen[i])
            continue;
        for (size_t p = 0; p < count; p++) {
            out = put_part(t, &parts[p], i, out);
            if (!out)
                return NULL;
        }
    }
    return out;
}

/* Read the parts, and write all lines. */
static PyObject *written(const Texts *t, PyObject *values, line_part *parts, const char *chosen) {
    size_t count = (size_t)PyTuple_Size(values);
    for (size_t p = 0; p < count; p++)
        if (!read_part(t, PyTuple_GetItem(values, (Py_ssize_t)p), &parts[p]))
            return NULL;
    /* Copied into an object of its length: the stable interface cannot shorten one. */
    unsigned char *lines = PyMem_Malloc(room_for(t, parts, count));
    if (!lines)
        return PyErr_NoMemory();
    unsigned char *end;
    Py_BEGIN_ALLOW_THREADS
    end = put_rows(t, parts, count, chosen, lines);
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (end)
        result = PyBytes_FromStringAndSize((char *)lines, end - lines);
    else
        PyErr_SetString(PyExc_ValueError, "a float is not from 1e-8 to 1");
    PyMem_Free(lines);
    return result;
}

/* parts, chosen or None → bytes */
PyObject *texts_write(Texts *self, PyObject *arguments) {
    PyObject *values;
    const char *chosen;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(arguments, "O!z#:write", &PyTuple_Type, &values, &chosen, &size))
        return NULL;
    if (!self->items || (chosen && size != self->count)) {
        wrong_part();
        return NULL;
    }
    size_t count = (size_t)PyTuple_Size(values);
    line_part *parts = PyMem_Calloc(count + 1, sizeof *parts);
    if (!parts)
        return PyErr_NoMemory();
    PyObject *result = written(self, values, parts, chosen);
    for (size_t p = 0; p < count; p++)
        PyMem_Free(parts[p].table);
    PyMem_Free(parts);
    return result;
}
