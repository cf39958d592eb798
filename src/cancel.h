/*
 * Asking a run to end: a level that only rises, for the run and the subpipelines below it. Who
 * raises it wakes those who sleep (pool_nudge). Any thread, also a signal-handling one; not a
 * signal handler.
 */
#ifndef CORCH_CANCEL_H
#define CORCH_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>

#define CANCEL_NONE 0
#define CANCEL_TERM 1 /* SIGTERM to the commands' groups, SIGKILL after the grace time */
#define CANCEL_KILL 2 /* SIGKILL at once */

enum cancel_reason {
    CANCEL_ASKED,     /* somebody wants it to end, or it can't be recorded any more */
    CANCEL_TIMED_OUT, /* its time is over */
    CANCEL_FAILED     /* something else has failed, and nothing is to go on then */
};

struct cancel {
    atomic_int level, reason; /* the reason of the first who raised it */
    atomic_bool halted;
    struct cancel *parent; /* what is asked of it is asked of us; or NULL */
};

void cancel_init(struct cancel *c, struct cancel *parent);

/* Raises the level, never lowers it. */
void cancel_raise(struct cancel *c, int level, enum cancel_reason reason);

/* The highest level asked of it, or of what it is part of. */
int cancel_level(const struct cancel *c);

/* Why, if the level is not CANCEL_NONE. */
enum cancel_reason cancel_reason(const struct cancel *c);

/* Whether it is to end because somebody wants that, and because of something that happened. */
bool cancel_asked(const struct cancel *c);
bool cancel_follows(const struct cancel *c);

/* What runs goes on, but nothing new starts: of this run only, not of those below. */
void cancel_halt(struct cancel *c);

/* Whether nothing new may start. */
bool cancel_halted(const struct cancel *c);

#endif
