/* Texts in memory that Python does not look into: a list or an Arrow array. */
#ifndef EDGE_LSTM_TEXTS_H
#define EDGE_LSTM_TEXTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct {
    PyObject_HEAD
    Py_ssize_t count;
    const char **starts; /* of each text in UTF-8; NULL for a null */
    size_t *sizes;
    PyObject *owner;           /* of the texts' bytes */
    struct ArrowArray *arrays; /* of Arrow: what was imported */
    size_t num_arrays;
} Texts;

extern PyTypeObject *texts_type;

/* Add the functions that make Texts to the module. Return 0 with an error. */
int texts_add(PyObject *module);

#endif
