/*
 * Owns the manifest in memory: its life, and every change that can be made to it. Its JSON form
 * is in manifest_json.c. The thread that owns the manifest.
 */
#include "manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "guardrail.h"
#include "jsontext.h"

static const char *const status_names[] = {"queued", "in_progress", "succeeded", "failed",
                                           "cancelled"};

const char *run_status_name(enum run_status s)
{
    return status_names[s];
}

bool run_status_parse(const char *name, enum run_status *out)
{
    for (size_t i = 0; name && i < sizeof status_names / sizeof *status_names; i++) {
        if (strcmp(name, status_names[i]) == 0) {
            *out = (enum run_status)i;
            return true;
        }
    }
    return false;
}

static int copy(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return text && !*to ? -1 : 0;
}

static int init_command(struct manifest_command *c, const struct stage *stage)
{
    c->kind = stage->kind;
    c->state = STAGE_PENDING;
    c->started_ms = c->completed_ms = CLOCK_NEVER;
    if (copy(&c->id, stage->id) < 0 || copy(&c->title, stage->title) < 0)
        return -1;
    return copy(&c->command, stage->kind == STAGE_COMMAND ? stage->command : NULL);
}

int manifest_init(struct manifest *m, const struct pipeline *pipeline, int64_t now_ms)
{
    *m = (struct manifest){
        .status = RUN_QUEUED,
        .started_ms = now_ms,
        .updated_ms = now_ms,
        .heartbeat_ms = now_ms,
        .completed_ms = CLOCK_NEVER,
        .guardrails_required = pipeline_guardrails_required(pipeline),
    };
    manifest_scheduler_init(&m->scheduler, now_ms);
    m->commands = calloc(pipeline->n_stages + 1, sizeof *m->commands);
    int result = m->commands ? copy(&m->pipeline_id, pipeline->id) : -1;
    if (result == 0)
        result = copy(&m->pipeline_title, pipeline->title);
    for (; result == 0 && m->n_commands < pipeline->n_stages; m->n_commands++)
        result = init_command(&m->commands[m->n_commands], &pipeline->stages[m->n_commands]);
    if (result < 0) {
        manifest_release(m);
        errno = ENOMEM;
    }
    return result;
}

static void release_command(struct manifest_command *c)
{
    char *const texts[] = {c->id,       c->title,      c->command,    c->summary,
                           c->log_path, c->error_file, c->sub_run_id, c->json};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
}

void manifest_release(struct manifest *m)
{
    char *const texts[] = {
        m->task_id,        m->task_slug,      m->run_id,           m->parent_run_id,
        m->pipeline_id,    m->pipeline_title, m->approval_policy,  m->artifact_root,
        m->compat_path,    m->log_path,       m->privacy_log_path, m->run_summary_path,
        m->plan_target_id, m->resume_token,   m->status_detail,    m->summary};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    for (size_t i = 0; i < m->n_commands; i++)
        release_command(&m->commands[i]);
    free(m->commands);
    struct buf *const lists[] = {&m->handles, &m->child_runs, &m->decisions, &m->resume_events,
                                 &m->approvals, &m->handle_views,
                                 &m->scheduler.assignments};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        buf_release(lists[i]);
    cJSON_Delete(m->foreign);
    *m = (struct manifest){0};
}

static void drop_printed(struct manifest_command *c)
{
    free(c->json);
    c->json = NULL;
    c->json_len = 0;
}

static void begin_again(struct manifest_command *c)
{
    c->started_ms = c->completed_ms = CLOCK_NEVER;
    c->has_exit_code = false;
    free(c->summary);
    c->summary = NULL;
}

int manifest_stage_event(struct manifest *m, size_t index, enum stage_event event, int64_t now_ms)
{
    if (index >= m->n_commands || stage_next(&m->commands[index].state, event) < 0) {
        errno = EINVAL;
        return -1;
    }
    struct manifest_command *c = &m->commands[index];
    if (event == STAGE_EV_START) {
        c->started_ms = now_ms;
    } else if (event != STAGE_EV_RESUME) {
        c->completed_ms = now_ms;
        c->ran = true;
    } else if (c->state == STAGE_PENDING) {
        begin_again(c);
    }
    drop_printed(c);
    return 0;
}

int manifest_set(struct manifest_command *c, char **field, const char *value)
{
    char *text;
    if (copy(&text, value) < 0)
        return -1;
    free(*field);
    *field = text;
    drop_printed(c);
    return 0;
}

static bool has_line(const char *text, const char *line)
{
    size_t n = strlen(line);
    for (const char *at = text; (at = strstr(at, line)); at++) {
        if ((at == text || at[-1] == '\n') && (at[n] == '\0' || at[n] == '\n'))
            return true;
    }
    return false;
}

int manifest_add_summary(struct manifest *m, const char *line)
{
    if (!*line || (m->summary && has_line(m->summary, line)))
        return 0;
    struct buf text = BUF_INIT;
    if (m->summary)
        buf_addf(&text, "%s\n", m->summary);
    buf_addstr(&text, line);
    char *summary = buf_detach(&text);
    if (!summary)
        return -1;
    free(m->summary);
    m->summary = summary;
    return 0;
}

/* Appends a printed element, whole or not at all. */
static int append_text(struct buf *list, const char *text, size_t n)
{
    if (!buf_room(list, n + 1)) {
        list->failed = false;
        errno = ENOMEM;
        return -1;
    }
    if (list->len)
        buf_addch(list, ',');
    buf_add(list, text, n);
    return 0;
}

static int append_element(struct buf *list, const cJSON *element)
{
    struct buf text = BUF_INIT;
    int result = json_print(element, false, &text);
    if (result == 0)
        result = append_text(list, text.data, text.len);
    buf_release(&text);
    return result;
}

void manifest_scheduler_init(struct manifest_scheduler *s, int64_t requested_ms)
{
    *s = (struct manifest_scheduler){.requested_ms = requested_ms,
                                     .workers = 1,
                                     .min_workers = 1,
                                     .heartbeat_seconds = HEARTBEAT_SECONDS,
                                     .stale_seconds = HEARTBEAT_STALE_SECONDS};
}

int manifest_add_assignment(struct manifest *m, const char *element)
{
    return append_text(&m->scheduler.assignments, element, strlen(element));
}

int manifest_view_handle(struct manifest *m, const struct handle_view *h)
{
    struct buf *b = &m->handle_views;
    size_t before = b->len;
    if (b->len > 0)
        jsontext_line(b);
    jsontext_open(b, NULL, '{');
    jsontext_str(b, "handleId", h->handle_id);
    jsontext_str(b, "correlationId", h->correlation_id);
    jsontext_str(b, "stageId", h->stage_id);
    jsontext_str(b, "status", h->status);
    jsontext_u64(b, "frameCount", h->frames);
    jsontext_u64(b, "latestSequence", h->latest);
    jsontext_close(b, '}');
    if (!b->failed)
        return 0;
    b->failed = false;
    b->len = before;
    errno = ENOMEM;
    return -1;
}

int manifest_add_handle(struct manifest *m, const char *handle_id, const char *correlation_id,
                        const char *stage_id, uint64_t frames, int64_t created_ms)
{
    const struct handle_view view = {handle_id, correlation_id, stage_id, "closed", frames, frames};
    struct buf b = BUF_INIT;
    jsontext_open(&b, NULL, '{');
    jsontext_str(&b, "handle_id", handle_id);
    jsontext_str(&b, "correlation_id", correlation_id);
    jsontext_str(&b, "stage_id", stage_id);
    jsontext_str(&b, "pipeline_id", m->pipeline_id);
    jsontext_str(&b, "status", view.status);
    jsontext_u64(&b, "frame_count", frames);
    jsontext_u64(&b, "latest_sequence", frames);
    jsontext_time(&b, "created_at", created_ms);
    jsontext_open(&b, "metadata", '{');
    jsontext_str(&b, "run_id", m->run_id);
    jsontext_close(&b, '}');
    jsontext_close(&b, '}');
    errno = ENOMEM;
    int result = b.failed ? -1 : append_text(&m->handles, b.data, b.len);
    buf_release(&b);
    if (result == 0)
        result = manifest_view_handle(m, &view);
    if (result == 0) {
        m->n_handles++;
        m->frames += frames;
        m->has_privacy = true;
    }
    return result;
}

int manifest_add_child(struct manifest *m, const char *run_id, const char *pipeline_id,
                       enum run_status status, const char *manifest_path)
{
    cJSON *child = json_new();
    json_str(child, "run_id", run_id);
    json_str(child, "pipeline_id", pipeline_id);
    json_str(child, "status", run_status_name(status));
    json_str(child, "manifest", manifest_path);
    int result = append_element(&m->child_runs, child);
    cJSON_Delete(child);
    if (result == 0)
        m->n_child_runs++;
    return result;
}

int manifest_guardrails(struct manifest *m, int64_t now_ms)
{
    struct manifest_guardrail *g = &m->guardrail;
    guardrail_count(g, m->commands, m->n_commands);
    guardrail_word(g, m->guardrails_required);
    g->computed_ms = now_ms;
    g->computed = true;
    char *summary = guardrail_summary(m->summary, g);
    if (!summary)
        return -1;
    free(m->summary);
    m->summary = summary;
    return 0;
}
