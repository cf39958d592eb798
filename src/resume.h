/* Taking up an earlier run again. The thread that will drive it. */
#ifndef CORCH_RESUME_H
#define CORCH_RESUME_H

#include "notices.h"
#include "run.h"

struct resume_request {
    const char *run_id;
    const char *token;  /* compared if not NULL */
    const char *actor;  /* NULL: "cli" */
    const char *reason; /* NULL: "manual-resume" */
    const char *target; /* or NULL */
    struct watch *watch;
    const char *instance; /* as in run_request */
    bool unfinished; /* only if it was interrupted, or has succeeded: not if it failed or was cancelled */
};

/*
 * Finds the run, takes its lock, checks token and configuration, repairs what a crash has left (see
 * recover.h; what was found goes to `notices`), and prepares what is left to do:
 * stages that succeeded or were skipped are kept, all others are pending again. `own` becomes the
 * workspace of the run's task, release it after the run; NULL: that is `w`. NULL on failure, `e` says why, and the
 * run is as it was; `own` needs no release then.
 */
struct live_run *run_resume(const struct workspace *w, const struct config *config,
                            const struct resume_request *request, struct workspace *own,
                            struct notices *notices, struct err *e);

#endif
