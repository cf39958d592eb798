/*
 * Bytes on their way to stdout and stderr, in order. They are written as far as nobody has to be
 * waited for: a reader who does not read holds up nothing but the sink. Main thread.
 *
 *     sink_to, and additions to that buffer; then, until sink_fd is -1: poll it for writing,
 *     sink_write.
 */
#ifndef CORCH_SINK_H
#define CORCH_SINK_H

#include "buf.h"

/* How often the descriptor may change from one emptying of the sink to the next. */
enum { SINK_TURNS = 8 };

struct sink {
    struct buf bytes;
    size_t written; /* the first so many */
    struct sink_turn {
        int fd;
        size_t begin; /* its bytes end where the next one's begin */
    } turns[SINK_TURNS];
    unsigned n, at; /* turns; the one that is being written */
};

/* The buffer, for bytes to be added that go to `fd`. What has been written is forgotten. */
struct buf *sink_to(struct sink *s, int fd);

/* The descriptor that the next bytes are for; -1: there are none. */
int sink_fd(const struct sink *s);

/* Writes some of them; to be called when sink_fd can be written without waiting. 0, or -1 with
 * errno and nothing written. */
int sink_write(struct sink *s);

void sink_drop(struct sink *s);    /* forgets the next bytes that are for sink_fd */
void sink_clear(struct sink *s);   /* forgets all */
void sink_release(struct sink *s); /* and frees */

#endif
