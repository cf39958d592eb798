/*
 * Progress of a run on a terminal: a line that is rewritten in place, and a line for each stage
 * that has ended (progress_view.h). The run is never held up: what can't be seen in time is shown
 * as "…". Main thread.
 */
#ifndef CORCH_PROGRESS_H
#define CORCH_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "corch.h"

struct progress_options {
    bool refused; /* --no-interactive */
    bool json;    /* --format json */
    bool output;  /* --output: the commands' own is shown */
};

/* Puts into `why` the reasons not to show progress on the descriptor, of options, terminal and
 * environment: static texts. Returns how many there are; 0: show it. */
#define PROGRESS_OBSTACLES 6
size_t progress_obstacles(const struct progress_options *options, int fd,
                          const char *why[PROGRESS_OBSTACLES]);

struct progress;

/* For a terminal. NULL with errno; the functions below take NULL and do nothing. */
struct progress *progress_new(int fd);

/* A descriptor that becomes readable when progress_update is due; -1 of NULL. */
int progress_fd(const struct progress *p);

/* Takes the frames that are there (the run was started with `watch`) and shows what is new, at most
 * ten times a second. Never waits. */
void progress_update(struct progress *p, corch_run *run);

/* Makes room for a message: removes the line that is rewritten, until the next update. */
void progress_clear(struct progress *p);

/* The run is over: shows what is left to say, removes the line and frees `p`. */
void progress_end(struct progress *p, corch_run *run);

#endif
