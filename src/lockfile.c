/* Owns the lock files of a task. Any thread; a struct lockfile belongs to one at a time. */
#include "lockfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "atomicfile.h"
#include "clock.h"
#include "fd.h"
#include "ids.h"

/* What our files hold: this and a UUID. The original's hold a bare UUID. */
#define MARKER "corch:"
#define MARKER_LEN (sizeof MARKER - 1)

#define LOCK_NAP_MIN_NS INT64_C(1000000)
#define LOCK_NAP_MAX_NS INT64_C(50000000)

/* Whether `path` is still the file behind `fd`, not removed or replaced since it was opened. */
static bool still_at(const char *path, int fd)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

static int flock_retry(int fd, int how)
{
    int result;
    do
        result = flock(fd, how);
    while (result < 0 && errno == EINTR);
    return result;
}

static int write_token(int fd)
{
    char token[MARKER_LEN + ID_UUID_LEN + 1] = MARKER;
    id_uuid(token + MARKER_LEN);
    return write_all(fd, token, sizeof token - 1);
}

/* A file without a name in the folder of `path`. */
static int open_nameless(const char *path)
{
    char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    int fd = -1;
    if (slash) {
        *(slash == folder ? slash + 1 : slash) = '\0';
        fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    }
    free(folder);
    return fd;
}

/* A file that gets its name when all is in it: whoever is killed meanwhile leaves nothing, above all no
 * empty file, which could be the original's. Results as try_create; -1: not on this file system. */
static int try_link(struct lockfile *l)
{
    char self[32];
    int fd = open_nameless(l->path), result = -1;
    if (fd < 0)
        return -1;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (flock_retry(fd, LOCK_EX) == 0 && write_token(fd) == 0) {
        if (linkat(AT_FDCWD, self, AT_FDCWD, l->path, AT_SYMLINK_FOLLOW) == 0)
            result = 1;
        else if (errno == EEXIST)
            result = 0;
    }
    if (result == 1)
        l->fd = fd;
    else
        close(fd);
    return result;
}

/* 1: the file is ours, 0: somebody else's is there, -1: failed. */
static int try_create(struct lockfile *l, struct err *e)
{
    int linked = try_link(l);
    if (linked >= 0)
        return linked;
    int fd = open(l->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? 0 : err_sys(e, "lock file %s", l->path);
    /* Whoever finds the new file may lock it for a look (clear_stale): that is soon over. */
    int locked = flock_retry(fd, LOCK_EX);
    if (locked == 0 && still_at(l->path, fd) && write_token(fd) == 0) {
        l->fd = fd;
        return 1;
    }
    int result = 0;
    if (still_at(l->path, fd)) {
        result = err_sys(e, "lock file %s", l->path);
        unlink(l->path);
    }
    close(fd);
    return result;
}

static bool has_marker(int fd)
{
    char text[MARKER_LEN + ID_UUID_LEN];
    if (pread(fd, text, sizeof text, 0) != (ssize_t)sizeof text ||
        memcmp(text, MARKER, MARKER_LEN) != 0)
        return false;
    for (size_t i = 0; i < ID_UUID_LEN; i++) {
        char c = text[MARKER_LEN + i];
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? c != '-' : !isxdigit((unsigned char)c))
            return false;
    }
    return true;
}

/* For a file whose flock we got. One of ours has lost its process then. One without our marker is
 * the original's, or ours just created and not locked yet: only its age tells. */
static bool is_stale(int fd)
{
    struct stat st;
    if (has_marker(fd))
        return true;
    if (fstat(fd, &st) < 0)
        return false;
    int64_t changed = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return clock_wall_ms() - changed > LOCK_STALE_MS;
}

/* As clear_stale, for the open file. The flock makes looking and removing one step: of two that
 * found the same stale file only one removes it, and neither the other's new one. */
static int clear_open(const char *path, int fd, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(e, "lock file %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, "lock file %s: not a regular file; remove it", path);
    if (flock_retry(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? 0 : err_sys(e, "lock file %s", path);
    if (!still_at(path, fd))
        return 1;
    if (!is_stale(fd))
        return 0;
    if (unlink(path) < 0 && errno != ENOENT)
        return err_sys(e, "stale lock file %s can't be removed", path);
    return 2;
}

/* Looks at the file in our way. 2: it was stale, and is removed; 1: it is gone, 0: its holder lives, -1:
 * failed. */
static int clear_stale(const char *path, struct err *e)
{
    /* For writing: network file systems give an exclusive flock only then. */
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            return 1;
        return errno == ELOOP ? err_set(e, "lock file %s: is a link; remove it", path)
                              : err_sys(e, "lock file %s", path);
    }
    int result = clear_open(path, fd, e);
    fd_close(&fd);
    return result;
}

static void nap_ns(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    nanosleep(&t, NULL);
}

static int take(struct lockfile *l, long long wait_ms, struct err *e)
{
    int64_t deadline = clock_mono_ns() + wait_ms * 1000000, nap = LOCK_NAP_MIN_NS;
    for (;;) {
        int result = try_create(l, e);
        if (result != 0)
            return result;
        result = clear_stale(l->path, e);
        if (result < 0)
            return result;
        l->healed |= result == 2;
        if (result > 0)
            continue;
        int64_t left = deadline - clock_mono_ns();
        if (left <= 0)
            return 0;
        nap_ns(nap < left ? nap : left);
        nap = nap * 2 < LOCK_NAP_MAX_NS ? nap * 2 : LOCK_NAP_MAX_NS;
    }
}

int lockfile_take(struct lockfile *l, const char *path, long long wait_ms, struct err *e)
{
    *l = (struct lockfile){.path = strdup(path), .fd = -1};
    if (!l->path)
        return err_sys(e, "lock file %s", path);
    int result = take(l, wait_ms, e);
    if (result != 1) {
        free(l->path);
        l->path = NULL;
    }
    return result;
}

void lockfile_drop(struct lockfile *l)
{
    if (l->fd < 0)
        return;
    if (still_at(l->path, l->fd))
        unlink(l->path);
    close(l->fd);
    free(l->path);
    *l = (struct lockfile){.fd = -1};
}
