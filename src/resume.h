/* Taking up an earlier run again. The thread that will drive it. */
#ifndef CORCH_RESUME_H
#define CORCH_RESUME_H

#include "notices.h"
#include "run.h"

/* Which subpipeline's run it must be. */
struct resume_child {
    const char *parent_run_id, *pipeline_id;
};

struct resume_request {
    const char *run_id;
    const char *token;  /* compared if not NULL */
    const char *actor;  /* NULL: "cli" */
    const char *reason; /* NULL: "manual-resume" */
    const char *target; /* or NULL */
    struct watch *watch;
    const char *instance; /* as in run_request */
    const struct resume_child *child; /* or NULL */
};

/*
 * Finds the run, takes its lock, checks token and configuration, repairs what a crash has left (see
 * recover.h; what was found goes to `notices`), and prepares what is left to do:
 * stages that succeeded or were skipped are kept, all others are pending again. `own` becomes the
 * workspace of the run's task, release it after the run; NULL: that is `w`. NULL on failure, `e` says why, and the
 * run is as it was; `own` needs no release then. NULL and nothing in `e`: of a child that has failed, was
 * cancelled, or is another one's, nothing is taken up.
 */
struct live_run *run_resume(const struct workspace *w, const struct config *config,
                            const struct resume_request *request, struct workspace *own,
                            struct notices *notices, struct err *e);

#endif
