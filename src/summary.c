/* Owns the content of run-summary.json. The thread that drives the run, after its end. */
#include "summary.h"

#include <errno.h>

#include "mode.h"

struct view {
    const struct manifest *m;
    const char *mode, *target;
    struct buf notes, manifest_path;
};

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
        if (text)
            buf_addf(&v->notes, "%s%s: %s", v->notes.len ? "\n" : "", m->commands[i].title, text);
    }
    buf_addf(&v->manifest_path, "%s/manifest.json", m->artifact_root);
    return v->notes.failed || v->manifest_path.failed ? -1 : 0;
}

static void view_release(struct view *v)
{
    buf_release(&v->notes);
    buf_release(&v->manifest_path);
}

static void add_notes(cJSON *parent, const char *key, const struct view *v)
{
    if (v->notes.len)
        json_str(parent, key, v->notes.data);
}

static void add_artifact(cJSON *artifacts, const char *path, const char *description)
{
    cJSON *artifact = json_element(artifacts);
    json_str(artifact, "path", path);
    json_str(artifact, "description", description);
}

static void add_build(cJSON *doc, const struct view *v, bool success)
{
    cJSON *build = json_object(doc, "build");
    json_str(build, "subtaskId", v->target);
    cJSON *artifacts = json_array(build, "artifacts");
    add_artifact(artifacts, v->manifest_path.data, "CLI run manifest");
    add_artifact(artifacts, v->m->log_path, "Runner log (ndjson)");
    json_str(build, "mode", v->mode);
    json_str(build, "runId", v->m->run_id);
    json_bool(build, "success", success);
    add_notes(build, "notes", v);
}

static void add_test(cJSON *doc, const struct view *v, bool built, bool success)
{
    const struct manifest_guardrail *g = &v->m->guardrail;
    bool advise = !g->present && g->recommendation;
    cJSON *test = json_object(doc, "test");
    json_str(test, "subtaskId", v->target);
    json_bool(test, "success", success);
    cJSON *report = json_element(json_array(test, "reports"));
    json_str(report, "name", built ? "guardrails" : "tests");
    json_str(report, "status", built && g->present ? "passed" : "failed");
    json_str(report, "details",
             !built   ? "Skipped because the build stage failed."
             : advise ? g->recommendation
                      : g->summary);
    json_str(test, "runId", v->m->run_id);
}

static void add_review(cJSON *doc, const struct view *v, bool built, bool tested)
{
    cJSON *review = json_object(doc, "review");
    struct buf passed = BUF_INIT;
    if (tested)
        buf_addf(&passed, "Diagnostics pipeline succeeded.\nManifest: %s\nRunner log: %s",
                 v->manifest_path.data, v->m->log_path);
    json_str(review, "summary",
             !built    ? "Review skipped: build stage failed."
             : !tested ? "Review skipped: tests failed."
                       : passed.data);
    buf_release(&passed);
    cJSON *decision = json_object(review, "decision");
    json_bool(decision, "approved", tested);
    if (tested)
        add_notes(decision, "feedback", v);
    else
        json_str(decision, "feedback",
                 built ? "Tests failed; review skipped." : "Build stage failed; review skipped.");
}

static void add_handle(cJSON *handles, const cJSON *h)
{
    cJSON *handle = json_element(handles);
    json_str(handle, "handleId", json_get_str(h, "handle_id"));
    json_str(handle, "correlationId", json_get_str(h, "correlation_id"));
    json_str(handle, "stageId", json_get_str(h, "stage_id"));
    json_str(handle, "status", json_get_str(h, "status"));
    json_int(handle, "frameCount", json_get_int(h, "frame_count", 0));
    json_int(handle, "latestSequence", json_get_int(h, "latest_sequence", 0));
}

static int add_handles(cJSON *doc, const struct manifest *m)
{
    if (m->n_handles == 0)
        return 0;
    struct buf text = BUF_INIT;
    buf_addf(&text, "[%s]", m->handles.data);
    cJSON *parsed = text.failed ? NULL : cJSON_Parse(text.data);
    buf_release(&text);
    if (!parsed)
        return -1;
    const cJSON *h;
    cJSON *handles = json_array(doc, "handles");
    cJSON_ArrayForEach(h, parsed)
    {
        add_handle(handles, h);
    }
    cJSON_Delete(parsed);
    return 0;
}

static void add_privacy(cJSON *doc, const struct manifest *m)
{
    if (!m->has_privacy)
        return;
    cJSON *privacy = json_object(doc, "privacy");
    json_str(privacy, "mode", m->privacy_enforce ? "enforce" : "shadow");
    json_int(privacy, "totalFrames", (int64_t)m->frames);
    json_int(privacy, "redactedFrames", (int64_t)m->frames_redacted);
    json_int(privacy, "blockedFrames", (int64_t)m->frames_blocked);
    json_int(privacy, "allowedFrames",
             (int64_t)(m->frames - m->frames_redacted - m->frames_blocked));
}

static cJSON *build_document(const struct view *v, const struct plan *plan, int64_t now_ms)
{
    bool built = v->m->status == RUN_SUCCEEDED;
    bool tested = built && v->m->guardrail.present;
    cJSON *doc = json_new();
    json_str(doc, "taskId", v->m->task_id);
    json_str(doc, "runId", v->m->run_id);
    json_str(doc, "mode", v->mode);
    json_add(doc, "plan", plan_json(plan));
    add_build(doc, v, built);
    add_test(doc, v, built, tested);
    add_review(doc, v, built, tested);
    json_time(doc, "timestamp", now_ms);
    if (add_handles(doc, v->m) < 0) {
        cJSON_Delete(doc);
        return NULL;
    }
    add_privacy(doc, v->m);
    return doc;
}

cJSON *summary_build(struct manifest *m, const struct plan *plan, int64_t now_ms)
{
    struct view v;
    if (!m->guardrail.computed && manifest_guardrails(m, now_ms) < 0)
        return NULL;
    cJSON *doc = view_init(&v, m, plan) == 0 ? build_document(&v, plan, now_ms) : NULL;
    view_release(&v);
    if (!doc)
        errno = ENOMEM;
    return doc;
}

const char *summary_review(const cJSON *summary)
{
    return json_get_str(cJSON_GetObjectItemCaseSensitive(summary, "review"), "summary");
}
