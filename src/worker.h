/*
 * One command, from its "running" in the manifest to its end in the log: spawn, poll, chunk, push.
 * A worker is a thread with an outbox of its own; it runs one attempt of one job at a time.
 */
#ifndef CORCH_WORKER_H
#define CORCH_WORKER_H

#include "cancel.h"
#include "chunk.h"
#include "config.h"
#include "ids.h"
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
    bool await_start;      /* a command starts when the manifest that says so is on disk */
    bool keep_going;       /* a failure does not keep others from starting */
};

/* What is known of a job over its attempts. Its worker's while it runs; all zero before. */
struct attempts {
    unsigned number; /* of the last one, from 1 */
    char handle_id[ID_UUID_LEN + 1], correlation_id[ID_UUID_LEN + 1], session_id[ID_UUID_LEN + 1];
    uint64_t sequence; /* of its last chunk line */
    bool executed;     /* one of them was */
    int64_t assigned_ms, begin_ms, begin_ns; /* of the first one */
    struct buf printed; /* those that failed and were followed by another, for the manifest */
};

/* A command to run. Belongs to whoever submits it until `ended` has been called. */
struct job {
    const struct run_context *run;
    struct cancel *cancel; /* the run's */
    struct journal *journal;
    const struct stage *stage;
    size_t index; /* from 0 */
    int64_t assigned_ms;

    /*
     * Persister thread (or the worker's, if it never started): the command is over and all that is
     * about it has been applied. `event`: what became of the stage.
     * STAGE_EV_RESUME: it was not started because the run is to end, and is still pending.
     * STAGE_EV_RETRY: this attempt failed; submit the job again after `retry_ms`, or else have `end`
     * pushed, which is then how it ended.
     */
    void (*ended)(struct job *job, enum stage_event event);
    void *context; /* the submitter's */
    bool quiet;    /* nothing waits for its end: it may be told together with later ones */

    bool follows; /* its failure is an effect of another: of the run's time being over, or of
                     something else that failed */
    struct attempts attempts;
    int64_t retry_ms;
    struct mutation *end; /* the job's: freed by worker_run, or by job_release */
};

struct worker {
    struct outbox *outbox;
    unsigned number; /* from 1 */
    int nudge_fd;    /* an eventfd: look at the cancellation again */
    uint64_t signals; /* that commands are to find at their defaults */
    long long cancel_grace_ms, drain_grace_ms;
    struct guard *guards[2]; /* for stdout and stderr */
    struct stream streams[2];
};

/* Runs the job, or the next attempt of it, to its end in the calling thread. The end of a quiet one is
 * pushed, but the persister is woken for it only by what comes after: who runs out of jobs has to call
 * worker_tell. */
void worker_run(struct worker *w, struct job *job);
void worker_tell(struct worker *w);

/* Takes job->end to be pushed by somebody else, with the time it is now; `ended` follows. */
struct mutation *job_take_end(struct job *job);

void job_release(struct job *job); /* what its attempts left */

#endif
