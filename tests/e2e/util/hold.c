/* Preloaded into larderd by tests (LD_PRELOAD): as long as the file LARDERD_HOLD is there, threads wait before they do what
 * follows, and once one waits the file LARDERD_HOLD.waits is there. Compiled by the tests; no part of larder.
 *
 * - Reading the database, as they would for a disk that does not answer; but for the event loop and the keeper.
 * - Giving a repaired database its name, so that a test can kill the daemon there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const char *held(void) {
    const char *hold = getenv("LARDERD_HOLD");
    return hold && access(hold, F_OK) == 0 ? hold : NULL;
}

static void wait_while_held(void) {
    char path[PATH_MAX];
    const char *hold = held();
    if (!hold) return;
    snprintf(path, sizeof path, "%s.waits", hold);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    while (held()) usleep(1000);
}

static void before_reading(int fd) {
    char link[64], path[PATH_MAX], name[17] = "";
    if (!held() || syscall(SYS_gettid) == getpid()) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = '\0';
    prctl(PR_GET_NAME, name);
    if (strstr(path, "/larder.db") && strcmp(name, "keeper")) wait_while_held();
}

ssize_t read(int fd, void *to, size_t length) {
    static ssize_t (*next)(int, void *, size_t);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "read");
    before_reading(fd);
    return next(fd, to, length);
}

ssize_t pread(int fd, void *to, size_t length, off_t at) {
    static ssize_t (*next)(int, void *, size_t, off_t);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "pread");
    before_reading(fd);
    return next(fd, to, length, at);
}

ssize_t pread64(int fd, void *to, size_t length, off64_t at) {
    static ssize_t (*next)(int, void *, size_t, off64_t);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "pread64");
    before_reading(fd);
    return next(fd, to, length, at);
}

int rename(const char *from, const char *to) {
    static int (*next)(const char *, const char *);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "rename");
    if (strstr(from, "/larder.db.new")) wait_while_held();
    return next(from, to);
}
