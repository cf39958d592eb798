/* Owns the reading of logs that grow. Any thread, one at a time per logtail. */
#include "logtail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "bounds.h"
#include "fd.h"
#include "rundir.h"

int logtail_open(struct logtail *t, int dirfd, const char *name)
{
    *t = (struct logtail)LOGTAIL_INIT;
    t->fd = rundir_open(dirfd, name, O_RDONLY, 0);
    return t->fd < 0 ? -1 : 0;
}

void logtail_close(struct logtail *t)
{
    fd_close(&t->fd);
    buf_release(&t->bytes);
    t->begin = t->searched = 0;
}

int logtail_seek(struct logtail *t, uint64_t offset)
{
    buf_clear(&t->bytes);
    t->begin = t->searched = 0;
    return lseek(t->fd, (off_t)offset, SEEK_SET) < 0 ? -1 : 0;
}

/* Drops what has been given out and reads on. The bytes read; 0: the file has no more, for now. */
static ssize_t read_more(struct logtail *t)
{
    struct buf *b = &t->bytes;
    if (t->begin > 0)
        memmove(b->data, b->data + t->begin, b->len - t->begin);
    b->len -= t->begin;
    t->searched -= t->begin;
    t->begin = 0;
    if (!buf_room(b, CHUNK_BYTES)) {
        errno = ENOMEM;
        return -1;
    }
    ssize_t n;
    do
        n = read(t->fd, b->data + b->len, b->cap - b->len - 1);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        b->len += (size_t)n;
    return n;
}

int logtail_next(struct logtail *t, char **line, size_t *n)
{
    struct buf *b = &t->bytes;
    for (;;) {
        char *end = b->data ? memchr(b->data + t->searched, '\n', b->len - t->searched) : NULL;
        if (end) {
            *end = '\0';
            *line = b->data + t->begin;
            *n = (size_t)(end - *line);
            t->begin = t->searched = (size_t)(end - b->data) + 1;
            return 1;
        }
        t->searched = b->len;
        ssize_t got = read_more(t);
        if (got <= 0)
            return got < 0 ? -1 : 0;
    }
}

int logtail_tell(const struct logtail *t, int notify_fd)
{
    char path[64]; /* of the very file that is open, whatever its name means by now */
    snprintf(path, sizeof path, "/proc/self/fd/%d", t->fd);
    return inotify_add_watch(notify_fd, path, IN_MODIFY);
}
