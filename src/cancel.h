/*
 * Asking everything to end: a level that only rises, readable by poll and by eventcounts.
 * Any thread, also a signal-handling one; not a signal handler.
 */
#ifndef CORCH_CANCEL_H
#define CORCH_CANCEL_H

#include <stdatomic.h>

#define CANCEL_NONE 0
#define CANCEL_TERM 1 /* SIGTERM to the commands' groups, SIGKILL after the grace time */
#define CANCEL_KILL 2 /* SIGKILL at once */

struct cancel {
    atomic_int level;
    int fds[2]; /* eventfds, readable for ever from CANCEL_TERM and CANCEL_KILL on */
};

int cancel_init(struct cancel *c); /* 0, or -1 with errno */
void cancel_release(struct cancel *c);

/* Raises the level (never lowers it) and makes its eventfds readable. */
void cancel_raise(struct cancel *c, int level);

static inline int cancel_level(struct cancel *c)
{
    return atomic_load(&c->level);
}

#endif
