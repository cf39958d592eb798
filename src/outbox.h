/*
 * The way from one producer (a worker, or the driving thread) to the persister, and back.
 *
 * Forward: a single-producer single-consumer ck_ring of records, chunks and mutations in one order
 * (I2), so a "succeeded" can't overtake the output it is about. One ring per producer rather than
 * one for all: with more producers than cores a multi-producer ring spins on a preempted producer.
 *
 * Backward: a second ring returns the chunk buffers of the producer's fixed pool (I4). An empty
 * pool is the backpressure: the producer stops reading, the pipe fills, the command waits (I5).
 * The forward ring has a slot for every chunk and for OUTBOX_MUTATIONS more (bounds.h), so it is
 * full only if a producer has more mutations under way than it may.
 */
#ifndef CORCH_OUTBOX_H
#define CORCH_OUTBOX_H

#include <ck_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bounds.h"
#include "wake.h"

struct journal;
struct mutation;

/* A buffer with a finished NDJSON line, bytes[begin, end), and what the privacy guard said of it. */
struct chunk {
    size_t begin, end;
    uint64_t frame; /* number among the frames of its execution, from 2; 0: no frame of its own */
    int rule;       /* an enum guard_rule, or CHUNK_NO_RULE */
    char bytes[CHUNK_BYTES];
};
#define CHUNK_NO_RULE (-1)

enum record_kind { RECORD_LINES, RECORD_MUTATION };

struct record {
    struct journal *journal;
    enum record_kind kind;
    uint32_t index; /* command, from 0, whose log gets the lines */
    union {
        struct chunk *chunk;       /* RECORD_LINES */
        struct mutation *mutation; /* RECORD_MUTATION */
    } as;
};

struct outbox {
    _Alignas(64) ck_ring_t forward, backward;
    struct record records[OUTBOX_SLOTS];
    ck_ring_buffer_t chunks[OUTBOX_SLOTS];
    struct wake room;        /* signalled when a buffer or a slot comes back */
    struct wake *persister;  /* signalled by a push */
    struct chunk *pool;      /* CHUNK_POOL buffers, or fewer for tests */
    struct chunk *spare;     /* the producer's: taken, but not used */
};

/* Prepares an outbox with `pool_size` chunk buffers (1 to CHUNK_POOL; 0: mutations only).
 * 0, or -1 (ENOMEM). */
int outbox_init(struct outbox *o, struct wake *persister, unsigned pool_size);
void outbox_release(struct outbox *o); /* when both sides have stopped */

/* Producer: hands the record over and wakes the persister; false: full, the record is kept (I4). */
bool outbox_push(struct outbox *o, const struct record *r);

/* The same without waking it: the record is taken with the next one, or once somebody signals. */
bool outbox_push_quietly(struct outbox *o, const struct record *r);

/* The record that hands a mutation over. */
struct record outbox_mutation(struct mutation *m);

/* Producer: pushes, sleeping while the ring is full. */
void outbox_push_wait(struct outbox *o, const struct record *r);

/* Producer: an empty buffer from the pool, or NULL if all are under way. */
struct chunk *outbox_take(struct outbox *o);

/* Producer: keeps a buffer it took and does not need, for its next outbox_take. */
void outbox_untake(struct outbox *o, struct chunk *c);

/* Persister: the oldest record; false: there is none. */
bool outbox_pop(struct outbox *o, struct record *out);

/* Persister: returns a written buffer to its producer. */
void outbox_give(struct outbox *o, struct chunk *c);

#endif
