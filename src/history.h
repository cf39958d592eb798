/* out/<task>/runs.json: the summaries of a task's newest runs. After the run has ended. */
#ifndef CORCH_HISTORY_H
#define CORCH_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "workspace.h"

/* How long to wait for the task's lock: its holder moves a megabyte or so, and what takes longer than
 * this is not going to end soon. The same for a run that is to end. */
#define HISTORY_LOCK_MS 5000
#define HISTORY_LOCK_ENDING_MS 200

/* A run's summary. */
struct history_entry {
    const char *run_id;
    int64_t ended_ms; /* the summary's timestamp, wall milliseconds */
    const char *text; /* on one line, its first members taskId and runId */
    size_t n;
};

/*
 * Adds the summary behind the others, in place of an
 * earlier one of the same run, keeping the newest HISTORY_RUNS, or what
 * CODEX_ORCHESTRATOR_HISTORY_RUNS says ("all" or a number from 1), under the lock
 * .runs/<task>.lock. A file that can't be read as history is kept as runs.json.corrupt-<hex> and
 * begun anew. Waits `wait_ms` for the lock. The file holds one summary per line, so that this moves bytes and parses nothing; a
 * file of another layout is parsed once. 0, or -1 and `e` says why.
 */
int history_record(const struct workspace *w, const struct history_entry *entry, long long wait_ms,
                   struct err *e);

#endif
