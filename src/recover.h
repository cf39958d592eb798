/*
 * What a crash has left of a run is put in order: temporary files, torn last lines, and what the log
 * knows beyond the manifest (I3: the log is the truth, the manifest its checkpoint). The thread that
 * will drive the run; nobody else works on it.
 */
#ifndef CORCH_RECOVER_H
#define CORCH_RECOVER_H

#include "config.h"
#include "manifest.h"
#include "notices.h"
#include "rundir.h"

/*
 * Removes temporary files, cuts off torn last lines, completes a command's log from the run's, and
 * enters into the manifest which commands have succeeded according to the log. `pipeline` has the
 * manifest's stages. What was found is said in `notices`. 0, or -1 and `e` says what can't be repaired.
 */
int recover_run(const struct rundir *dir, struct manifest *m, const struct pipeline *pipeline,
                struct notices *notices, struct err *e);

#endif
