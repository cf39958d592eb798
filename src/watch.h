/*
 * A bounded look at what a run does: the persister copies lines into a fixed number of slots, a
 * watcher takes them out at its own pace. A watcher that is behind loses lines, by count; the run
 * never waits for it. One producer (the persister), one consumer.
 */
#ifndef CORCH_WATCH_H
#define CORCH_WATCH_H

#include <ck_ring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bounds.h"
#include "wake.h"

struct watch_slot {
    uint64_t sequence; /* of the line among all of the run and its subpipelines, from 1 */
    uint64_t lost;     /* lines lost directly before this one */
    char run_id[40];   /* the run or subpipeline the line is of */
    size_t len;        /* the line, without its newline, and a NUL behind it */
    char line[CHUNK_BYTES];
};

struct watch;

struct watch *watch_new(void); /* NULL: ENOMEM */
void watch_free(struct watch *w);

/* Producer: offers each line of bytes[0, n), whole lines of a run. Never waits. */
void watch_offer(struct watch *w, const char *run_id, const char *bytes, size_t n);
/* The same of one line, without newline, about a state. There are slots of its own for those: however
 * much is printed, a watcher that takes one now and then learns what has begun and ended. */
void watch_offer_state(struct watch *w, const char *run_id, const char *line, size_t n);
void watch_end(struct watch *w); /* nothing comes any more */

/* Consumer: the next line, or NULL after `deadline_ns` (monotonic) or when there is nothing and
 * nothing comes any more (`*ended` says which). Give it back with watch_done before the next. */
struct watch_slot *watch_next(struct watch *w, int64_t deadline_ns, bool *ended);
void watch_done(struct watch *w, struct watch_slot *slot);

uint64_t watch_lost(struct watch *w); /* any thread: lines lost so far */

#endif
