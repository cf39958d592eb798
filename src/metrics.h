/*
 * .runs/<task>/metrics.json (NDJSON, one line per run) and the aggregates that follow from it.
 * The thread that drives the run, after the run has ended; the task's metrics lock is held
 * while files change.
 */
#ifndef CORCH_METRICS_H
#define CORCH_METRICS_H

#include "manifest.h"
#include "workspace.h"

/*
 * Appends the run's entry and brings the aggregates up to date: metrics/baseline.json (first run
 * only), metrics/post-rollout.json, metrics/completeness.json below .runs/<task>, and
 * metrics/mttr-delta.json and state.json below out/<task>. Aggregates are carried forward from
 * the last ones; only lines of metrics.json they have not seen are read. When the lock can't be
 * had in time the entry is queued in metrics.pending/ and merged by a later run.
 * Returns 1: recorded, 0: queued (`e` says where), -1: failed (`e` says why).
 */
int metrics_record(const struct workspace *w, const struct manifest *m, int64_t now_ms,
                   struct err *e);

/* The entry itself, for tests and for the queue. Caller deletes. */
cJSON *metrics_entry(const struct manifest *m, int64_t now_ms);

#endif
