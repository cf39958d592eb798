/* Owns the making of live runs. The thread that drives them. */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "atomicfile.h"
#include "bounds.h"
#include "clock.h"
#include "environment.h"
#include "exec_request.h"
#include "fd.h"
#include "guard.h"
#include "ids.h"
#include "json.h"
#include "live_marks.h"
#include "logfile.h"
#include "reaper.h"
#include "run_lock.h"

/* 0, or -1: there is no memory for a text that is not NULL. */
static int copy(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return text && !*to ? -1 : 0;
}

/* The run's place below .runs as seen from the root, "cli" for itself, "mcp" for the old pointer. */
static char *place(const struct workspace *w, const char *kind, const char *run_id)
{
    struct buf b = BUF_INIT;
    buf_addf(&b, "%s/%s/%s/%s", w->runs, w->task_id, kind, run_id);
    char *path = buf_detach(&b);
    char *rel = path ? workspace_relative(w, path) : NULL;
    free(path);
    return rel;
}

static int fill_manifest(struct manifest *m, const struct workspace *w,
                         const struct run_request *request, const char *target_id,
                         const char *run_id)
{
    char token[ID_TOKEN_LEN + 1];
    id_token(token);
    int rc = copy(&m->task_id, w->task_id) | copy(&m->run_id, run_id) |
             copy(&m->task_slug, request->exec ? NULL : w->task_slug) |
             copy(&m->parent_run_id, request->parent_run_id) |
             copy(&m->approval_policy, request->approval_policy) |
             copy(&m->plan_target_id, request->exec ? NULL : target_id) |
             copy(&m->resume_token, token);
    m->artifact_root = place(w, "cli", run_id);
    m->compat_path = place(w, "mcp", run_id);
    if (rc != 0 || !m->artifact_root || !m->compat_path)
        return -1;
    m->log_path = text_join(m->artifact_root, "/runner.ndjson", "");
    m->privacy_log_path = text_join(m->artifact_root, "/privacy-decisions.ndjson", "");
    return m->log_path && m->privacy_log_path ? 0 : -1;
}

static int make_environment(struct live_run *r, const struct workspace *w, const char *instance)
{
    const struct manifest *m = &r->journal.manifest;
    char *manifest_path = text_join(r->journal.dir.path, "/manifest.json", "");
    if (!manifest_path)
        return -1;
    const struct env_var vars[] = {
        {"CODEX_ORCHESTRATOR_TASK_ID", m->task_id},
        {"CODEX_ORCHESTRATOR_RUN_ID", m->run_id},
        {"CODEX_ORCHESTRATOR_PIPELINE_ID", m->pipeline_id},
        {"CODEX_ORCHESTRATOR_MANIFEST_PATH", manifest_path},
        {"CODEX_ORCHESTRATOR_RUN_DIR", r->journal.dir.path},
        {"CODEX_ORCHESTRATOR_RUNS_DIR", w->runs},
        {"CODEX_ORCHESTRATOR_OUT_DIR", w->out},
        {"CODEX_ORCHESTRATOR_REPO_ROOT", w->root},
        {REAPER_MARK, instance},
    };
    r->context.env = environment_new(environ, vars, sizeof vars / sizeof *vars);
    free(manifest_path);
    return r->context.env ? 0 : -1;
}

static int prepare(struct live_run *r, const struct workspace *w, const struct run_request *request,
                   struct err *e)
{
    char run_id[ID_RUN_LEN + 1];
    struct manifest *m = &r->journal.manifest;
    int64_t now = clock_wall_ms();
    id_run(now, run_id);
    if (plan_build(r->pipeline, request->target, &r->plan) != 0 ||
        manifest_init(m, r->pipeline, now) != 0 ||
        fill_manifest(m, w, request, r->plan.target_id, run_id) != 0)
        return err_sys(e, "can't prepare a run of pipeline '%s'", r->pipeline->id);
    if (!request->parent_run_id)
        live_sweep(w);
    if (rundir_create(&r->journal.dir, w, run_id, m->resume_token, now, e) != 0)
        return -1;
    r->lock_fd = run_lock(r->journal.dir.fd);
    if (r->lock_fd < 0)
        return err_sys(e, "can't lock %s", r->journal.dir.path);
    run_lock_note(r->journal.dir.fd, request->instance);
    if (request->batch && batch_write(request->batch, r->journal.dir.fd) != 0)
        return err_sys(e, "can't write batch.json in %s", r->journal.dir.path);
    return run_prepare(r, w, request->pools, request->instance, e);
}

int run_prepare(struct live_run *r, const struct workspace *w, size_t pools, const char *instance,
                struct err *e)
{
    const struct manifest *m = &r->journal.manifest;
    if (journal_init(&r->journal) != 0)
        return err_sys(e, "can't open the files of run %s", r->journal.dir.path);
    if (make_environment(r, w, instance) != 0)
        return err_sys(e, "can't prepare the environment of run %s", m->run_id);
    live_mark(w, &r->journal.dir, m->run_id);
    r->marked_in = w;
    r->context.root = w->root;
    r->context.run_id = m->run_id;
    r->context.task_id = m->task_id;
    r->context.dir_rel = r->journal.dir.rel;
    r->context.exec = r->exec != NULL;
    r->context.enforce_privacy = r->journal.manifest.privacy_enforce = guard_enforced();
    r->context.mirror_streams = environment_says_yes("CODEX_ORCHESTRATOR_EMIT_COMMAND_STREAMS");
    r->context.await_start = r->pipeline->n_stages <= AWAITED_STAGES;
    if (graph_init(&r->graph, r->pipeline, pools) != 0)
        return err_sys(e, "can't prepare run %s", m->run_id);
    return 0;
}

struct live_run *run_alloc(const struct pipeline *pipeline, struct watch *watch, struct err *e)
{
    struct live_run *r = calloc(1, sizeof *r);
    if (!r) {
        err_sys(e, "can't prepare a run");
        return NULL;
    }
    r->pipeline = pipeline;
    r->lock_fd = -1;
    r->journal.dir.fd = r->journal.runner_fd = r->journal.privacy_fd = r->journal.heartbeat_fd = -1;
    r->journal.grown_fd = r->journal.commands_fd = -1;
    r->journal.watch = watch;
    errno = ENOMEM;
    return r;
}

struct live_run *run_new(const struct workspace *w, const struct run_request *request,
                         struct err *e)
{
    struct live_run *r = run_alloc(request->pipeline, request->watch, e);
    if (!r)
        return NULL;
    r->exec = request->exec;
    if (r->exec)
        r->journal.grown_fd = r->exec->grown_fd;
    if (prepare(r, w, request, e) != 0) {
        run_free(r);
        return NULL;
    }
    return r;
}

/* Lines of a stage's number, from 1, and a run's id. */
#define CHILDREN ".subruns"

void run_note_child(const struct live_run *r, size_t index, const char *run_id)
{
    char line[32 + ID_RUN_LEN];
    int n = snprintf(line, sizeof line, "%zu %s\n", index + 1, run_id);
    int fd = logfile_open(r->journal.dir.fd, CHILDREN);
    if (fd >= 0 && write_all(fd, line, (size_t)n) == 0)
        close(fd);
    else
        fd_close(&fd);
}

bool run_noted_child(const struct live_run *r, size_t index, char run_id[ID_RUN_LEN + 1])
{
    struct buf text = BUF_INIT;
    bool found = false;
    if (r->resumed && json_slurp(r->journal.dir.fd, CHILDREN, false, &text) == 0) {
        for (const char *at = text.data; at && *at; at = strchr(at, '\n'), at += at != NULL) {
            size_t number;
            char id[ID_RUN_LEN + 1];
            if (sscanf(at, "%zu %33[0-9A-Za-z-]", &number, id) == 2 && number == index + 1) {
                memcpy(run_id, id, sizeof id);
                found = true;
            }
        }
    }
    buf_release(&text);
    return found;
}

void run_free(struct live_run *r)
{
    if (!r)
        return;
    if (r->marked_in)
        live_unmark(r->marked_in, r->journal.manifest.run_id);
    plan_release(&r->plan);
    graph_release(&r->graph);
    journal_release(&r->journal);
    environment_free(r->context.env);
    batch_free(r->batch);
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    free(r);
}
