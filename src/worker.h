/*
 * One command, from its "running" on disk to its end in the log: spawn, poll, chunk, push.
 * A worker is a thread with an outbox of its own; it runs one job at a time.
 */
#ifndef CORCH_WORKER_H
#define CORCH_WORKER_H

#include "cancel.h"
#include "chunk.h"
#include "config.h"
#include "journal.h"
#include "outbox.h"

/* What the commands of one run have in common; immutable while the run goes on. */
struct run_context {
    const char *root;      /* absolute; the commands' folder unless they name one */
    const char *run_id, *task_id, *dir_rel; /* dir_rel: the run folder as the manifest shows it */
    char **env;            /* "NAME=value", NULL-terminated: ours and the CODEX_ORCHESTRATOR_* */
    bool enforce_privacy;  /* what the privacy guard matches never gets out */
    bool exec;             /* a single command: its summary is the run's */
    bool mirror_streams;   /* a command:stdout or command:stderr line for each chunk as well */
};

/* A command to run. Belongs to whoever submits it until `ended` has been called. */
struct job {
    const struct run_context *run;
    struct journal *journal;
    const struct stage *stage;
    size_t index; /* from 0 */

    /* Persister thread (or the worker's, if it never started): the command is over and all that is
     * about it has been applied. `event`: what became of the stage; STAGE_EV_RESUME: it was not
     * started because the run is being cancelled, and is still pending. */
    void (*ended)(struct job *job, enum stage_event event);
    void *context; /* the submitter's */
};

struct worker {
    struct outbox *outbox;
    struct cancel *cancel;
    long long cancel_grace_ms, drain_grace_ms;
    struct guard *guards[2]; /* for stdout and stderr */
    struct stream streams[2];
};

/* Runs the job to its end in the calling thread. */
void worker_run(struct worker *w, struct job *job);

#endif
