/* Owns the content of run-summary.json. The thread that drives the run, after its end. */
#include "summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jsontext.h"
#include "mode.h"

struct view {
    const struct manifest *m;
    const char *mode, *target;
    struct buf notes, manifest_path;
};

static bool built(const struct manifest *m)
{
    return m->status == RUN_SUCCEEDED;
}

static bool tested(const struct manifest *m)
{
    return built(m) && m->guardrail.present;
}

/* What is told about one entry, or NULL for nothing: it did not come to an end, or could not even
 * be started. Of entries that an earlier session ended only the state is told. */
static const char *told(const struct manifest_command *c)
{
    if (!stage_is_final(c->state) || c->spawn_error)
        return NULL;
    bool in_full = c->ran && c->kind == STAGE_COMMAND && c->summary;
    return in_full ? c->summary : stage_state_name(c->state);
}

/* The manager's decision: what the planner found for the target is a flag to it, and decides. */
static bool is_for_cloud(const struct plan *plan)
{
    const struct mode_input in = {
        .flags = {plan_target_requires_cloud(plan) ? FLAG_TRUE : FLAG_FALSE, FLAG_UNSET,
                  FLAG_UNSET}};
    return mode_requires_cloud(MODE_MANAGER, &in);
}

static int view_init(struct view *v, const struct manifest *m, const struct plan *plan)
{
    *v = (struct view){.m = m, .mode = mode_name(is_for_cloud(plan)), .target = plan->target_id};
    for (size_t i = 0; i < m->n_commands; i++) {
        const char *text = told(&m->commands[i]);
        if (!text)
            continue;
        buf_addstr(&v->notes, v->notes.len ? "\n" : "");
        buf_addstr(&v->notes, m->commands[i].title);
        buf_addstr(&v->notes, ": ");
        buf_addstr(&v->notes, text);
    }
    buf_addf(&v->manifest_path, "%s/manifest.json", m->artifact_root);
    return v->notes.failed || v->manifest_path.failed ? -1 : 0;
}

static void view_release(struct view *v)
{
    buf_release(&v->notes);
    buf_release(&v->manifest_path);
}

static void add_notes(struct buf *out, const char *key, const struct view *v)
{
    if (v->notes.len)
        jsontext_str(out, key, v->notes.data);
}

static void add_artifact(struct buf *out, const char *path, const char *description)
{
    jsontext_open(out, NULL, '{');
    jsontext_str(out, "path", path);
    jsontext_str(out, "description", description);
    jsontext_close(out, '}');
}

static void add_build(struct buf *out, const struct view *v)
{
    jsontext_open(out, "build", '{');
    jsontext_str(out, "subtaskId", v->target);
    jsontext_open(out, "artifacts", '[');
    add_artifact(out, v->manifest_path.data, "CLI run manifest");
    add_artifact(out, v->m->log_path, "Runner log (ndjson)");
    jsontext_close(out, ']');
    jsontext_str(out, "mode", v->mode);
    jsontext_str(out, "runId", v->m->run_id);
    jsontext_bool(out, "success", built(v->m));
    add_notes(out, "notes", v);
    jsontext_close(out, '}');
}

static void add_test(struct buf *out, const struct view *v)
{
    const struct manifest_guardrail *g = &v->m->guardrail;
    bool advise = !g->present && g->recommendation, was_built = built(v->m);
    jsontext_open(out, "test", '{');
    jsontext_str(out, "subtaskId", v->target);
    jsontext_bool(out, "success", tested(v->m));
    jsontext_open(out, "reports", '[');
    jsontext_open(out, NULL, '{');
    jsontext_str(out, "name", was_built ? "guardrails" : "tests");
    jsontext_str(out, "status", tested(v->m) ? "passed" : "failed");
    jsontext_str(out, "details",
                 !was_built ? "Skipped because the build stage failed."
                 : advise   ? g->recommendation
                            : g->summary);
    jsontext_close(out, '}');
    jsontext_close(out, ']');
    jsontext_str(out, "runId", v->m->run_id);
    jsontext_close(out, '}');
}

char *summary_review(const struct manifest *m)
{
    if (!built(m))
        return strdup("Review skipped: build stage failed.");
    if (!tested(m))
        return strdup("Review skipped: tests failed.");
    struct buf text = BUF_INIT;
    buf_addf(&text, "Diagnostics pipeline succeeded.\nManifest: %s/manifest.json\nRunner log: %s",
             m->artifact_root, m->log_path);
    return buf_detach(&text);
}

static void add_review(struct buf *out, const struct view *v)
{
    char *review = summary_review(v->m);
    out->failed |= !review;
    jsontext_open(out, "review", '{');
    jsontext_str(out, "summary", review);
    free(review);
    jsontext_open(out, "decision", '{');
    jsontext_bool(out, "approved", tested(v->m));
    if (tested(v->m))
        add_notes(out, "feedback", v);
    else
        jsontext_str(out, "feedback",
                     built(v->m) ? "Tests failed; review skipped." : "Build stage failed; review skipped.");
    jsontext_close(out, '}');
    jsontext_close(out, '}');
}

static void add_handles(struct buf *out, const struct manifest *m)
{
    if (m->n_handles == 0)
        return;
    jsontext_line(out);
    jsontext_open(out, "handles", '[');
    jsontext_line(out);
    buf_add(out, m->handle_views.data, m->handle_views.len);
    jsontext_close(out, ']');
}

static void add_privacy(struct buf *out, const struct manifest *m)
{
    if (!m->has_privacy)
        return;
    jsontext_line(out);
    jsontext_open(out, "privacy", '{');
    jsontext_str(out, "mode", m->privacy_enforce ? "enforce" : "shadow");
    jsontext_u64(out, "totalFrames", m->frames);
    jsontext_u64(out, "redactedFrames", m->frames_redacted);
    jsontext_u64(out, "blockedFrames", m->frames_blocked);
    jsontext_u64(out, "allowedFrames", m->frames - m->frames_redacted - m->frames_blocked);
    jsontext_close(out, '}');
}

static void add_document(struct buf *out, const struct view *v, const struct plan *plan,
                         int64_t now_ms)
{
    jsontext_open(out, NULL, '{');
    jsontext_line(out);
    jsontext_str(out, "taskId", v->m->task_id);
    jsontext_line(out);
    jsontext_str(out, "runId", v->m->run_id);
    jsontext_line(out);
    jsontext_str(out, "mode", v->mode);
    jsontext_line(out);
    plan_print(plan, "plan", out);
    jsontext_line(out);
    add_build(out, v);
    jsontext_line(out);
    add_test(out, v);
    jsontext_line(out);
    add_review(out, v);
    jsontext_line(out);
    jsontext_time(out, "timestamp", now_ms);
    add_handles(out, v->m);
    add_privacy(out, v->m);
    buf_addstr(out, "\n}\n");
}

int summary_print(struct manifest *m, const struct plan *plan, int64_t now_ms, struct buf *out)
{
    struct view v;
    buf_clear(out);
    if (!m->guardrail.computed && manifest_guardrails(m, now_ms) < 0)
        return -1;
    if (view_init(&v, m, plan) == 0)
        add_document(out, &v, plan, now_ms);
    else
        out->failed = true;
    view_release(&v);
    if (out->failed)
        errno = ENOMEM;
    return out->failed ? -1 : 0;
}
