/* Owns what the end of a command means. Its worker. */
#include "ending.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "ndjson.h"
#include "reasons.h"

/* What the run's manifest says because of this stage. */
static void set_run_effect(struct mutation *m, const struct job *job, const struct outcome *o)
{
    const struct stage *stage = job->stage;
    bool failed = m->event == STAGE_EV_FAIL;
    struct buf b = BUF_INIT;
    m->follows = job->follows;
    if (job->run->exec) {
        m->status_detail = failed ? strdup(REASON_EXEC) : NULL;
        m->run_summary_line = m->summary ? strdup(m->summary) : NULL;
        return;
    }
    if (!failed)
        return;
    bool timed_out = o && o->timed_out;
    m->status_detail = text_join(REASON_STAGE, stage->id,
                                 m->spawn_error ? REASON_ERROR
                                 : timed_out    ? REASON_TIMED_OUT
                                                : REASON_FAILED);
    if (m->spawn_error) {
        m->run_summary_line = m->summary ? strdup(m->summary) : NULL;
        return;
    }
    buf_addf(&b, "Stage '%s' ", stage->title);
    if (timed_out)
        buf_addstr(&b, "timed out.");
    else
        buf_addf(&b, "failed with exit code %d.", m->exit_code);
    m->run_summary_line = buf_detach(&b);
}

/* The content of errors/NN-id.json, or NULL. */
static char *error_document(const struct job *job, const struct outcome *o, int64_t now_ms)
{
    const struct run_context *run = job->run;
    struct buf text = BUF_INIT;
    cJSON *doc = json_new();
    json_str(doc, "run_id", run->run_id);
    json_str(doc, "task_id", run->task_id);
    json_int(doc, "command_index", (int64_t)job->index + 1);
    json_str(doc, "command_id", job->stage->id);
    json_str(doc, "command", job->stage->command);
    json_str(doc, "reason", o->timed_out ? ERROR_COMMAND_TIMED_OUT : ERROR_COMMAND_FAILED);
    json_add(doc, "details", outcome_details(o));
    json_time(doc, "created_at", now_ms);
    int rc = json_print(doc, true, &text);
    buf_addch(&text, '\n');
    cJSON_Delete(doc);
    if (rc != 0)
        buf_release(&text);
    return rc == 0 ? buf_detach(&text) : NULL;
}

/* What of the command was captured, in whichever attempt. */
static void set_handle(struct mutation *m, const struct attempts *a)
{
    memcpy(m->handle_id, a->handle_id, sizeof a->handle_id);
    memcpy(m->correlation_id, a->correlation_id, sizeof a->correlation_id);
    m->frames = a->sequence + 2; /* begin and end */
    m->handle_ms = a->begin_ms;
}

void ending_executed(struct mutation *m, struct job *job, const struct outcome *o)
{
    const struct stage *stage = job->stage;
    bool succeeded = outcome_code(o) == 0;
    bool excused = stage->allow_failure && !o->interrupted;
    m->event = succeeded ? STAGE_EV_SUCCEED : excused ? STAGE_EV_EXCUSE : STAGE_EV_FAIL;
    m->has_exit_code = true;
    m->exit_code = outcome_code(o);
    m->signal = o->timed_out ? 0 : o->signal;
    m->summary = outcome_summary(o, stage);
    if (m->event == STAGE_EV_FAIL)
        m->error_text = error_document(job, o, m->now_ms);
    set_run_effect(m, job, o);
    set_handle(m, &job->attempts);
}

void ending_unstarted(struct mutation *m, struct job *job, char *why)
{
    m->spawn_error = true;
    m->event = STAGE_EV_FAIL;
    m->summary = why;
    set_run_effect(m, job, NULL);
    if (job->attempts.executed)
        set_handle(m, &job->attempts);
}

static void add_time(struct buf *b, const char *key, int64_t ms)
{
    char time[CLOCK_ISO_LEN + 1];
    clock_iso(ms, time);
    buf_addf(b, "\"%s\":\"%s\",", key, time);
}

/* An element of "attempts", up to its checkpoints. */
static void add_attempt(struct buf *b, const struct job *job, const char *status,
                        int64_t started_ms, int64_t completed_ms)
{
    buf_addf(b, "%s{\"number\":%u,", b->len > 0 ? "," : "", job->attempts.number);
    add_time(b, "assigned_at", job->assigned_ms);
    add_time(b, "started_at", started_ms);
    add_time(b, "completed_at", completed_ms);
    buf_addf(b, "\"status\":\"%s\",\"recovery_checkpoints\":[", status);
}

void ending_requeue(const struct mutation *m, struct job *job, int64_t started_ms)
{
    struct buf *b = &job->attempts.printed;
    add_attempt(b, job, "requeued", started_ms, m->now_ms);
    buf_addch(b, '{');
    add_time(b, "timestamp", m->now_ms);
    buf_addstr(b, "\"reason\":\"auto\",\"action\":\"requeue\",\"detail\":");
    if (m->summary)
        ndjson_addstr(b, m->summary);
    else
        buf_addstr(b, "null");
    buf_addstr(b, "}]}");
}

/* An element of the scheduler block's "assignments". No cJSON: there may be thousands a second. */
void ending_assign(struct mutation *m, const struct job *job, unsigned worker, int64_t started_ms)
{
    bool ok = m->event != STAGE_EV_FAIL;
    struct buf b = BUF_INIT, attempts = BUF_INIT;
    buf_addf(&b, "{\"instance_id\":\"worker-%u\",\"capability\":", worker);
    ndjson_addstr(&b, job->stage->id);
    buf_addf(&b, ",\"status\":\"%s\",", ok ? "succeeded" : "failed");
    add_time(&b, "assigned_at", job->attempts.assigned_ms);
    add_time(&b, "completed_at", m->now_ms);
    buf_addstr(&b, "\"metadata\":{\"weight\":1,\"maxConcurrency\":1},\"attempts\":[");
    buf_add(&attempts, job->attempts.printed.data, job->attempts.printed.len);
    add_attempt(&attempts, job, ok ? "completed" : "failed", started_ms, m->now_ms);
    buf_add(&b, attempts.data, attempts.len);
    buf_addstr(&b, "]}]}");
    b.failed |= attempts.failed;
    buf_release(&attempts);
    m->assignment = buf_detach(&b);
}

int64_t retry_delay_ms(const struct stage *stage, unsigned attempt, uint32_t random)
{
    int64_t delay = stage->retry_delay_ms;
    for (unsigned i = 1; i < attempt && delay < RETRY_DELAY_MAX_MS; i++)
        delay *= 2;
    if (delay > RETRY_DELAY_MAX_MS)
        delay = RETRY_DELAY_MAX_MS;
    return delay + (int64_t)((uint64_t)(delay / 4 + 1) * random >> 32);
}
