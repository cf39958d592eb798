/* Owns the atomic replacement of files. No state but a counter and the calls tests put in; any
 * thread, also several at once on one file: each has a temporary of its own, the last one wins. */
#include "atomicfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "ids.h"

#define TMP_HEX 16
#define TMP_TRIES \
    8 /* 64 random bits: a second try is unlikely, an eighth means something is wrong */

static struct atomicfile_calls calls = {write, fsync, renameat};
static atomic_ulong replaced;

void atomicfile_inject(const struct atomicfile_calls *injected)
{
    static const struct atomicfile_calls none;
    if (!injected)
        injected = &none;
    calls.write = injected->write ? injected->write : write;
    calls.fsync = injected->fsync ? injected->fsync : fsync;
    calls.renameat = injected->renameat ? injected->renameat : renameat;
}

unsigned long atomicfile_count(void)
{
    return atomic_load(&replaced);
}

int write_all(int fd, const void *bytes, size_t n)
{
    const char *from = bytes;
    while (n > 0) {
        ssize_t written = calls.write(fd, from, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written == 0)
            errno = EIO; /* no progress and no reason given: trying again could go on for ever */
        if (written <= 0)
            return -1;
        from += written;
        n -= (size_t)written;
    }
    return 0;
}

static int sync_fd(int fd)
{
    int result;
    do
        result = calls.fsync(fd);
    while (result < 0 && errno == EINTR);
    return result;
}

/* Opens a new file in `dirfd` and puts its name into `tmp`. A descriptor, or -1 with errno. */
static int open_temporary(int dirfd, const char *name, char tmp[NAME_MAX + 1])
{
    char hex[TMP_HEX + 1];
    for (int tries = 0; tries < TMP_TRIES; tries++) {
        id_hex(hex, TMP_HEX);
        if (snprintf(tmp, NAME_MAX + 1, ".%s.%s.tmp", name, hex) > NAME_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* Some file systems can't sync a folder and say EINVAL: there is nothing to be had from them. */
static int sync_folder(int dirfd)
{
    return sync_fd(dirfd) < 0 && errno != EINVAL ? -1 : 0;
}

int atomicfile_begin(struct atomicfile *f, int dirfd, const char *name, mode_t mode)
{
    f->dirfd = dirfd;
    f->name = name;
    f->fd = open_temporary(dirfd, name, f->tmp);
    if (f->fd < 0)
        return -1;
    if (fchmod(f->fd, mode) == 0)
        return 0;
    atomicfile_abort(f);
    return -1;
}

void atomicfile_abort(struct atomicfile *f)
{
    int saved = errno;
    fd_close(&f->fd);
    unlinkat(f->dirfd, f->tmp, 0);
    errno = saved;
}

int atomicfile_commit(struct atomicfile *f, enum atomic_sync sync)
{
    int result = sync == ATOMIC_DURABLE ? sync_fd(f->fd) : 0;
    if (result == 0) {
        result = close(f->fd);
        f->fd = -1;
    }
    if (result == 0)
        result = calls.renameat(f->dirfd, f->tmp, f->dirfd, f->name);
    if (result < 0) {
        atomicfile_abort(f);
        return -1;
    }
    atomic_fetch_add(&replaced, 1);
    return sync == ATOMIC_DURABLE ? sync_folder(f->dirfd) : 0;
}

/* Whether it is a temporary, for the file `of` if that is not NULL. */
static bool is_temporary(const char *name, const char *of)
{
    static const char end[] = ".tmp";
    size_t n = strlen(name), tail = 1 + TMP_HEX + sizeof end - 1;
    return name[0] == '.' && n > tail + 1 && name[n - tail] == '.' &&
           strspn(name + n - tail + 1, "0123456789abcdef") == TMP_HEX &&
           strcmp(name + n - sizeof end + 1, end) == 0 &&
           (!of || (n == strlen(of) + tail + 1 && strncmp(name + 1, of, strlen(of)) == 0));
}

int atomicfile_sweep(int dirfd, const char *name)
{
    int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), swept = 0;
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (!folder) {
        fd_close(&copy);
        return -1;
    }
    for (const struct dirent *entry; (entry = readdir(folder));)
        swept += is_temporary(entry->d_name, name) && unlinkat(dirfd, entry->d_name, 0) == 0;
    closedir(folder);
    return swept;
}

int atomicfile_replace(int dirfd, const char *name, const void *bytes, size_t n, mode_t mode,
                       enum atomic_sync sync)
{
    struct atomicfile f;
    if (atomicfile_begin(&f, dirfd, name, mode) != 0)
        return -1;
    if (write_all(f.fd, bytes, n) != 0) {
        atomicfile_abort(&f);
        return -1;
    }
    return atomicfile_commit(&f, sync);
}
