/* Compiled into the module, or the command, by -include: its faulty_at-th allocation fails, and
 * faulty_live counts those that were not given back. The objects that Python makes for it count
 * among the allocations. */
#ifdef FAULTY_MODULE
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#endif
#include <stdlib.h>

#define SHARED __attribute__((weak, visibility("default")))
SHARED int faulty_at; /* 0: no more fails */
SHARED long faulty_live;

static inline int faulty_fails(void) {
#ifndef FAULTY_MODULE
    static int was_read;
    if (!was_read)
        faulty_at = atoi(getenv("FAULTY_AT"));
    was_read = 1;
#endif
    if (faulty_at == 0)
        return 0;
    faulty_at--;
    return faulty_at == 0;
}

static inline void *faulty_realloc(void *old, size_t size) {
    void *memory = faulty_fails() ? NULL : realloc(old, size);
    faulty_live += memory && !old;
    return memory;
}

static inline void *faulty_calloc(size_t count, size_t size) {
    void *memory = faulty_fails() ? NULL : calloc(count, size);
    faulty_live += memory != NULL;
    return memory;
}

static inline void faulty_free(void *memory) {
    faulty_live -= memory != NULL;
    free(memory);
}

#define malloc(size) faulty_realloc(NULL, size)
#define realloc(old, size) faulty_realloc(old, size)
#define free(memory) faulty_free(memory)
#define PyMem_Malloc(size) faulty_realloc(NULL, size)
#define PyMem_Realloc(old, size) faulty_realloc(old, size)
#define PyMem_Calloc(count, size) faulty_calloc(count, size)
#define PyMem_Free(memory) faulty_free(memory)
#define OR_NO_MEMORY(object) (faulty_fails() ? PyErr_NoMemory() : (object))
#define PyType_GenericAlloc(type, items) OR_NO_MEMORY(PyType_GenericAlloc(type, items))
#define PyBytes_FromStringAndSize(at, size) OR_NO_MEMORY(PyBytes_FromStringAndSize(at, size))
#define PyUnicode_FromString(text) OR_NO_MEMORY(PyUnicode_FromString(text))
#define PyList_New(size) OR_NO_MEMORY(PyList_New(size))
#define PyTuple_New(size) OR_NO_MEMORY(PyTuple_New(size))
