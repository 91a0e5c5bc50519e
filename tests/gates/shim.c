/* Preloaded into larderd by the gates `faults`, `power` and `expiry` (LD_PRELOAD): has system calls on the files below one
 * directory fail as asked, counts them, and moves the wall clock. Compiled by the gates; no part of larder.
 *
 *   LARDERD_SHIM_DIR     files below it are meant; all others are left alone
 *   LARDERD_SHIM_STATE   a file of 16 numbers of 64 bits, shared with the gate: 0 is how many ms the wall clock is ahead,
 *                        1 to 4 are the calls so far (write, sync, truncate, open), 5 the faults so far
 *   LARDERD_SHIM_FAULT   which calls fail: kind:number:how:how often, such as write:17:EIO:once or sync:1:SKIP:on
 *
 * EIO and ENOSPC fail the call, SHORT writes the first half only, SKIP claims success and does nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE = 1, SYNC, TRUNCATE, OPEN };
enum how { NONE, FAIL_EIO, FAIL_ENOSPC, SHORT, SKIP };

static _Atomic long long own_state[16];
static _Atomic long long *state = own_state;
static const char *dir;
static size_t dir_length;
static int fault_kind, fault_how, fault_on;
static long long fault_at;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("LARDERD_SHIM_STATE");
    if (path) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
        if (fd >= 0) {
            void *shared = mmap(NULL, sizeof own_state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (shared != MAP_FAILED) state = shared;
            close(fd);
        }
    }
    dir = getenv("LARDERD_SHIM_DIR");
    dir_length = dir ? strlen(dir) : 0;
    const char *fault = getenv("LARDERD_SHIM_FAULT");
    char kind[16], how[16], often[16];
    if (fault && sscanf(fault, "%15[a-z]:%lld:%15[A-Z]:%15[a-z]", kind, &fault_at, how, often) == 4) {
        fault_kind = !strcmp(kind, "write") ? WRITE : !strcmp(kind, "sync") ? SYNC : !strcmp(kind, "truncate") ? TRUNCATE : OPEN;
        fault_how = !strcmp(how, "EIO") ? FAIL_EIO : !strcmp(how, "ENOSPC") ? FAIL_ENOSPC : !strcmp(how, "SHORT") ? SHORT : SKIP;
        fault_on = !strcmp(often, "on");
    } else if (fault) {
        fprintf(stderr, "shim: LARDERD_SHIM_FAULT is not kind:number:how:how often: %s\n", fault);
        abort();
    }
}

static int is_meant(const char *path) {
    return dir_length && !strncmp(path, dir, dir_length);
}

static int fd_is_meant(int fd) {
    char link[64], path[PATH_MAX];
    if (!dir_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_meant(path);
}

/* What is to become of a call on a file that is meant. */
static enum how fate(enum kind kind) {
    long long number = atomic_fetch_add(&state[kind], 1) + 1;
    if ((int)kind != fault_kind || number < fault_at || (number > fault_at && !fault_on)) return NONE;
    atomic_fetch_add(&state[5], 1);
    return (enum how)fault_how;
}

/* The result of a call that fails; 0 where it claims success. */
static int failed(enum how how) {
    if (how == SKIP) return 0;
    errno = how == FAIL_ENOSPC ? ENOSPC : EIO;
    return -1;
}

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })

#define WRITES(name, parameters, call_all, call_half)                                   \
    ssize_t name parameters {                                                           \
        if (!fd_is_meant(fd)) return call_all;                                          \
        enum how how = fate(WRITE);                                                     \
        if (how == NONE) return call_all;                                               \
        if (how == SHORT) return length / 2 ? call_half : 0;                            \
        return failed(how) ? -1 : (ssize_t)length;                                      \
    }

WRITES(write, (int fd, const void *bytes, size_t length), REAL(write)(fd, bytes, length), REAL(write)(fd, bytes, length / 2))
WRITES(pwrite, (int fd, const void *bytes, size_t length, off_t at), REAL(pwrite)(fd, bytes, length, at), REAL(pwrite)(fd, bytes, length / 2, at))
WRITES(pwrite64, (int fd, const void *bytes, size_t length, off64_t at), REAL(pwrite64)(fd, bytes, length, at), REAL(pwrite64)(fd, bytes, length / 2, at))

#define FAILS(name, kind, parameters, call)                                             \
    int name parameters {                                                               \
        if (!fd_is_meant(fd)) return call;                                              \
        enum how how = fate(kind);                                                      \
        return how == NONE || how == SHORT ? call : failed(how);                        \
    }

FAILS(fsync, SYNC, (int fd), REAL(fsync)(fd))
FAILS(fdatasync, SYNC, (int fd), REAL(fdatasync)(fd))
FAILS(ftruncate, TRUNCATE, (int fd, off_t length), REAL(ftruncate)(fd, length))
FAILS(ftruncate64, TRUNCATE, (int fd, off64_t length), REAL(ftruncate64)(fd, length))
FAILS(fallocate, TRUNCATE, (int fd, int mode, off_t at, off_t length), REAL(fallocate)(fd, mode, at, length))
FAILS(fallocate64, TRUNCATE, (int fd, int mode, off64_t at, off64_t length), REAL(fallocate64)(fd, mode, at, length))

#define OPENS(name, parameters, last, call)                                             \
    int name parameters {                                                               \
        va_list rest;                                                                   \
        va_start(rest, last);                                                           \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;         \
        va_end(rest);                                                                   \
        if (!is_meant(path)) return call;                                               \
        enum how how = fate(OPEN);                                                      \
        return how == FAIL_EIO || how == FAIL_ENOSPC ? failed(how) : call;              \
    }

OPENS(open, (const char *path, int flags, ...), flags, REAL(open)(path, flags, mode))
OPENS(open64, (const char *path, int flags, ...), flags, REAL(open64)(path, flags, mode))
OPENS(openat, (int at, const char *path, int flags, ...), flags, REAL(openat)(at, path, flags, mode))
OPENS(openat64, (int at, const char *path, int flags, ...), flags, REAL(openat64)(at, path, flags, mode))

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = REAL(clock_gettime)(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += atomic_load(&state[0]) / 1000;
    return result;
}
