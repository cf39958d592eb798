/* Owns the appending to logs. One thread at a time per log. */
#include "logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"

int logfile_open(int dirfd, const char *name)
{
    return openat(dirfd, name,
                  O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
}

int logfile_same(int fd, int other, bool *same)
{
    struct stat a, b;
    if (fstat(fd, &a) != 0 || fstat(other, &b) != 0)
        return -1;
    if (!S_ISREG(b.st_mode)) {
        errno = EINVAL; /* a pipe that was put there would be read by somebody else */
        return -1;
    }
    *same = a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    return 0;
}

/* Takes away the first `wrote` bytes. */
static struct iovec *advance(struct iovec *at, int *n, size_t wrote)
{
    for (; *n > 0 && wrote >= at->iov_len; at++, --*n)
        wrote -= at->iov_len;
    if (*n > 0) {
        at->iov_base = (char *)at->iov_base + wrote;
        at->iov_len -= wrote;
    }
    return at;
}

int64_t write_patience_ns(const struct cancel *cancel)
{
    bool ending = cancel && cancel_level(cancel) != CANCEL_NONE;
    return (ending ? WRITE_RETRY_ENDING_MS : WRITE_RETRY_MS) * INT64_C(1000000);
}

/* Whether to go on after a write that failed: a signal, or a full disk on which space may come back.
 * `*since`: the first such failure in a row, or 0. */
static bool may_go_on(const struct cancel *cancel, int64_t *since)
{
    if (errno == EINTR)
        return true;
    int64_t now = clock_mono_ns();
    if (*since == 0)
        *since = now;
    if ((errno != ENOSPC && errno != EDQUOT) || now - *since >= write_patience_ns(cancel))
        return false;
    clock_sleep_ms(WRITE_RETRY_PAUSE_MS);
    return true;
}

int logfile_append(int fd, const struct iovec *lines, int n, const struct cancel *cancel)
{
    struct iovec left[GATHERED_CHUNKS], *at = left;
    int64_t failing_since = 0;
    int to_do = n;
    memcpy(left, lines, (size_t)n * sizeof *lines);
    while (to_do > 0) {
        ssize_t wrote = writev(fd, at, to_do);
        if (wrote >= 0) {
            at = advance(at, &to_do, (size_t)wrote);
            failing_since = 0;
        } else if (!may_go_on(cancel, &failing_since)) {
            int error = errno;
            struct stat st;
            off_t torn = (off_t)(lines[n - to_do].iov_len - at->iov_len);
            if (torn > 0 && fstat(fd, &st) == 0 && ftruncate(fd, st.st_size - torn) != 0)
                error = errno;
            errno = error;
            break;
        }
    }
    return n - to_do;
}
