/* Owns what is still to be written to stdout and stderr. Main thread. */
#include "sink.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void sink_clear(struct sink *s)
{
    buf_clear(&s->bytes);
    s->written = 0;
    s->n = s->at = 0;
}

void sink_release(struct sink *s)
{
    sink_clear(s);
    buf_release(&s->bytes);
}

struct buf *sink_to(struct sink *s, int fd)
{
    bool failed = s->bytes.failed; /* whoever adds looks at it at the end */
    if (s->written == s->bytes.len)
        sink_clear(s);
    s->bytes.failed = failed;
    if (s->n > 0 && s->turns[s->n - 1].fd == fd)
        return &s->bytes;
    if (s->n == 0 || s->turns[s->n - 1].begin < s->bytes.len)
        s->n++;
    assert(s->n <= SINK_TURNS);
    s->turns[s->n - 1] = (struct sink_turn){.fd = fd, .begin = s->bytes.len};
    return &s->bytes;
}

static size_t turn_end(const struct sink *s)
{
    return s->at + 1 < s->n ? s->turns[s->at + 1].begin : s->bytes.len;
}

static void advance(struct sink *s, size_t n)
{
    s->written += n;
    while (s->at + 1 < s->n && s->written == turn_end(s))
        s->at++;
}

int sink_fd(const struct sink *s)
{
    return s->written < s->bytes.len ? s->turns[s->at].fd : -1;
}

void sink_drop(struct sink *s)
{
    advance(s, turn_end(s) - s->written);
}

/* What fits without waiting: a pipe that poll says is writable takes PIPE_BUF bytes. Whole lines if
 * possible, since others may write to the same terminal between two pieces. */
static size_t piece(const struct sink *s, int fd)
{
    struct stat st;
    size_t n = turn_end(s) - s->written;
    if (n <= PIPE_BUF || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
        return n;
    const char *from = s->bytes.data + s->written, *newline = memrchr(from, '\n', PIPE_BUF);
    return newline ? (size_t)(newline - from) + 1 : PIPE_BUF;
}

int sink_write(struct sink *s)
{
    int fd = sink_fd(s);
    ssize_t wrote = fd < 0 ? 0 : write(fd, s->bytes.data + s->written, piece(s, fd));
    if (wrote < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -1;
    advance(s, (size_t)wrote);
    return 0;
}
