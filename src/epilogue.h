/*
 * What is written once a run has ended and its journal is closed: run-summary.json, the task-level
 * copy, metrics, history, and the manifest that says so. The thread that drives the run.
 */
#ifndef CORCH_EPILOGUE_H
#define CORCH_EPILOGUE_H

#include "cancel.h"
#include "exec_request.h"
#include "journal.h"
#include "notices.h"
#include "plan.h"
#include "workspace.h"

/*
 * Writes all of it; of a single command (`exec` is not NULL) its record instead of a summary, and no
 * history. What can't be written becomes a notice, never an abort: the run itself is
 * recorded already. Returns the text of review.summary, which a parent run shows: free() it;
 * NULL: there is none.
 */
char *epilogue_write(const struct workspace *w, struct journal *j, const struct plan *plan,
                     const struct exec_request *exec, struct cancel *cancel,
                     struct notices *notices);

#endif
