/*
 * What follows from all lines of .runs/<task>/metrics.json. Sums are carried forward in
 * post-rollout.json, so that an update reads only the lines that are new. The thread that drives
 * the run, with the task's metrics lock held.
 */
#ifndef CORCH_AGGREGATES_H
#define CORCH_AGGREGATES_H

#include <stdint.h>

#include "taskdir.h"
#include "workspace.h"

/*
 * Brings baseline.json (only if it is missing), post-rollout.json and completeness.json below
 * `runs` (the open .runs/<task>), and mttr-delta.json and state.json below out/<task>, up to date.
 * Every line counts, so a resumed run counts once per session. When the carried sums don't fit the
 * file everything is counted anew. Without an entry nothing is written. 0, or -1 and `e` names the
 * file concerned.
 */
int aggregates_update(const struct workspace *w, const struct taskdir *runs, int64_t now_ms,
                      struct err *e);

/* The entry in a line of `n` bytes, or NULL if it holds none. Caller deletes. */
cJSON *metrics_line_parse(const char *line, size_t n);

/* Removes what a killed process has left of replacing them. Under the task's metrics lock. */
void aggregates_sweep(const struct workspace *w);

#endif
