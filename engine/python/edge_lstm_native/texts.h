/* Texts in memory that Python does not look into: a list, an Arrow array, the rows of a file. */
#ifndef EDGE_LSTM_TEXTS_H
#define EDGE_LSTM_TEXTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "arrow.h"
#include "csv.h"
#include "jsonl.h"

typedef struct {
    PyObject_HEAD
    Py_ssize_t count;
    Py_ssize_t end;      /* of rows: the bytes that were read */
    Py_ssize_t next;     /* of rows: where the one after the refused one begins */
    const char **starts; /* of each text in UTF-8; NULL for a null of Arrow */
    size_t *sizes;
    PyObject *owner; /* of the texts' bytes */
    slice *items;    /* of rows: as they are written */
    slice *values;   /* of rows: [count, num_values], the wanted parts */
    size_t num_values;
    unsigned char *memory;     /* of rows */
    struct ArrowArray *arrays; /* of Arrow: what was imported */
    size_t num_arrays;
} Texts;

extern PyTypeObject *texts_type;

/* parts, chosen or None → bytes: see lines.c. */
PyObject *texts_write(Texts *self, PyObject *arguments);

/* Add the functions that make Texts to the module. Return 0 with an error. */
int texts_add(PyObject *module);

#endif
