/* Preloaded: the n-th read, write, fsync or rename of a file in one folder fails, once, or the n-th
 * allocation of LARGE bytes or more. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char operation[16];
static char folder[4096];
static int countdown;

/* Let the at-th of these operations fail, on files whose path begins with the folder's. */
void fault_arm(const char *name, int at, const char *path) {
    snprintf(operation, sizeof operation, "%s", name);
    snprintf(folder, sizeof folder, "%s/", path);
    countdown = at;
}

/* Return whether it has failed. */
int fault_fired(void) {
    return countdown == 0;
}

static int fails(const char *name, int descriptor) {
    char link[64];
    char path[4096];
    if (countdown == 0 || strcmp(name, operation) != 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0)
        return 0;
    countdown--;
    return countdown == 0;
}

enum { LARGE = 1 << 16 }; /* arrays, tensors and tables; the interpreter's own objects are smaller */

static int has_no_room(size_t size) {
    if (countdown == 0 || size < LARGE || strcmp(operation, "allocation") != 0)
        return 0;
    countdown--;
    return countdown == 0;
}

/* The C library's own, under other names: dlsym allocates. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) {
    return has_no_room(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return has_no_room(count * size) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    return has_no_room(size) ? NULL : __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    *memory = has_no_room(size) ? NULL : __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

static int error(int number) {
    errno = number;
    return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int descriptor, void *data, size_t size) {
    return fails("read", descriptor) ? error(EIO) : REAL(read)(descriptor, data, size);
}

ssize_t write(int descriptor, const void *data, size_t size) {
    return fails("write", descriptor) ? error(ENOSPC) : REAL(write)(descriptor, data, size);
}

int fsync(int descriptor) {
    return fails("fsync", descriptor) ? error(EIO) : REAL(fsync)(descriptor);
}

int rename(const char *from, const char *to) {
    if (countdown > 0 && strcmp(operation, "rename") == 0) {
        countdown--;
        if (countdown == 0)
            return error(EIO);
    }
    return REAL(rename)(from, to);
}
