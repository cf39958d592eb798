/* Owns the way back into a run. The thread that will drive it. */
#include "resume.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activity.h"
#include "bounds.h"
#include "clock.h"
#include "find_run.h"
#include "json.h"
#include "reaper.h"
#include "reasons.h"
#include "recover.h"
#include "run_lock.h"

/* An orchestrator that takes no lock may be at work on the run: its heartbeat tells. */
static int refuse_live(const struct rundir *dir, const char *run_id, struct err *e)
{
    struct activity a;
    cJSON *doc = NULL;
    int rc = activity_look(dir, &doc, &a, e);
    cJSON_Delete(doc);
    if (rc == 0 && a.state == ACTIVITY_LIVE && !a.locked)
        rc = err_set(e, "run %s is live: its last heartbeat is younger than %lld s", run_id,
                     (long long)(a.stale_after_ms / 1000));
    return rc;
}

static int refuse_held(const struct rundir *dir, const char *run_id, struct err *e)
{
    struct run_holder holder;
    char who[64] = "another orchestrator";
    run_lock_holder(dir->fd, &holder);
    /* else the one who holds it has not noted itself yet */
    if (holder.pid > 0 && (kill((pid_t)holder.pid, 0) == 0 || errno == EPERM))
        snprintf(who, sizeof who, "another orchestrator, process %ld", holder.pid);
    return err_set(e, "run %s is held by %s; see: codex-orchestrator status %s", run_id, who, run_id);
}

/* A process that is being started when ours is killed holds its locks until it has executed something
 * else: for a moment nobody is refused. */
static int lock(const struct rundir *dir)
{
    int fd;
    int64_t give_up = clock_mono_ns() + LOCK_PATIENCE_NS;
    while ((fd = run_lock(dir->fd)) < 0 && errno == EWOULDBLOCK && clock_mono_ns() < give_up)
        clock_sleep_ms(5);
    return fd;
}

/* Takes the run's lock and reads the manifest under it. */
static int lock_and_read(const struct rundir *dir, const char *run_id, int *lock_fd,
                         struct manifest *m, struct err *e)
{
    *lock_fd = lock(dir);
    if (*lock_fd < 0)
        return errno == EWOULDBLOCK ? refuse_held(dir, run_id, e)
                                    : err_sys(e, "can't lock %s", dir->path);
    struct buf text = BUF_INIT;
    cJSON *doc = NULL;
    int rc = json_slurp(dir->fd, "manifest.json", false, &text);
    if (rc != 0)
        err_sys(e, "can't read %s/manifest.json", dir->path);
    else
        doc = json_parse(text.data, text.len, "manifest.json", e);
    rc = doc ? manifest_parse(doc, m, e) : -1;
    cJSON_Delete(doc);
    buf_release(&text);
    return rc;
}

/* Both become parts of paths: the manifest may have been written by anybody. */
static int check_ids(const struct manifest *m, const struct workspace *w,
                     const struct resume_request *request, const struct rundir *dir, struct err *e)
{
    if (strcmp(m->run_id, request->run_id) != 0)
        return err_set(e, "%s/manifest.json is of another run, '%s'", dir->path, m->run_id);
    if (request->child && strcmp(m->task_id, w->task_id) != 0)
        return err_set(e, "%s/manifest.json is of another task, '%s'", dir->path, m->task_id);
    return 0;
}

/* Looks at every byte whatever the first difference, so that its time tells nothing. */
static bool same_secret(const char *a, const char *b)
{
    size_t n = strlen(a), given = strlen(b);
    unsigned char different = n != given;
    for (size_t i = 0; i < given; i++)
        different |= (unsigned char)(b[i] ^ a[n ? i % n : 0]);
    return !different;
}

static int check_token(const struct manifest *m, const char *token, struct err *e)
{
    if (!token || same_secret(m->resume_token, token))
        return 0;
    return err_set(e, "Resume token mismatch.");
}

/* A run goes on only with the stages it began with: its record is about them. */
static int check_stages(const struct manifest *m, const struct pipeline *p, struct err *e)
{
    if (m->n_commands != p->n_stages)
        return err_set(e, "pipeline '%s' has %zu stages now, run %s has %zu: start a new run", p->id,
                       p->n_stages, m->run_id, m->n_commands);
    for (size_t i = 0; i < p->n_stages; i++) {
        if (strcmp(m->commands[i].id, p->stages[i].id) != 0)
            return err_set(e, "stage %zu of pipeline '%s' is '%s' now, in run %s it is '%s': start a "
                              "new run", i + 1, p->id, p->stages[i].id, m->run_id, m->commands[i].id);
        if (m->commands[i].kind != p->stages[i].kind)
            return err_set(e, "stage '%s' of pipeline '%s' is of another kind now than in run %s: start a "
                              "new run", p->stages[i].id, p->id, m->run_id);
    }
    return 0;
}

static void add_event(struct manifest *m, const struct resume_request *request, int64_t now)
{
    struct buf text = BUF_INIT;
    cJSON *event = json_new();
    json_str(event, "actor", request->actor ? request->actor : "cli");
    json_str(event, "reason", request->reason ? request->reason : "manual-resume");
    json_str(event, "outcome", "accepted");
    json_time(event, "timestamp", now);
    if (json_print(event, false, &text) == 0) {
        if (m->resume_events.len > 0)
            buf_addch(&m->resume_events, ',');
        buf_add(&m->resume_events, text.data, text.len);
    }
    cJSON_Delete(event);
    buf_release(&text);
}

/* What runs now is what the configuration says now. */
static int name_again(struct manifest_command *c, const struct stage *s)
{
    return manifest_set(c, &c->title, s->title) | manifest_set(c, &c->command, s->command);
}

/* Back to a run in progress; what it had achieved stays. */
static int reset(struct live_run *r, const struct resume_request *request)
{
    struct manifest *m = &r->journal.manifest;
    int64_t now = clock_wall_ms();
    add_event(m, request, now);
    m->status = RUN_IN_PROGRESS;
    m->completed_ms = CLOCK_NEVER;
    m->heartbeat_ms = now;
    m->metrics_recorded = false;
    m->guardrail.computed = false;
    free(m->status_detail);
    m->status_detail = strdup(REASON_RESUMING);
    if (!m->privacy_log_path)
        m->privacy_log_path = text_join(r->journal.dir.rel, "/privacy-decisions.ndjson", "");
    free(m->plan_target_id);
    m->plan_target_id = r->plan.target_id ? strdup(r->plan.target_id) : NULL;
    for (size_t i = 0; i < m->n_commands; i++) {
        m->commands[i].ran = false;
        if (manifest_stage_event(m, i, STAGE_EV_RESUME, now) != 0)
            return -1;
        if (m->commands[i].state != STAGE_PENDING)
            graph_keep(&r->graph, i);
        else if (name_again(&m->commands[i], &r->pipeline->stages[i]) != 0)
            return -1;
    }
    return m->resume_events.failed || !m->status_detail || !m->privacy_log_path ? -1 : 0;
}

/* Whether it is the one meant, and was interrupted or has succeeded. */
static bool is_child(const struct manifest *m, const struct resume_child *child, struct notices *notices)
{
    if (!m->parent_run_id || strcmp(m->parent_run_id, child->parent_run_id) != 0 ||
        strcmp(m->pipeline_id, child->pipeline_id) != 0) {
        notices_add(notices, "run %s: run %s is not one of its pipeline '%s', which is run anew",
                    child->parent_run_id, m->run_id, child->pipeline_id);
        return false;
    }
    return m->status != RUN_FAILED && m->status != RUN_CANCELLED;
}

/* Matches the run with the configuration of today. */
static int match(struct live_run *r, const struct config *config,
                 const struct resume_request *request, struct notices *notices, struct err *e)
{
    const struct manifest *m = &r->journal.manifest;
    r->pipeline = config_pipeline(config, m->pipeline_id);
    if (!r->pipeline && strcmp(m->pipeline_id, BATCH_PIPELINE) == 0) {
        r->batch = batch_read(m, r->journal.dir.fd, e);
        if (!r->batch)
            return -1;
        r->pipeline = &r->batch->pipeline;
    }
    if (!r->pipeline)
        return err_set(e, "Pipeline '%s' not found.", m->pipeline_id);
    if (request->child && !is_child(m, request->child, notices))
        return -1;
    const char *target = request->target ? request->target : m->plan_target_id;
    if (check_token(m, request->token, e) != 0 || check_stages(m, r->pipeline, e) != 0)
        return -1;
    errno = ENOMEM;
    return plan_build(r->pipeline, target, &r->plan) == 0 ? 0 : err_sys(e, "can't plan the run");
}

/* From here on the run is ours. What a killed session left running must not go on beside what it is run
 * again for. */
static void take_over(const struct live_run *r, const char *instance)
{
    const struct manifest *m = &r->journal.manifest;
    struct run_holder before;
    run_lock_holder(r->journal.dir.fd, &before);
    if (before.instance[0] && (m->status == RUN_IN_PROGRESS || m->status == RUN_QUEUED))
        reaper_sweep(before.instance);
    run_lock_note(r->journal.dir.fd, instance);
}

static int prepare(struct live_run *r, const struct workspace *own, size_t pools,
                   const struct resume_request *request, struct notices *notices, struct err *e)
{
    take_over(r, request->instance);
    if (recover_run(&r->journal.dir, &r->journal.manifest, r->pipeline, notices, e) != 0 ||
        run_prepare(r, own, pools, request->instance, e) != 0)
        return -1;
    r->resumed = true;
    errno = ENOMEM;
    return reset(r, request) == 0 ? 0 : err_sys(e, "can't take up run %s", request->run_id);
}

struct live_run *run_resume(const struct workspace *w, const struct config *config,
                            const struct resume_request *request, struct workspace *own,
                            struct notices *notices, struct err *e)
{
    struct live_run *r = run_alloc(NULL, request->watch, e);
    if (!r)
        return NULL;
    struct buf text = BUF_INIT;
    struct manifest *m = &r->journal.manifest;
    bool owned = false;
    int rc = find_run(w, request->run_id, &r->journal.dir, &text, e);
    buf_release(&text);
    if (rc == 0)
        rc = refuse_live(&r->journal.dir, request->run_id, e);
    if (rc == 0)
        rc = lock_and_read(&r->journal.dir, request->run_id, &r->lock_fd, m, e);
    if (rc == 0)
        rc = check_ids(m, w, request, &r->journal.dir, e);
    if (rc == 0)
        rc = match(r, config, request, notices, e);
    if (rc == 0 && own) {
        rc = workspace_open(own, w->root, m->task_id, e);
        owned = rc == 0;
    }
    if (rc == 0)
        rc = prepare(r, own ? own : w, config->n_pools, request, notices, e);
    if (rc == 0)
        return r;
    run_free(r);
    if (owned)
        workspace_release(own);
    return NULL;
}
