/*
 * The manifest of a run in memory, and its JSON form (docs/formats.md). While the run is open it
 * belongs to the persister; before and after to the thread that drives the run (I1).
 */
#ifndef CORCH_MANIFEST_H
#define CORCH_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"
#include "json.h"
#include "stage_state.h"

enum run_status { RUN_QUEUED, RUN_IN_PROGRESS, RUN_SUCCEEDED, RUN_FAILED, RUN_CANCELLED };
const char *run_status_name(enum run_status s);
bool run_status_parse(const char *name, enum run_status *out);

/* One entry of "commands". Strings are its own. Times are wall milliseconds or CLOCK_NEVER. */
struct manifest_command {
    char *id, *title, *command; /* command NULL for a subpipeline */
    enum stage_kind kind;
    enum stage_state state;
    int64_t started_ms, completed_ms;
    int exit_code;
    int signal; /* that ended it; 0: none, or not in this session; not in the JSON */
    bool has_exit_code;
    bool ran;         /* ended in this session (not kept from an earlier one); not in the JSON */
    bool spawn_error; /* could not be executed at all; not in the JSON */
    char *summary, *log_path, *error_file, *sub_run_id; /* each may be NULL */
    char *json; /* printed entry; NULL: print again. manifest_set and manifest_stage_event drop it,
                 * so that one of them has to follow a change of another field */
    size_t json_len;
};

struct manifest_guardrail {
    bool computed;
    bool present;
    const char *recommendation; /* static text, or NULL */
    char summary[128];
    int64_t computed_ms;
    unsigned total, succeeded, failed, skipped, other;
};

/* The threads that ran commands, and what was assigned to them. */
struct manifest_scheduler {
    struct buf assignments; /* printed elements, joined with commas; empty: there is no such block */
    int64_t requested_ms;
    unsigned workers, min_workers, retries_max, heartbeat_seconds, stale_seconds;
};

/* What a single command cost, in the original's terms. */
struct manifest_tool {
    unsigned calls; /* 0: the run is a pipeline's, and the rest is 0 */
    int64_t tokens, latency_ms;
    double cost_usd;
};

struct manifest {
    char *task_id, *task_slug, *run_id, *parent_run_id, *pipeline_id, *pipeline_title;
    char *approval_policy, *artifact_root, *compat_path, *log_path, *privacy_log_path;
    char *run_summary_path, *plan_target_id, *resume_token;
    enum run_status status;
    char *status_detail, *summary;
    int64_t started_ms, completed_ms, updated_ms, heartbeat_ms;
    bool metrics_recorded, guardrails_required, privacy_enforce;

    struct manifest_command *commands;
    size_t n_commands;

    /* Printed array elements, joined with commas: they are only ever appended to. */
    struct buf handles, child_runs, decisions, resume_events, approvals;
    struct buf handle_views; /* what the run's summary shows of each handle, one a line */
    struct manifest_scheduler scheduler;
    unsigned n_handles, n_child_runs, n_decisions;
    bool has_privacy; /* a command has run: the privacy block is written */
    uint64_t frames, frames_redacted, frames_blocked;

    /* Blocks of a manifest we read and write back as they are, or NULL. */
    cJSON *foreign;

    struct manifest_guardrail guardrail;
    struct manifest_tool tool; /* for the task's metrics; not in the JSON */
};

/* A new manifest with one pending entry per stage. Sets ids from `pipeline`, times to `now_ms`;
 * the caller sets the paths and the rest. 0, or -1 (ENOMEM). */
int manifest_init(struct manifest *m, const struct pipeline *pipeline, int64_t now_ms);
void manifest_release(struct manifest *m);

/* Moves command `index` (0-based) along the stage table. -1 (EINVAL) if the event can't happen
 * there; nothing is changed then. START sets started_ms, the ends set completed_ms, to `now_ms`,
 * and `ran`; a RESUME that makes it pending again clears times, exit code and summary. */
int manifest_stage_event(struct manifest *m, size_t index, enum stage_event event, int64_t now_ms);

/* Replaces a string field of an entry (`field` points into it) and drops its printed form.
 * `value` may be NULL. */
int manifest_set(struct manifest_command *c, char **field, const char *value);

/* Appends a line to the summary unless it is in it already. 0, or -1 (ENOMEM). */
int manifest_add_summary(struct manifest *m, const char *line);

/* What the run's summary shows of a handle. */
struct handle_view {
    const char *handle_id, *correlation_id, *stage_id, *status;
    uint64_t frames, latest;
};
int manifest_view_handle(struct manifest *m, const struct handle_view *h); /* 0, or -1 (ENOMEM) */

/* Records an execution's handle and counts its frames; from then on the manifest has a privacy
 * block. This and the next: 0, or -1 (ENOMEM) with nothing changed. */
int manifest_add_handle(struct manifest *m, const char *handle_id, const char *correlation_id,
                        const char *stage_id, uint64_t frames, int64_t created_ms);

int manifest_add_child(struct manifest *m, const char *run_id, const char *pipeline_id,
                       enum run_status status, const char *manifest_path);

/* One worker and nothing assigned yet; `requested_ms` as in the block. */
void manifest_scheduler_init(struct manifest_scheduler *s, int64_t requested_ms);

/* Appends a printed element to the scheduler's assignments. */
int manifest_add_assignment(struct manifest *m, const char *element);

/* Counts guardrail commands and words the result; the summary's guardrail lines are replaced.
 * 0, or -1 (ENOMEM) with the summary as it was. */
int manifest_guardrails(struct manifest *m, int64_t now_ms);

/* The JSON document into `out` (cleared first), one line per command. Printed entries are reused.
 * 0, or -1 (ENOMEM). */
int manifest_print(struct manifest *m, struct buf *out);

/* Reads a manifest back, whoever wrote it. Members of the document that are not modelled here go
 * to `foreign`; unknown members of a command entry are dropped. On failure -1, nothing to release,
 * and `e` names the member that is missing or wrong. Printing what was read gives the bytes that
 * manifest_print wrote. */
int manifest_parse(const cJSON *doc, struct manifest *out, struct err *e);

#endif
