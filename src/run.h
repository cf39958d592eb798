/*
 * A live run: one pipeline, its folder, its journal, and which of its stages have been started.
 * A subpipeline is a live run as well, with a parent. The thread that drives it; the persister owns
 * the journal's contents while it is open.
 */
#ifndef CORCH_RUN_H
#define CORCH_RUN_H

#include "batch.h"
#include "config.h"
#include "err.h"
#include "graph.h"
#include "journal.h"
#include "plan.h"
#include "worker.h"
#include "workspace.h"

struct run_request {
    const struct pipeline *pipeline;
    const char *target, *parent_run_id, *approval_policy; /* each may be NULL */
    struct watch *watch;                                  /* or NULL */
    const char *instance;            /* of the engine, see reaper.h */
    const struct exec_request *exec; /* not NULL: a single command, see exec_request.h */
    const struct batch *batch;       /* not NULL: the pipeline is this one's, see batch.h */
    size_t pools; /* of the configuration */
    const struct resume_request *resume; /* not NULL: an earlier run instead, see resume.h */
};

struct live_run {
    struct live_run *parent; /* NULL: the one that was asked for */
    size_t parent_index;     /* which stage of the parent it is */
    struct live_run *next;
    const struct pipeline *pipeline;
    struct plan plan;
    struct journal journal;
    struct graph graph;
    struct run_context context;
    const struct exec_request *exec; /* not NULL: a single command */
    struct batch *batch;             /* whose pipeline it is, of a batch that is taken up again */
    int lock_fd;                     /* see run_lock.h; held until run_free */
    struct cancel cancel;
    unsigned limit, busy; /* commands of it and its subpipelines: at once (0: no limit of its own),
                             and queued or running */
    bool resumed;         /* it was taken up again */
    const struct workspace *marked_in; /* see live_marks.h; NULL: it is not marked */
    bool failed;          /* a stage failed that may not */
    bool failed_itself;   /* and not as an effect of something else */
};

/* Makes the run's folder, manifest and environment; nothing is opened or started. NULL on failure,
 * `e` says why. */
struct live_run *run_new(const struct workspace *w, const struct run_request *request,
                         struct err *e);
/* The steps of it that a resumed run shares: an empty live run, and, once its manifest, folder and
 * plan are set, its files and environment. */
struct live_run *run_alloc(const struct pipeline *pipeline, struct watch *watch, struct err *e);
int run_prepare(struct live_run *r, const struct workspace *w, size_t pools, const char *instance,
                struct err *e);

/* That a subpipeline's run has been made for a stage; without this on disk a resumed run makes another
 * one. And the last one made, before this session: false if none is known. */
void run_note_child(const struct live_run *r, size_t index, const char *run_id);
bool run_noted_child(const struct live_run *r, size_t index, char run_id[ID_RUN_LEN + 1]);

void run_free(struct live_run *r); /* its journal must not be open */

#endif
