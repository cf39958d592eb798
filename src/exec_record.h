/* The record of a single command, its run-summary.json. The thread that drives the run. */
#ifndef CORCH_EXEC_RECORD_H
#define CORCH_EXEC_RECORD_H

#include <stdint.h>

#include "cancel.h"
#include "err.h"
#include "exec_request.h"
#include "journal.h"

/*
 * Writes the record of a run that has ended (docs/formats.md): what the manifest knows, the ends of
 * the streams, and the events of the command's log, which is read twice and never held. Sets the
 * manifest's tool. That takes its time with a long log: CANCEL_KILL ends it. 0, or -1 and `e` says
 * why; then there is no run-summary.json.
 */
int exec_record_write(struct journal *j, const struct exec_request *request, struct cancel *cancel,
                      int64_t now_ms, struct err *e);

#endif
