/*
 * A run's files and the changes that are made to them. While a journal is open it belongs to the
 * persister thread, before and after to the thread that drives the run (I1).
 */
#ifndef CORCH_JOURNAL_H
#define CORCH_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "cancel.h"
#include "manifest.h"
#include "rundir.h"
#include "watch.h"

struct mutation;

struct journal {
    /* Set by the driving thread before the journal is opened. */
    struct manifest manifest;
    struct rundir dir;
    struct watch *watch;                  /* gets a copy of every line, or NULL */
    int grown_fd;                         /* an eventfd, signalled when the log has grown; or -1 */
    void (*on_failure)(struct journal *); /* persister thread: `failed` has just been set */
    void *owner;                          /* the driving thread's */
    const struct cancel *cancel; /* of the run: when it is to end, a full disk is not waited for; or NULL */

    /* An errno once the run's files can't be written any more: the run must end. Any thread. */
    atomic_int failed;

    /* The persister's own: files, and when to write which. Times are monotonic nanoseconds. */
    struct journal *next;
    int runner_fd, privacy_fd, heartbeat_fd, commands_fd; /* the last one: the folder */
    struct active *active; /* per command: what is there while it runs */
    size_t done;           /* stages in a final state, those of earlier sessions included */
    size_t *running, n_running; /* indices of the stages that run, in the order they began */
    struct buf decisions;  /* lines on their way to privacy-decisions.ndjson */
    struct buf image;         /* the printed manifest */
    struct mutation *waiting; /* applied by the next manifest write */
    unsigned failures;        /* of stages in this session, but those that follow from another */
    bool open, dirty, urgent;
    atomic_bool writing;
    int64_t dirty_ns, next_write_ns, next_beat_ns, failing_since_ns;
    unsigned long manifest_writes, heartbeat_writes;
};

/* A change of a run. Allocated by its producer, given back by `applied`. */
struct mutation {
    enum mutation_kind {
        MUTATION_OPEN,        /* the journal is the persister's from here; the run is in progress */
        MUTATION_STAGE_START, /* if `awaited`: applied once the manifest that says so is on disk */
        MUTATION_STAGE_LINES, /* only `lines`, between a stage's start and its end */
        MUTATION_STAGE_END,   /* applied when the log lines are in their files; coalesced */
        MUTATION_CLOSE        /* terminal state; applied once it is on disk and synced: the journal
                                 is the driving thread's again */
    } kind;
    struct journal *journal;
    int64_t now_ms;

    /* Called by the persister when the mutation has been applied (error 0) or could not be made
     * durable (error: an errno). Takes the mutation back. */
    void (*applied)(struct mutation *m, int error);
    void *context; /* the producer's */

    /* Stages */
    size_t index; /* from 0 */
    bool awaited; /* STAGE_START; if it is not, a start that can't be recorded fails the run */
    enum stage_event event;
    bool follows;     /* a failure that is the effect of an earlier one */
    char *assignment; /* an element of the scheduler block's assignments, or NULL */
    char *lines; /* appended to the logs before the state changes, or NULL */
    size_t lines_len;
    bool has_exit_code, spawn_error;
    int exit_code, signal; /* signal 0: none */
    char *summary;           /* of the stage, or NULL */
    char *error_text;        /* content of errors/NN-id.json, or NULL */
    char *log_path;          /* STAGE_START of a command */
    char handle_id[40], correlation_id[40];
    uint64_t frames; /* of the handle; 0: there is none (it was never executed) */
    int64_t handle_ms;
    char *sub_run_id, *sub_pipeline_id, *sub_manifest; /* STAGE_END of a subpipeline that ran */
    enum run_status sub_status;

    /* CLOSE, and STAGE_END of a stage that fails its run */
    enum run_status status;
    char *status_detail, *run_summary_line;

    struct mutation *next; /* the persister's */
};

struct mutation *mutation_new(enum mutation_kind kind, struct journal *j); /* NULL: ENOMEM */
void mutation_free(struct mutation *m);

/* Opens the files of a journal whose manifest and dir are set. 0, or -1 with errno. */
int journal_init(struct journal *j);
void journal_release(struct journal *j); /* closes and frees, the manifest and dir as well */

/* Persister: appends whole lines, in up to GATHERED_CHUNKS pieces, to runner.ndjson and to the log of
 * command `index`. Waits for space on a full disk, for a bounded time; then the journal has failed, and
 * both logs end with a whole line. */
void journal_append(struct journal *j, size_t index, const struct iovec *lines, int n);

/* Persister: one frame of a running command passed the privacy guard; `rule` as in struct chunk.
 * Frames are decisions in privacy-decisions.ndjson; those with a rule are in the manifest as well, up
 * to MANIFEST_DECISIONS. */
void journal_frame(struct journal *j, size_t index, uint64_t frame, int rule);

/* Persister: writes the decisions gathered so far. */
void journal_flush(struct journal *j);

/* Persister: what an attempt of a command has to say before or after its output. */
void journal_stage_lines(struct journal *j, const struct mutation *m);

/* Persister: the effect of a stage's start or end on logs and manifest. 0, or an errno. */
int journal_stage_start(struct journal *j, const struct mutation *m);
int journal_stage_end(struct journal *j, const struct mutation *m);

/* Persister: the run's status, detail and summary line. */
void journal_set_status(struct journal *j, const struct mutation *m);

/* Persister: rewrites .heartbeat in place. */
void journal_beat(struct journal *j, int64_t now_ms);

/* Persister: marks the journal as failed, once, and says so to its owner. */
void journal_fail(struct journal *j, int error);

#endif
