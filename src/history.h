/* out/<task>/runs.json: the summaries of a task's newest runs. After the run has ended. */
#ifndef CORCH_HISTORY_H
#define CORCH_HISTORY_H

#include "json.h"
#include "workspace.h"

/*
 * Adds `summary` (whose first members are taskId and runId) behind the others, in place of an
 * earlier one of the same run, keeping the newest HISTORY_RUNS, or what
 * CODEX_ORCHESTRATOR_HISTORY_RUNS says ("all" or a number from 1), under the lock
 * .runs/<task>.lock. A file that can't be read as history is kept as runs.json.corrupt-<hex> and
 * begun anew. The file holds one summary per line, so that this moves bytes and parses nothing; a
 * file of another layout is parsed once. 0, or -1 and `e` says why.
 */
int history_record(const struct workspace *w, const cJSON *summary, struct err *e);

#endif
