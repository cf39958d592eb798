/* Owns the tables of the manifest's JSON form, and printing it. The thread that owns the manifest.
 */
#include "manifest_json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "ndjson.h"

#define DIGITS_(n) #n
#define DIGITS(n) DIGITS_(n)
#define AT(field) offsetof(struct manifest, field), NULL
#define WHOLE 0, NULL

const struct member manifest_members[MANIFEST_MEMBERS] = {
    {"version", M_FIXED, 0, "1"},
    {"task_id", M_TEXT, AT(task_id)},
    {"task_slug", M_TEXT_NULL, AT(task_slug)},
    {"run_id", M_TEXT, AT(run_id)},
    {"parent_run_id", M_TEXT_NULL, AT(parent_run_id)},
    {"pipeline_id", M_TEXT, AT(pipeline_id)},
    {"pipeline_title", M_TITLE, offsetof(struct manifest, pipeline_title), "pipeline_id"},
    {"runner", M_FIXED, 0, "\"codex-cli\""},
    {"approval_policy", M_TEXT_NULL, AT(approval_policy)},
    {"status", M_STATUS, AT(status)},
    {"status_detail", M_TEXT_NULL, AT(status_detail)},
    {"started_at", M_TIME, AT(started_ms)},
    {"completed_at", M_TIME_NULL, AT(completed_ms)},
    {"updated_at", M_TIME, AT(updated_ms)},
    {"heartbeat_at", M_TIME_NULL, AT(heartbeat_ms)},
    {"heartbeat_interval_seconds", M_FIXED, 0, DIGITS(HEARTBEAT_SECONDS)},
    {"heartbeat_stale_after_seconds", M_FIXED, 0, DIGITS(HEARTBEAT_STALE_SECONDS)},
    {"artifact_root", M_TEXT, AT(artifact_root)},
    {"compat_path", M_TEXT, AT(compat_path)},
    {"log_path", M_TEXT, AT(log_path)},
    {"summary", M_TEXT_NULL, AT(summary)},
    {"metrics_recorded", M_BOOL, AT(metrics_recorded)},
    {"resume_token", M_TEXT, AT(resume_token)},
    {"resume_events", M_LIST, AT(resume_events)},
    {"approvals", M_LIST, AT(approvals)},
    {"commands", M_COMMANDS, WHOLE},
    {"child_runs", M_LIST, AT(child_runs)},
    {"run_summary_path", M_TEXT_NULL, AT(run_summary_path)},
    {"plan_target_id", M_TEXT_NULL, AT(plan_target_id)},
    {"instructions_hash", M_KEPT, 0, "null"},
    {"instructions_sources", M_KEPT, 0, "[]"},
    {"prompt_packs", M_KEPT, 0, "[]"},
    {"guardrails_required", M_BOOL, AT(guardrails_required)},
    {"guardrail_status", M_GUARDRAIL, WHOLE},
    {"handles", M_HANDLES, AT(handles)},
    {"scheduler", M_SCHEDULER, WHOLE},
    {"privacy", M_PRIVACY, WHOLE},
};

#define ENTRY(field) offsetof(struct manifest_command, field), NULL

const struct member entry_members[ENTRY_MEMBERS] = {
    {"id", M_TEXT, ENTRY(id)},
    {"title", M_TITLE, offsetof(struct manifest_command, title), "id"},
    {"command", M_TEXT_NULL, ENTRY(command)},
    {"kind", M_STAGE_KIND, ENTRY(kind)},
    {"status", M_STAGE_STATE, ENTRY(state)},
    {"started_at", M_TIME_NULL, ENTRY(started_ms)},
    {"completed_at", M_TIME_NULL, ENTRY(completed_ms)},
    {"exit_code", M_EXIT_CODE, WHOLE},
    {"summary", M_TEXT_NULL, ENTRY(summary)},
    {"log_path", M_TEXT_NULL, ENTRY(log_path)},
    {"error_file", M_TEXT_NULL, ENTRY(error_file)},
    {"sub_run_id", M_TEXT_NULL, ENTRY(sub_run_id)},
};

static void add_value(struct buf *out, const cJSON *value)
{
    if (json_print(value, false, out) < 0)
        out->failed = true;
}

static void add_text(struct buf *out, const char *text)
{
    if (text)
        ndjson_addstr(out, text);
    else
        buf_addstr(out, "null");
}

static void add_time(struct buf *out, int64_t wall_ms)
{
    char text[CLOCK_ISO_LEN + 3] = "\"";
    if (wall_ms != CLOCK_NEVER) {
        clock_iso(wall_ms, text + 1);
        text[CLOCK_ISO_LEN + 1] = '"';
        buf_add(out, text, CLOCK_ISO_LEN + 2);
    } else {
        buf_addstr(out, "null");
    }
}

static void add_list(struct buf *out, const struct buf *elements)
{
    buf_addch(out, '[');
    buf_add(out, elements->data, elements->len);
    buf_addch(out, ']');
}

static void add_guardrail(struct buf *out, const struct manifest_guardrail *g)
{
    buf_addf(out, "{\"present\":%s,\"recommendation\":", g->present ? "true" : "false");
    add_text(out, g->recommendation);
    buf_addstr(out, ",\"summary\":");
    add_text(out, g->summary);
    buf_addstr(out, ",\"computed_at\":");
    add_time(out, g->computed_ms);
    buf_addf(out,
             ",\"counts\":{\"total\":%u,\"succeeded\":%u,\"failed\":%u,\"skipped\":%u,"
             "\"other\":%u}}",
             g->total, g->succeeded, g->failed, g->skipped, g->other);
}

static void add_privacy(struct buf *out, const struct manifest *m)
{
    buf_addf(out, "{\"mode\":\"%s\",\"decisions\":", m->privacy_enforce ? "enforce" : "shadow");
    add_list(out, &m->decisions);
    buf_addf(out,
             ",\"totals\":{\"total_frames\":%" PRIu64 ",\"redacted_frames\":%" PRIu64
             ",\"blocked_frames\":%" PRIu64 ",\"allowed_frames\":%" PRIu64 "},\"log_path\":",
             m->frames, m->frames_redacted, m->frames_blocked,
             m->frames - m->frames_redacted - m->frames_blocked);
    add_text(out, m->privacy_log_path);
    buf_addch(out, '}');
}

static void add_scheduler(struct buf *out, const struct manifest_scheduler *s)
{
    buf_addstr(out, "{\"mode\":\"multi-instance\",\"requested_at\":");
    add_time(out, s->requested_ms);
    buf_addf(out,
             ",\"min_instances\":%u,\"max_instances\":%u,\"recovery\":"
             "{\"heartbeat_interval_seconds\":%u,\"missing_heartbeat_timeout_seconds\":%u,"
             "\"max_retries\":%u},\"assignments\":",
             s->min_workers, s->workers, s->heartbeat_seconds, s->stale_seconds, s->retries_max);
    add_list(out, &s->assignments);
    buf_addch(out, '}');
}

/* The kinds that both tables use, and those of an entry. */
static void add_plain(struct buf *out, void *base, const struct member *m)
{
    const struct manifest_command *c = base;
    switch (m->kind) {
    case M_TEXT:
    case M_TEXT_NULL:
    case M_TITLE:
        add_text(out, *(char **)member_field(base, m));
        break;
    case M_TIME:
    case M_TIME_NULL:
        add_time(out, *(int64_t *)member_field(base, m));
        break;
    case M_BOOL:
        buf_addstr(out, *(bool *)member_field(base, m) ? "true" : "false");
        break;
    case M_STAGE_KIND:
        add_text(out, c->kind == STAGE_COMMAND ? "command" : "subpipeline");
        break;
    case M_STAGE_STATE:
        add_text(out, stage_state_name(c->state));
        break;
    case M_EXIT_CODE:
        if (c->has_exit_code)
            buf_addf(out, "%d", c->exit_code);
        else
            buf_addstr(out, "null");
        break;
    default:
        buf_addstr(out, m->literal);
        break;
    }
}

static int print_entry(struct manifest_command *c, size_t index)
{
    struct buf text = BUF_INIT;
    buf_addf(&text, "{\"index\":%zu", index + 1);
    for (size_t i = 0; i < ENTRY_MEMBERS; i++) {
        buf_addf(&text, ",\"%s\":", entry_members[i].key);
        add_plain(&text, c, &entry_members[i]);
    }
    buf_addch(&text, '}');
    size_t len = text.len;
    c->json = buf_detach(&text);
    c->json_len = c->json ? len : 0;
    return c->json ? 0 : -1;
}

static void add_commands(struct buf *out, struct manifest *m)
{
    size_t room = 0;
    for (size_t i = 0; i < m->n_commands; i++) {
        if (!m->commands[i].json && print_entry(&m->commands[i], i) < 0) {
            out->failed = true;
            return;
        }
        room += m->commands[i].json_len + 2;
    }
    buf_room(out, room + 8);
    buf_addch(out, '[');
    for (size_t i = 0; i < m->n_commands; i++) {
        buf_add(out, i ? ",\n" : "\n", i ? 2 : 1);
        buf_add(out, m->commands[i].json, m->commands[i].json_len);
    }
    buf_addstr(out, "\n]");
}

static void add_member(struct buf *out, struct manifest *m, const struct member *member)
{
    const cJSON *kept = NULL;
    switch (member->kind) {
    case M_STATUS:
        add_text(out, run_status_name(m->status));
        break;
    case M_KEPT:
        kept = cJSON_GetObjectItemCaseSensitive(m->foreign, member->key);
        if (kept)
            add_value(out, kept);
        else
            buf_addstr(out, member->literal);
        break;
    case M_LIST:
    case M_HANDLES:
        add_list(out, member_field(m, member));
        break;
    case M_COMMANDS:
        add_commands(out, m);
        break;
    case M_GUARDRAIL:
        add_guardrail(out, &m->guardrail);
        break;
    case M_PRIVACY:
        add_privacy(out, m);
        break;
    case M_SCHEDULER:
        add_scheduler(out, &m->scheduler);
        break;
    default:
        add_plain(out, m, member);
        break;
    }
}

static bool is_there(const struct manifest *m, const struct member *member)
{
    switch (member->kind) {
    case M_GUARDRAIL:
        return m->guardrail.computed;
    case M_HANDLES:
        return m->has_privacy || m->n_handles > 0;
    case M_SCHEDULER:
        return m->scheduler.assignments.len > 0;
    case M_PRIVACY:
        return m->has_privacy;
    default:
        return true;
    }
}

const struct member *manifest_member(const char *key)
{
    for (size_t i = 0; i < MANIFEST_MEMBERS; i++) {
        if (strcmp(manifest_members[i].key, key) == 0)
            return &manifest_members[i];
    }
    return NULL;
}

static void add_foreign(struct buf *out, const struct manifest *m)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, m->foreign)
    {
        if (manifest_member(item->string))
            continue;
        buf_addstr(out, ",\n");
        add_text(out, item->string);
        buf_addch(out, ':');
        add_value(out, item);
    }
}

int manifest_print(struct manifest *m, struct buf *out)
{
    buf_clear(out);
    const char *before = "{\n";
    for (size_t i = 0; i < MANIFEST_MEMBERS; i++) {
        if (!is_there(m, &manifest_members[i]))
            continue;
        buf_addf(out, "%s\"%s\":", before, manifest_members[i].key);
        add_member(out, m, &manifest_members[i]);
        before = ",\n";
    }
    add_foreign(out, m);
    buf_addstr(out, "\n}\n");
    if (out->failed)
        errno = ENOMEM;
    return out->failed ? -1 : 0;
}
