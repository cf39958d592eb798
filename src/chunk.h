/*
 * From what a pipe gives to the lines of a log: a stream gathers bytes, keeps its tail, and is
 * encoded into chunk buffers, never splitting a character. One worker owns a stream.
 */
#ifndef CORCH_CHUNK_H
#define CORCH_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bounds.h"
#include "guard.h"
#include "outbox.h"

/* The last TAIL_BYTES of a stream. */
struct tail {
    char ring[TAIL_BYTES];
    uint64_t total; /* bytes ever added; total % TAIL_BYTES is where the next one goes */
};

struct stream {
    char raw[STREAM_BYTES];
    size_t len;       /* bytes gathered */
    size_t ready;     /* of these, seen by the guard: what may be encoded */
    int64_t first_ns; /* when the oldest of them came; monotonic */
    struct tail tail;
    const char *name; /* "stdout" or "stderr" */

    struct guard *guard; /* NULL: none */
    bool guard_lost;     /* it failed on the way */
    bool enforce;        /* the guard changes what it lets out, so input waits in `in` */
    struct guard_hit hits[GUARD_HITS * 2]; /* in raw[0, ready), by offset */
    size_t n_hits;
    char in[STREAM_BYTES / 4];
    size_t in_at, in_len;
};

/* What the lines of one command have in common. */
struct chunk_context {
    char correlation_id[40];
    unsigned attempt;
    size_t index;      /* of the command, from 1 */
    uint64_t sequence; /* of the last chunk line */
};

/* Empty, for a new command. The guard (may be NULL) is borrowed. */
void stream_reset(struct stream *s, const char *name, struct guard *guard, bool enforce);

/* One read(2) behind what is gathered, through the guard; the stream must not be full. As read, EINTR
 * repeated; `*whole` says whether it took all there was room for. */
ssize_t stream_read(struct stream *s, int fd, int64_t now_ns, bool *whole);

/* Nothing comes any more: lets the guard put out what it held back. The stream must not be full. */
void stream_end(struct stream *s);

/* There is no room, or input that waits for room: something must be encoded and consumed first. */
bool stream_full(const struct stream *s);

/*
 * Encodes a prefix of what is ready as one exec:chunk line into `c`, with the next sequence
 * number. `last`: nothing follows, so an unfinished character is what it is: not UTF-8. Returns the
 * bytes of the prefix; 0 if there is nothing (or only an unfinished character, and not `last`).
 */
size_t stream_encode(const struct stream *s, bool last, struct chunk_context *context,
                     int64_t wall_ms, struct chunk *c);

/* The same prefix of `n` bytes again as a command:stdout or command:stderr line. */
void stream_mirror(const struct stream *s, size_t n, const struct chunk_context *context,
                   int64_t wall_ms, struct chunk *c);

/* Drops the first `n` bytes that are ready, and has the guard look at what waited for that. */
void stream_consume(struct stream *s, size_t n);

void tail_add(struct tail *t, const char *bytes, size_t n);

/* Copies the tail from its first whole character on; returns its bytes. */
size_t tail_copy(const struct tail *t, char to[TAIL_BYTES]);

/* The tail as text: free() it; NULL: out of memory. Begins at a whole character; what is not UTF-8
 * is U+FFFD, and NUL as well, so that it is a C string. */
char *tail_text(const struct tail *t);

#endif
