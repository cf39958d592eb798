/* Owns the text of log events that are no chunks. Pure functions, any thread. */
#include "events.h"

#include "clock.h"
#include "ndjson.h"

bool session_persisted(const struct stage *stage)
{
    return stage->session_id && (stage->session_persist || stage->session_reuse == FLAG_TRUE);
}

static void add_key(struct buf *b, const char *key, const char *value)
{
    buf_addf(b, ",\"%s\":", key);
    if (value)
        ndjson_addstr(b, value);
    else
        buf_addstr(b, "null");
}

static void add_int(struct buf *b, const char *key, int64_t value)
{
    buf_addf(b, ",\"%s\":%lld", key, (long long)value);
}

static void begin_line(struct buf *b, const char *type)
{
    buf_addf(b, "{\"type\":\"%s\"", type);
}

static void begin_exec(struct buf *b, const char *type, const struct event_context *c)
{
    begin_line(b, type);
    add_key(b, "correlation_id", c->correlation_id);
    add_int(b, "attempt", c->attempt);
}

static void end_line(struct buf *b, const struct event_context *c, int64_t wall_ms)
{
    char time[CLOCK_ISO_LEN + 1];
    clock_iso(wall_ms, time);
    add_key(b, "timestamp", time);
    add_int(b, "index", (int64_t)c->index);
    buf_addstr(b, "}\n");
}

void events_start(struct buf *b, const struct event_context *c, int64_t wall_ms)
{
    begin_line(b, "command:start");
    add_key(b, "command", c->stage->command);
    end_line(b, c, wall_ms);
}

void events_begin(struct buf *b, const struct event_context *c, int64_t wall_ms)
{
    begin_exec(b, "exec:begin", c);
    add_key(b, "command", c->stage->command);
    buf_addstr(b, ",\"args\":[]");
    add_key(b, "cwd", c->cwd);
    add_key(b, "session_id", c->session_id);
    add_key(b, "sandbox_state", "sandboxed");
    buf_addf(b, ",\"persisted\":%s", session_persisted(c->stage) ? "true" : "false");
    end_line(b, c, wall_ms);
}

static void add_end(struct buf *b, const struct event_end *end)
{
    if (end->exit_code >= 0)
        add_int(b, "exit_code", end->exit_code);
    else
        add_key(b, "exit_code", NULL);
    add_key(b, "signal", end->signal);
    add_int(b, "duration_ms", end->duration_ms);
    if (end->timed_out)
        buf_addstr(b, ",\"timed_out\":true");
}

void events_end(struct buf *b, const struct event_context *c, const struct event_end *end,
                bool succeeded, int64_t wall_ms)
{
    begin_exec(b, "exec:end", c);
    add_end(b, end);
    add_key(b, "status", succeeded ? "succeeded" : "failed");
    end_line(b, c, wall_ms);
}

void events_retry(struct buf *b, const struct event_context *c, const char *why, int64_t delay_ms,
                  int64_t wall_ms)
{
    begin_exec(b, "exec:retry", c);
    add_int(b, "delay_ms", delay_ms);
    add_key(b, "sandbox_state", "sandboxed");
    add_key(b, "error_message", why);
    end_line(b, c, wall_ms);
}

void events_ended(struct buf *b, const struct event_context *c, const struct event_end *end,
                  int64_t wall_ms)
{
    begin_line(b, "command:end");
    add_end(b, end);
    end_line(b, c, wall_ms);
}

void events_warning(struct buf *b, const struct event_context *c, const char *text,
                    int64_t wall_ms)
{
    begin_line(b, "command:warning");
    add_key(b, "warning", text);
    end_line(b, c, wall_ms);
}
