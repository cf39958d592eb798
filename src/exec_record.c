/* Owns the record of a single command. The thread that drives the run. */
#include "exec_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "atomicfile.h"
#include "clock.h"
#include "exec_event.h"
#include "logtail.h"

#define FLUSH_BYTES ((size_t)64 * 1024)

/* Stands in the printed document where something is put in that is not held; JSON escapes it
 * everywhere else. */
#define GAP "\x1F"

#define USD_PER_MILLION_TOKENS 2

/* What a record is made of. */
struct source {
    struct journal *journal;
    const struct exec_request *request;
    struct cancel *cancel;
    struct exec_log *log;
    char log_name[128]; /* of the command's log, below the run's folder */
    int64_t now_ms;
};

/* A member of the command's begin or end line, as it stands there; null if there is none. */
static cJSON *known(const cJSON *line, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, key);
    return item ? cJSON_Duplicate(item, true) : cJSON_CreateNull();
}

static const char *status(const struct source *s)
{
    return s->journal->manifest.status == RUN_SUCCEEDED ? "succeeded" : "failed";
}

static void add_gap(cJSON *to, const char *key)
{
    json_add(to, key, cJSON_CreateRaw(GAP));
}

static void add_run(cJSON *payload, const struct source *s)
{
    const struct manifest *m = &s->journal->manifest;
    cJSON *run = json_object(payload, "run");
    char *path = text_join(m->artifact_root, "/manifest.json", "");
    json_str(run, "id", m->run_id);
    json_str(run, "taskId", m->task_id);
    json_str(run, "pipelineId", m->pipeline_id);
    json_str(run, "manifest", path);
    json_str(run, "artifactRoot", m->artifact_root);
    json_str(run, "summary", m->commands[0].summary);
    free(path);
}

static void add_result(cJSON *payload, const struct source *s)
{
    const struct exec_log *x = s->log;
    cJSON *result = json_object(payload, "result");
    json_add(result, "exitCode", known(x->end, "exit_code"));
    json_add(result, "signal", known(x->end, "signal"));
    json_int(result, "durationMs", json_get_int(x->end, "duration_ms", 0));
    json_str(result, "status", status(s));
    json_str(result, "sandboxState", "sandboxed");
    json_add(result, "correlationId", known(x->begin, "correlation_id"));
    json_int(result, "attempts", 1);
}

/* Members that say which session a command ran in. */
static void add_session(cJSON *to, const struct exec_log *x)
{
    json_add(to, "cwd", known(x->begin, "cwd"));
    json_add(to, "sessionId", known(x->begin, "session_id"));
    json_bool(to, "persisted", json_get_bool(x->begin, "persisted", false));
}

static void add_command(cJSON *payload, const struct source *s)
{
    cJSON *command = json_object(payload, "command");
    cJSON *argv = json_array(command, "argv");
    for (size_t i = 0; s->request->argv[i]; i++)
        json_str(argv, NULL, s->request->argv[i]);
    json_str(command, "shell", s->request->stage.command);
    add_session(command, s->log);
}

static void add_outputs(cJSON *payload, const struct source *s)
{
    const struct manifest *m = &s->journal->manifest;
    cJSON *outputs = json_object(payload, "outputs");
    add_gap(outputs, "stdout");
    add_gap(outputs, "stderr");
    cJSON *logs = json_object(payload, "logs");
    json_str(logs, "runner", m->log_path);
    json_str(logs, "command", m->commands[0].log_path);
}

/* The handle of the command; absent if it was never executed. */
static void add_handle(cJSON *to, const cJSON *handle)
{
    const char *id = json_get_str(handle, "handle_id");
    if (id)
        json_str(to, "handleId", id);
}

static void add_metadata(cJSON *tool, const struct source *s)
{
    const struct exec_log *x = s->log;
    const struct buf *handles = &s->journal->manifest.handles;
    cJSON *handle = cJSON_ParseWithLength(handles->data ? handles->data : "", handles->len);
    cJSON *metadata = json_object(tool, "metadata");
    json_str(metadata, "stageId", "exec");
    json_str(metadata, "pipelineId", "exec");
    json_str(metadata, "runId", s->journal->manifest.run_id);
    json_int(metadata, "commandIndex", 1);
    json_str(metadata, "command", s->request->stage.command);
    json_array(metadata, "args");
    add_session(metadata, x);
    json_add(metadata, "correlationId", known(x->begin, "correlation_id"));
    add_handle(metadata, handle);
    cJSON *exec = json_object(metadata, "exec");
    json_str(exec, "command", s->request->stage.command);
    json_array(exec, "args");
    add_session(exec, x);
    json_add(exec, "correlationId", known(x->begin, "correlation_id"));
    add_handle(exec, handle);
    json_add(exec, "exitCode", known(x->end, "exit_code"));
    json_add(exec, "signal", known(x->end, "signal"));
    cJSON_Delete(handle);
}

static void add_tool_run(cJSON *payload, const struct source *s)
{
    const struct exec_log *x = s->log;
    const char *run_id = s->journal->manifest.run_id;
    int64_t begin_ms = clock_parse_iso(json_get_str(x->begin, "timestamp"));
    struct buf id = BUF_INIT;
    buf_addf(&id, "cli-command:%s:exec:%lld", run_id, (long long)begin_ms);
    cJSON *tool = json_object(payload, "toolRun");
    json_str(tool, "id", id.failed ? run_id : id.data);
    buf_release(&id);
    json_str(tool, "tool", "cli:command");
    json_str(tool, "approvalSource", "not-required");
    json_int(tool, "retryCount", 0);
    json_str(tool, "sandboxState", "sandboxed");
    json_str(tool, "status", status(s));
    json_add(tool, "startedAt", known(x->begin, "timestamp"));
    json_add(tool, "completedAt", known(x->end, "timestamp"));
    json_int(tool, "attemptCount", 1);
    add_gap(tool, "events");
    add_metadata(tool, s);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The words of what is kept of stdout: what the original counts as tokens. */
static int64_t count_tokens(const struct tail *t)
{
    size_t n = t->total < TAIL_BYTES ? (size_t)t->total : TAIL_BYTES;
    int64_t tokens = 0;
    bool in_word = false;
    for (size_t i = 0; i < n; i++) {
        bool blank = is_blank(t->ring[(t->total - n + i) % TAIL_BYTES]);
        tokens += !blank && !in_word;
        in_word = !blank;
    }
    return tokens;
}

static struct manifest_tool cost(const struct exec_log *x)
{
    int64_t tokens = count_tokens(&x->tails[0]);
    return (struct manifest_tool){.calls = 1,
                                  .tokens = tokens,
                                  .latency_ms = json_get_int(x->end, "duration_ms", 0),
                                  .cost_usd = (double)(tokens * USD_PER_MILLION_TOKENS) / 1e6};
}

static void add_cost(cJSON *to, const char *tokens_key, const struct manifest_tool *cost)
{
    json_int(to, tokens_key, cost->tokens);
    json_num(to, "costUsd", cost->cost_usd);
    json_int(to, "latencyMs", cost->latency_ms);
}

static void add_metrics(cJSON *payload, const struct source *s)
{
    const struct manifest_tool *cost = &s->journal->manifest.tool;
    cJSON *metrics = json_object(payload, "metrics");
    json_int(metrics, "toolCalls", cost->calls);
    add_cost(metrics, "tokenTotal", cost);
    cJSON *tool = json_element(json_array(metrics, "perTool"));
    json_str(tool, "tool", "cli:command");
    add_cost(tool, "tokens", cost);
    json_int(tool, "attempts", 1);
    json_str(tool, "status", status(s));
    json_str(tool, "sandboxState", "sandboxed");
    cJSON *notifications = json_object(payload, "notifications");
    json_array(notifications, "targets");
    json_array(notifications, "delivered");
    json_array(notifications, "failures");
}

/* The document, with gaps for what is not held. 0, or -1 (ENOMEM). */
static int print_document(const struct source *s, struct buf *out)
{
    cJSON *doc = json_new();
    json_str(doc, "type", "run:summary");
    json_time(doc, "timestamp", s->now_ms);
    cJSON *payload = json_object(doc, "payload");
    json_str(payload, "status", status(s));
    add_run(payload, s);
    add_result(payload, s);
    add_command(payload, s);
    add_outputs(payload, s);
    add_tool_run(payload, s);
    add_metrics(payload, s);
    int rc = json_print(doc, true, out);
    cJSON_Delete(doc);
    buf_addch(out, '\n');
    return out->failed ? -1 : rc;
}

static int open_log(const struct source *s, struct logtail *t)
{
    return logtail_open(t, s->journal->dir.fd, s->log_name);
}

/* The next line of the log, taken apart. 1, 0: there are no more, or -1 with errno. */
static int next_line(const struct source *s, struct logtail *t, struct exec_line *line)
{
    char *text;
    size_t n;
    if (cancel_level(s->cancel) == CANCEL_KILL) {
        errno = ECANCELED;
        return -1;
    }
    int rc = logtail_next(t, &text, &n);
    if (rc == 1)
        exec_line_parse(line, text, n);
    return rc;
}

/* Reads the log once for what stands before the events: how it began and ended, and the tails. */
static int take_log(const struct source *s)
{
    struct logtail t;
    struct exec_line line;
    int rc = open_log(s, &t);
    if (rc != 0)
        return errno == ENOENT ? 0 : -1; /* it was never started */
    while (rc == 0 && (rc = next_line(s, &t, &line)) == 1)
        rc = exec_log_take(s->log, &line);
    logtail_close(&t);
    return rc;
}

static int flush(struct buf *out, int fd)
{
    int rc = out->failed ? -1 : write_all(fd, out->data, out->len);
    if (out->failed)
        errno = ENOMEM;
    buf_clear(out);
    return rc;
}

/* Reads the log again and writes the events, one a line. */
static int write_events(const struct source *s, struct buf *out, int fd)
{
    struct logtail t;
    struct exec_line line;
    unsigned long chunks = 0, max = s->request->max_chunks;
    const char *separator = "[\n        ";
    int rc = open_log(s, &t);
    bool missing = rc != 0 && errno == ENOENT;
    while (rc == 0 && (rc = next_line(s, &t, &line)) == 1) {
        rc = 0;
        if (line.kind == EXEC_OTHER || (line.kind == EXEC_CHUNK && chunks++ >= max && max > 0))
            continue;
        buf_addstr(out, separator);
        separator = ",\n        ";
        exec_line_print(&line, s->log, EXEC_FORM_RECORD, out);
        if (out->len >= FLUSH_BYTES)
            rc = flush(out, fd);
    }
    buf_addstr(out, *separator == '[' ? "[]" : "\n      ]");
    logtail_close(&t);
    return missing ? 0 : rc;
}

/* Writes the document, and into its gaps, in their order, the two tails and the events. */
static int write_document(const struct source *s, const char *text, int fd)
{
    struct buf out = BUF_INIT;
    int rc = 0;
    for (int gap = 0; rc == 0 && text; gap++) {
        const char *end = strchr(text, *GAP);
        buf_add(&out, text, end ? (size_t)(end - text) : strlen(text));
        if (end && gap < 2)
            exec_tail_print(s->log, gap + 1, &out);
        else if (end)
            rc = write_events(s, &out, fd);
        text = end ? end + 1 : NULL;
    }
    if (rc == 0)
        rc = flush(&out, fd);
    int saved = errno;
    buf_release(&out);
    errno = saved;
    return rc;
}

static int replace_file(const struct source *s, const char *text)
{
    struct atomicfile file;
    if (atomicfile_begin(&file, s->journal->dir.fd, "run-summary.json", 0600) != 0)
        return -1;
    if (write_document(s, text, file.fd) == 0)
        return atomicfile_commit(&file, ATOMIC_DERIVED);
    atomicfile_abort(&file);
    return -1;
}

static int write_record(const struct source *s)
{
    struct buf text = BUF_INIT;
    if (take_log(s) != 0)
        return -1;
    s->journal->manifest.tool = cost(s->log);
    int rc = print_document(s, &text);
    if (rc == 0)
        rc = replace_file(s, text.data);
    int saved = errno;
    buf_release(&text);
    errno = saved;
    return rc;
}

int exec_record_write(struct journal *j, const struct exec_request *request, struct cancel *cancel,
                      int64_t now_ms, struct err *e)
{
    struct source s = {.journal = j,
                       .request = request,
                       .cancel = cancel,
                       .log = exec_log_new(),
                       .now_ms = now_ms};
    rundir_command_file(s.log_name, sizeof s.log_name, "commands", 1, request->stage.id, "ndjson");
    errno = ENOMEM;
    int rc = s.log ? write_record(&s) : -1;
    if (rc != 0)
        err_sys(e, "its record, run-summary.json, was not written");
    exec_log_free(s.log);
    return rc;
}
