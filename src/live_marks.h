/*
 * Which runs of a task somebody works on, or did when he was killed: a name in .runs/<task>/.live for
 * each, another one of the run's .heartbeat. So what a killed run has left half written is found by the
 * next start, whose cost does not grow with the number of runs there are. The thread that drives the run.
 */
#ifndef CORCH_LIVE_MARKS_H
#define CORCH_LIVE_MARKS_H

#include "rundir.h"

/* Marks the run in `d`; without a mark the next start finds nothing of it, and resume does. */
void live_mark(const struct workspace *w, const struct rundir *d, const char *run_id);
void live_unmark(const struct workspace *w, const char *run_id);

/* Removes the temporary files, and the marks, of runs that nobody works on any more. */
void live_sweep(const struct workspace *w);

#endif
