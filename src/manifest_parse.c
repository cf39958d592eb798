/* Owns reading a manifest back, whoever wrote it. Main thread, before a run is resumed. */
#include "manifest_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "guardrail.h"

/* Where in the document a value stands, for messages: "commands[3]." and the member's key. */
struct place {
    char prefix[32];
    const char *key;
    struct err *e;
};

static int wrong(const struct place *p, const char *what)
{
    errno = EINVAL;
    return err_set(p->e, "manifest: \"%s%s\" %s", p->prefix, p->key, what);
}

static int no_memory(const struct place *p)
{
    errno = ENOMEM;
    return err_sys(p->e, "manifest: \"%s%s\"", p->prefix, p->key);
}

static bool is_null(const cJSON *item)
{
    return !item || cJSON_IsNull(item);
}

static int take_text(const cJSON *item, bool may_be_null, char **to, const struct place *p)
{
    if (may_be_null && is_null(item))
        return 0;
    if (!cJSON_IsString(item))
        return wrong(p, item ? "is not a string" : "is missing");
    *to = strdup(item->valuestring);
    return *to ? 0 : no_memory(p);
}

static int take_time(const cJSON *item, bool may_be_null, int64_t *to, const struct place *p)
{
    *to = CLOCK_NEVER;
    if (may_be_null && is_null(item))
        return 0;
    if (!cJSON_IsString(item))
        return wrong(p, item ? "is not a string" : "is missing");
    *to = clock_parse_iso(item->valuestring);
    return *to != CLOCK_NEVER ? 0 : wrong(p, "is not a time like 2026-01-31T12:00:00.000Z");
}

static int take_bool(const cJSON *item, bool *to, const struct place *p)
{
    if (!is_null(item) && !cJSON_IsBool(item))
        return wrong(p, "is not a boolean");
    *to = cJSON_IsTrue(item);
    return 0;
}

/* A whole number from `min` to `max`, both within what a double keeps exactly. */
static int take_number(const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *to,
                       const struct place *p)
{
    struct place here = *p;
    here.key = key;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    *to = json_get_int(object, key, min - 1);
    if (!cJSON_IsNumber(item) || *to < min || *to > max || (double)*to != item->valuedouble)
        return wrong(&here, "is not a whole number, or out of range");
    return 0;
}

static int take_list(const cJSON *item, struct buf *list, unsigned *count, const struct place *p)
{
    if (is_null(item))
        return 0;
    if (!cJSON_IsArray(item))
        return wrong(p, "is not an array");
    const cJSON *element;
    cJSON_ArrayForEach(element, item)
    {
        if (!cJSON_IsObject(element))
            return wrong(p, "has an element that is not an object");
        if (list->len)
            buf_addch(list, ',');
        if (json_print(element, false, list) < 0)
            return no_memory(p);
        ++*count;
    }
    return list->failed ? no_memory(p) : 0;
}

static int take_exit_code(const cJSON *entry, struct manifest_command *c, const struct place *p)
{
    int64_t code = 0;
    if (is_null(cJSON_GetObjectItemCaseSensitive(entry, p->key)))
        return 0;
    if (take_number(entry, p->key, INT32_MIN, INT32_MAX, &code, p) < 0)
        return -1;
    c->exit_code = (int)code;
    c->has_exit_code = true;
    return 0;
}

/* The kinds that both tables use, and those of an entry. */
static int take_plain(const cJSON *object, void *base, const struct member *m,
                      const struct place *p)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, m->key);
    const char *text = cJSON_GetStringValue(item);
    struct manifest_command *c = base;
    switch (m->kind) {
    case M_TEXT:
    case M_TEXT_NULL:
        return take_text(item, m->kind == M_TEXT_NULL, member_field(base, m), p);
    case M_TITLE: /* the original writes none for what has none in the configuration */
        item = item ? item : cJSON_GetObjectItemCaseSensitive(object, m->literal);
        return take_text(item, false, member_field(base, m), p);
    case M_TIME:
    case M_TIME_NULL:
        return take_time(item, m->kind == M_TIME_NULL, member_field(base, m), p);
    case M_BOOL:
        return take_bool(item, member_field(base, m), p);
    case M_STAGE_KIND:
        c->kind = text && strcmp(text, "subpipeline") == 0 ? STAGE_SUBPIPELINE : STAGE_COMMAND;
        if (c->kind == STAGE_COMMAND && (!text || strcmp(text, "command") != 0))
            return wrong(p, "is neither \"command\" nor \"subpipeline\"");
        return 0;
    case M_STAGE_STATE:
        return stage_state_parse(text, &c->state) ? 0 : wrong(p, "is not a state of a stage");
    case M_EXIT_CODE:
        return take_exit_code(object, c, p);
    default:
        return 0;
    }
}

static int take_entry(const cJSON *entry, size_t index, struct manifest_command *c, struct err *e)
{
    struct place p = {.key = "", .e = e};
    snprintf(p.prefix, sizeof p.prefix, "commands[%zu].", index);
    if (!cJSON_IsObject(entry))
        return wrong(&p, "is not an object");
    p.key = "index";
    if (json_get_int(entry, p.key, 0) != (int64_t)index + 1)
        return wrong(&p, "is not the entry's place, counted from 1");
    for (size_t i = 0; i < ENTRY_MEMBERS; i++) {
        p.key = entry_members[i].key;
        if (take_plain(entry, c, &entry_members[i], &p) < 0)
            return -1;
    }
    return 0;
}

static int take_commands(const cJSON *item, struct manifest *m, const struct place *p)
{
    if (!cJSON_IsArray(item))
        return wrong(p, item ? "is not an array" : "is missing");
    m->commands = calloc((size_t)cJSON_GetArraySize(item) + 1, sizeof *m->commands);
    if (!m->commands)
        return no_memory(p);
    const cJSON *entry;
    cJSON_ArrayForEach(entry, item)
    {
        size_t index = m->n_commands++;
        if (take_entry(entry, index, &m->commands[index], p->e) < 0)
            return -1;
    }
    return 0;
}

/* Only counts and time are read: the words follow from them. */
static int take_guardrail(const cJSON *item, struct manifest *m, const struct place *p)
{
    if (is_null(item))
        return 0;
    struct manifest_guardrail *g = &m->guardrail;
    const struct place in_counts = {.prefix = "guardrail_status.counts.", .e = p->e};
    const cJSON *counts = cJSON_GetObjectItemCaseSensitive(item, "counts");
    const struct {
        const char *key;
        unsigned *to;
    } numbers[] = {{"total", &g->total},
                   {"succeeded", &g->succeeded},
                   {"failed", &g->failed},
                   {"skipped", &g->skipped},
                   {"other", &g->other}};
    if (!cJSON_IsObject(counts))
        return wrong(p, "is not an object with counts");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int64_t n;
        if (take_number(counts, numbers[i].key, 0, INT32_MAX, &n, &in_counts) < 0)
            return -1;
        *numbers[i].to = (unsigned)n;
    }
    g->computed = true;
    const struct place at = {.prefix = "guardrail_status.", .key = "computed_at", .e = p->e};
    return take_time(cJSON_GetObjectItemCaseSensitive(item, at.key), false, &g->computed_ms, &at);
}

static int take_frames(const cJSON *totals, struct manifest *m, const struct place *p)
{
    const int64_t max = (INT64_C(1) << 53) - 1;
    int64_t total, redacted, blocked;
    if (take_number(totals, "total_frames", 0, max, &total, p) < 0 ||
        take_number(totals, "redacted_frames", 0, total, &redacted, p) < 0 ||
        take_number(totals, "blocked_frames", 0, total - redacted, &blocked, p) < 0)
        return -1;
    m->frames = (uint64_t)total;
    m->frames_redacted = (uint64_t)redacted;
    m->frames_blocked = (uint64_t)blocked;
    return 0;
}

static int take_privacy(const cJSON *item, struct manifest *m, const struct place *p)
{
    if (is_null(item))
        return 0;
    const struct place totals = {.prefix = "privacy.totals.", .e = p->e};
    const struct place log = {.prefix = "privacy.", .key = "log_path", .e = p->e};
    const struct place decisions = {.prefix = "privacy.", .key = "decisions", .e = p->e};
    const char *mode = json_get_str(item, "mode");
    if (!mode || (strcmp(mode, "shadow") != 0 && strcmp(mode, "enforce") != 0))
        return wrong(p, "has no mode \"shadow\" or \"enforce\"");
    m->privacy_enforce = strcmp(mode, "enforce") == 0;
    m->has_privacy = true;
    if (take_frames(cJSON_GetObjectItemCaseSensitive(item, "totals"), m, &totals) < 0 ||
        take_text(cJSON_GetObjectItemCaseSensitive(item, log.key), true, &m->privacy_log_path,
                  &log) < 0)
        return -1;
    return take_list(cJSON_GetObjectItemCaseSensitive(item, decisions.key), &m->decisions,
                     &m->n_decisions, &decisions);
}

static int take_unsigned(const cJSON *object, const char *key, int64_t min, unsigned *to,
                         const struct place *p)
{
    int64_t n;
    if (take_number(object, key, min, INT32_MAX, &n, p) < 0)
        return -1;
    *to = (unsigned)n;
    return 0;
}

static int take_scheduler(const cJSON *item, struct manifest *m, const struct place *p)
{
    struct manifest_scheduler *s = &m->scheduler;
    manifest_scheduler_init(s, m->started_ms);
    if (is_null(item))
        return 0;
    const struct place in = {.prefix = "scheduler.", .key = "requested_at", .e = p->e};
    const struct place list = {.prefix = "scheduler.", .key = "assignments", .e = p->e};
    const struct place deeper = {.prefix = "scheduler.recovery.", .e = p->e};
    const cJSON *recovery = cJSON_GetObjectItemCaseSensitive(item, "recovery");
    unsigned ignored = 0;
    if (take_time(cJSON_GetObjectItemCaseSensitive(item, in.key), false, &s->requested_ms, &in) < 0 ||
        take_unsigned(item, "min_instances", 1, &s->min_workers, &in) < 0 ||
        take_unsigned(item, "max_instances", 1, &s->workers, &in) < 0 ||
        take_unsigned(recovery, "heartbeat_interval_seconds", 1, &s->heartbeat_seconds, &deeper) < 0 ||
        take_unsigned(recovery, "missing_heartbeat_timeout_seconds", 1, &s->stale_seconds,
                      &deeper) < 0 ||
        take_unsigned(recovery, "max_retries", 0, &s->retries_max, &deeper) < 0)
        return -1;
    return take_list(cJSON_GetObjectItemCaseSensitive(item, list.key), &s->assignments, &ignored,
                     &list);
}

static int keep_foreign(const cJSON *item, struct manifest *m, const struct place *p)
{
    if (!m->foreign)
        m->foreign = cJSON_CreateObject();
    cJSON *same = cJSON_Duplicate(item, true);
    if (m->foreign && same && cJSON_AddItemToObject(m->foreign, item->string, same))
        return 0;
    cJSON_Delete(same);
    return no_memory(p);
}

static int keep_unless_literal(const cJSON *item, struct manifest *m, const struct member *member,
                               const struct place *p)
{
    if (!item)
        return 0;
    struct buf text = BUF_INIT;
    bool printed = json_print(item, false, &text) == 0;
    bool same = printed && strcmp(text.data, member->literal) == 0;
    buf_release(&text);
    if (!printed)
        return no_memory(p);
    return same ? 0 : keep_foreign(item, m, p);
}

static int take_handles(const cJSON *item, struct manifest *m, const struct place *p)
{
    const cJSON *h;
    if (take_list(item, &m->handles, &m->n_handles, p) < 0)
        return -1;
    cJSON_ArrayForEach(h, item)
    {
        int64_t frames = json_get_int(h, "frame_count", 0), latest = json_get_int(h, "latest_sequence", 0);
        const struct handle_view view = {.handle_id = json_get_str(h, "handle_id"),
                                         .correlation_id = json_get_str(h, "correlation_id"),
                                         .stage_id = json_get_str(h, "stage_id"),
                                         .status = json_get_str(h, "status"),
                                         .frames = frames > 0 ? (uint64_t)frames : 0,
                                         .latest = latest > 0 ? (uint64_t)latest : 0};
        if (manifest_view_handle(m, &view) < 0)
            return no_memory(p);
    }
    return 0;
}

static int take_member(const cJSON *doc, struct manifest *m, const struct member *member,
                       struct err *e)
{
    const struct place p = {.key = member->key, .e = e};
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(doc, member->key);
    unsigned ignored = 0;
    switch (member->kind) {
    case M_STATUS:
        return run_status_parse(cJSON_GetStringValue(item), &m->status)
                   ? 0
                   : wrong(&p, "is not a status of a run");
    case M_KEPT:
        return keep_unless_literal(item, m, member, &p);
    case M_LIST:
        return take_list(item, member_field(m, member),
                         member_field(m, member) == &m->child_runs ? &m->n_child_runs : &ignored,
                         &p);
    case M_HANDLES:
        return take_handles(item, m, &p);
    case M_COMMANDS:
        return take_commands(item, m, &p);
    case M_GUARDRAIL:
        return take_guardrail(item, m, &p);
    case M_PRIVACY:
        return take_privacy(item, m, &p);
    case M_SCHEDULER:
        return take_scheduler(item, m, &p);
    default:
        return take_plain(doc, m, member, &p);
    }
}

static int take_document(const cJSON *doc, struct manifest *m, struct err *e)
{
    const cJSON *item;
    for (size_t i = 0; i < MANIFEST_MEMBERS; i++) {
        if (take_member(doc, m, &manifest_members[i], e) < 0)
            return -1;
    }
    cJSON_ArrayForEach(item, doc)
    {
        const struct place p = {.key = item->string, .e = e};
        if (!manifest_member(item->string) && keep_foreign(item, m, &p) < 0)
            return -1;
    }
    if (m->guardrail.computed)
        guardrail_word(&m->guardrail, m->guardrails_required);
    return 0;
}

int manifest_parse(const cJSON *doc, struct manifest *out, struct err *e)
{
    *out = (struct manifest){0};
    if (!cJSON_IsObject(doc)) {
        errno = EINVAL;
        return err_set(e, "manifest: not an object");
    }
    if (json_get_int(doc, "version", 0) != 1) {
        errno = EINVAL;
        return err_set(e, "manifest: \"version\" is not 1, the version this program reads");
    }
    if (take_document(doc, out, e) == 0)
        return 0;
    int saved = errno;
    manifest_release(out);
    errno = saved;
    return -1;
}
