/* Taking up an earlier run again. The thread that will drive it. */
#ifndef CORCH_RESUME_H
#define CORCH_RESUME_H

#include "run.h"

struct resume_request {
    const char *run_id;
    const char *token;  /* compared if not NULL */
    const char *actor;  /* NULL: "cli" */
    const char *reason; /* NULL: "manual-resume" */
    const char *target; /* or NULL */
    struct watch *watch;
};

/*
 * Finds the run, takes its lock, checks token and configuration, and prepares what is left of it:
 * stages that succeeded or were skipped are kept, all others are pending again. `own` becomes the
 * workspace of the run's task; release it after the run. NULL on failure, `e` says why, and the
 * run is as it was; `own` needs no release then.
 */
struct live_run *run_resume(const struct workspace *w, const struct config *config,
                            const struct resume_request *request, struct workspace *own,
                            struct err *e);

#endif
