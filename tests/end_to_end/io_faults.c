/* Preloaded: the n-th read, write, fsync or rename of a file in one folder fails, once. */
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
