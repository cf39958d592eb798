/*
 * Reading an NDJSON log line by line while it grows. The log is the buffer between who writes it
 * and who reads it here: neither waits for the other. Any thread, one at a time per logtail.
 *
 *     logtail_open, then for ever: logtail_next until it gives no line; wait for whatever says that
 *     the log has grown, and take it as heard; again.
 */
#ifndef CORCH_LOGTAIL_H
#define CORCH_LOGTAIL_H

#include <stdint.h>

#include "buf.h"

struct logtail {
    int fd;                 /* -1: none */
    struct buf bytes;       /* read; those before `begin` have been given out */
    size_t begin, searched; /* no newline in bytes[begin, searched) */
};

#define LOGTAIL_INIT       \
    {                      \
        -1, BUF_INIT, 0, 0 \
    }

/* Opens the file `name` in the folder `dirfd`, no link followed, at its beginning. 0, or -1 with
 * errno and nothing to close. */
int logtail_open(struct logtail *t, int dirfd, const char *name);
void logtail_close(struct logtail *t); /* again: no harm */

/* Goes on at that byte of the log, where a line begins. 0, or -1 with errno. */
int logtail_seek(struct logtail *t, uint64_t offset);

/* The next whole line without its newline, and a NUL behind it; it lives until the next call.
 * 1: there is one; 0: not yet; -1 with errno: the log can't be read. */
int logtail_next(struct logtail *t, char **line, size_t *n);

/* Has an inotify descriptor told when the log grows. The number of its watch, or -1 with errno. */
int logtail_tell(const struct logtail *t, int notify_fd);

#endif
