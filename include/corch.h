/*
 * corch: run pipelines of shell commands, capture everything they print, and leave a record that
 * can be trusted. The library behind codex-orchestrator.
 *
 *     corch_error e;
 *     corch_config *config = corch_config_load(NULL, NULL, &e);
 *     corch_run *run = config ? corch_run_start(config, &(corch_options){.pipeline = "build"}, &e)
 *                             : NULL;
 *     if (!run) { fprintf(stderr, "%s\n", e.text); return 2; }
 *     const corch_result *result = corch_run_wait(run);
 *     …
 *     corch_run_free(run);
 *     corch_config_free(config);
 *
 * Threads: a run has threads of its own. A config may be shared. Of a run, corch_run_cancel and
 * corch_run_part may be called from any thread; the other functions from one thread at a time. None
 * may be called from a signal handler. The process's environment is read when a run is started, and
 * never changed.
 * Block the signals you handle before the first run: its threads inherit the mask.
 *
 * Processes: a run has one child beside its commands, which kills them if this process is killed. Commands
 * find the signals at their defaults whose disposition was another one when the run was started. Don't wait
 * for any child (waitpid(-1, …)) while a run goes on: it might be one of the run's.
 */
#ifndef CORCH_H
#define CORCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct corch_config corch_config;
typedef struct corch_run corch_run;

/* Set by functions that fail: one line, no newline. */
typedef struct corch_error {
    char text[1024];
} corch_error;

/*
 * Reads and validates codex.orchestrator.json of `root` (NULL: CODEX_ORCHESTRATOR_ROOT, else the
 * current folder) for `task` (NULL: MCP_RUNNER_TASK_ID, else "0101"). Without the file only the
 * built-in pipeline "diagnostics" is there. Creates nothing. NULL on failure; `e` names file, line
 * and column, or the variable concerned.
 */
corch_config *corch_config_load(const char *root, const char *task, corch_error *e);
/* The same without reading the file: only the built-in pipeline is there. Enough for
 * corch_exec_start. */
corch_config *corch_config_builtin(const char *root, const char *task, corch_error *e);

void corch_config_free(corch_config *config); /* after the last of its runs was freed */

/* The i-th remark on the configuration (unknown keys and the like), or NULL after the last. */
const char *corch_config_warning(const corch_config *config, size_t i);

/* As many jobs as there are processors for this process. */
#define CORCH_JOBS_CORES ((unsigned)-1)

typedef enum corch_policy {
    CORCH_FINISH,    /* no new stage starts, those that run finish */
    CORCH_FAIL_FAST, /* those that run are ended */
    CORCH_KEEP_GOING /* what does not need it still runs */
} corch_policy;

/* Zero, or NULL, means the default. Strings are copied where they are needed for longer. */
typedef struct corch_options {
    const char *pipeline;        /* id; default: the configured one, else "diagnostics" */
    const char *resume;          /* id of an earlier run to take up again; then pipeline, parent_run
                                    and approval_policy are that run's */
    const char *token;           /* resume: refused unless it is the run's; default: not asked for */
    const char *actor, *reason;  /* resume: recorded; "cli" and "manual-resume" */
    const char *target;          /* stage id, pipeline:id or alias; recorded as the plan's target */
    const char *parent_run;      /* recorded */
    const char *approval_policy; /* recorded */
    int watch;                   /* not 0: corch_run_next will be used */
    unsigned jobs;               /* commands at once, up to 1024, or CORCH_JOBS_CORES; default: as
                                    each pipeline says */
    corch_policy on_failure;     /* when a stage has failed */
    long timeout_ms;             /* of the whole run; none */
    unsigned chunk_pool;         /* chunk buffers per worker, 1 to 16; 16 */
    long cancel_grace_ms;        /* from SIGTERM to SIGKILL; 5000 */
    long drain_grace_ms;         /* for output after a command's exit; 2000 */
} corch_options;

/*
 * Creates the run's folder, or takes up an earlier run's, and begins. Returns at once; NULL on
 * failure (unknown pipeline or run, refused token, folder can't be made, …), then no command has
 * been run and an earlier run is as it was.
 */
corch_run *corch_run_start(const corch_config *config, const corch_options *options,
                           corch_error *e);

/* A single command. Zero, or NULL, means the default, as in corch_options. */
typedef struct corch_exec {
    const char *const *argv; /* its words, UTF-8, NULL-terminated; not empty */
    const char *cwd;         /* its folder, as seen from the root; default: the root */
    long timeout_ms;         /* then it is ended, and its exit code is 124; none */
    int watch;
    unsigned chunk_pool;
    long cancel_grace_ms, drain_grace_ms;
} corch_exec;

/*
 * Runs the command, its words quoted for /bin/sh -c, as a run of its own: pipeline "exec" with one
 * stage. Its run-summary.json is the record of the command (docs/formats.md), with the first
 * CODEX_ORCHESTRATOR_EXEC_EVENT_MAX_CHUNKS chunks of output (default, or 0: all).
 * Otherwise as corch_run_start.
 */
corch_run *corch_exec_start(const corch_config *config, const corch_exec *exec, corch_error *e);

/* Many commands. */
typedef struct corch_batch {
    const char *const *commands; /* for /bin/sh -c, UTF-8 */
    const unsigned long *lines;  /* a number for each, for its id "line-N"; NULL: from 1 on */
    size_t n;                    /* at least 1 */
    const char *cwd;             /* their folder, as seen from the root; default: the root */
} corch_batch;

/* Runs the commands as the stages of one run: pipeline "exec-batch". Of the options, what a pipeline
 * would be chosen by is ignored. Otherwise as corch_run_start. */
corch_run *corch_batch_start(const corch_config *config, const corch_batch *batch,
                             const corch_options *options, corch_error *e);

typedef enum corch_status { CORCH_SUCCEEDED, CORCH_FAILED, CORCH_CANCELLED } corch_status;

typedef struct corch_result {
    corch_status status;
    const char *status_name;   /* "succeeded", "failed", "cancelled" */
    const char *status_detail; /* "stage:ID:failed", …; NULL if there is none */
    const char *run_id;
    const char *artifact_root; /* the run's folder; this and the next two as seen from the root */
    const char *manifest;
    const char *log_path;
    const char *summary;           /* lines for people, or NULL */
    const char *const *warnings;   /* what could not be recorded, NULL-terminated */
    unsigned long manifest_writes; /* how often manifest.json was replaced */
    int exit_code; /* of corch_exec_start's command: its own, or 128 and the number of the signal
                      that ended it; -1: it was not executed */
} corch_result;

/* Waits for the end; the result is the run's and lives as long. Frames not taken yet are kept. */
const corch_result *corch_run_wait(corch_run *run);

/* A stage of a run that is over. Strings are the run's, and NULL if there is nothing to say. */
typedef struct corch_stage {
    const char *id, *title;
    const char *command;  /* NULL: a subpipeline */
    const char *status;   /* "pending", "succeeded", "failed", "skipped" */
    int exit_code;        /* its command's, 128 and the number of the signal that ended it, or 124 if
                             it timed out; -1: it was not executed */
    int64_t duration_ms;  /* -1: it was not executed */
    const char *summary;  /* what it said, or how it ended */
    const char *log_path, *error_file; /* as seen from the root */
} corch_stage;

/* The i-th stage, from 0, in the order of the pipeline; after corch_run_wait. 1: `*stage` is set, 0:
 * there are not that many. */
int corch_run_stage(corch_run *run, size_t i, corch_stage *stage);

/* What was found before the run went on, for people: what a crash had left and `resume` has put in order, a
 * target that no stage answers to. `i` from 0; NULL: no more. The run's; any thread. */
const char *corch_run_found(const corch_run *run, size_t i);

/* The run's folder, absolute; the run's. Its runner.ndjson grows while the run goes on. */
const char *corch_run_folder(const corch_run *run);

/* A run that belongs to another: itself, or one of its subpipelines. Strings live as long as the
 * run that was started. */
typedef struct corch_part {
    const char *run_id;
    const char *folder;        /* absolute; its runner.ndjson grows while it goes on */
    const char *parent_run_id; /* NULL: it is the run that was started */
    size_t stage;              /* which stage of the parent it is, from 1 */
    uint64_t log_begin;        /* so many bytes of runner.ndjson are of earlier sessions */
} corch_part;

/* The i-th part of the run: 0 is the run itself, then subpipelines in the order they began. 1: `*part`
 * is set, 0: not that many have begun. Any thread, until corch_run_free. */
int corch_run_part(corch_run *run, size_t i, corch_part *part);

/* A descriptor that becomes readable when the run is over; the run's, don't read or close it. */
int corch_run_fd(const corch_run *run);

/* Of a run of corch_exec_start: a descriptor that becomes readable when the run's log has grown. Read
 * eight bytes from it (it is an eventfd(2)) before you look at the log. Of other runs: -1. */
int corch_run_log_fd(const corch_run *run);

/* Asks the run to end: SIGTERM to its commands, SIGKILL after the grace time; `now` not 0: SIGKILL
 * at once. The run ends as cancelled, with everything recorded. Again: no harm. */
void corch_run_cancel(corch_run *run, int now);

/* Frees a run that is over (waits if it is not). */
void corch_run_free(corch_run *run);

typedef enum corch_frame_kind {
    CORCH_FRAME_STATE, /* run:state or stage:state: something began or ended */
    CORCH_FRAME_CHUNK, /* output of a command: data, size, stream */
    CORCH_FRAME_EVENT  /* another line of the log (docs/formats.md) */
} corch_frame_kind;

/* Lives until the next corch_run_next of the run. */
typedef struct corch_frame {
    corch_frame_kind kind;
    uint64_t sequence;  /* of all frames of the run and its subpipelines, from 1 */
    uint64_t lost;      /* frames lost directly before this one because the watcher was behind */
    const char *run_id; /* the run, or the subpipeline's */
    size_t stage;       /* number of the stage in its pipeline, from 1; 0: the run itself */
    const char *json;   /* the whole event, one line without newline */
    const char *status; /* of a state frame, else NULL */
    int stream;         /* of a chunk: 1 stdout, 2 stderr */
    const char *data;   /* of a chunk: the exact bytes, and a NUL behind them */
    size_t size;
} corch_frame;

/*
 * Takes the next frame, waiting up to `timeout_ms` (negative: until there is one). 1: `*frame` is
 * set, 0: the run is over and all frames were taken, -1: the time is over. A run started without
 * `watch` has no frames.
 */
int corch_run_next(corch_run *run, corch_frame *frame, int timeout_ms);

/* Frames lost so far. */
uint64_t corch_run_lost(const corch_run *run);

#ifdef __cplusplus
}
#endif

#endif
