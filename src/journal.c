/* Owns a run's files while it runs: logs, heartbeat, error files, the manifest in memory. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "bounds.h"
#include "clock.h"
#include "fd.h"
#include "guard.h"
#include "logfile.h"
#include "ndjson.h"
#include "outbox.h"
#include "reasons.h"

/* A running command. */
struct active {
    int log_fd;
    bool only; /* its log is the run's: see open_command_log */
    char handle_id[40];
    char *decision_end; /* how each of its decision lines ends */
    uint64_t redacted, blocked;
};

int journal_init(struct journal *j)
{
    j->next = NULL;
    j->waiting = NULL;
    j->open = j->dirty = j->urgent = false;
    j->dirty_ns = j->next_write_ns = j->next_beat_ns = j->failing_since_ns = 0;
    j->manifest_writes = j->heartbeat_writes = 0;
    j->failures = 0;
    j->image = (struct buf)BUF_INIT;
    atomic_init(&j->failed, 0);
    atomic_init(&j->writing, false);
    j->decisions = (struct buf)BUF_INIT;
    j->done = j->n_running = 0;
    j->active = calloc(j->manifest.n_commands + 1, sizeof *j->active);
    j->running = calloc(j->manifest.n_commands + 1, sizeof *j->running);
    for (size_t i = 0; j->active && i < j->manifest.n_commands; i++)
        j->active[i].log_fd = -1;
    j->runner_fd = logfile_open(j->dir.fd, "runner.ndjson");
    j->privacy_fd = logfile_open(j->dir.fd, "privacy-decisions.ndjson");
    j->heartbeat_fd = openat(j->dir.fd, ".heartbeat",
                             O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    j->commands_fd = openat(j->dir.fd, "commands", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (!j->active || !j->running)
        errno = ENOMEM;
    return j->active && j->running && j->runner_fd >= 0 && j->privacy_fd >= 0 &&
                   j->heartbeat_fd >= 0 && j->commands_fd >= 0
               ? 0
               : -1;
}

static void active_release(struct active *a)
{
    fd_close(&a->log_fd);
    free(a->decision_end);
    *a = (struct active){.log_fd = -1};
}

void journal_release(struct journal *j)
{
    for (size_t i = 0; j->active && i < j->manifest.n_commands; i++)
        active_release(&j->active[i]);
    free(j->active);
    free(j->running);
    j->active = NULL;
    j->running = NULL;
    buf_release(&j->decisions);
    fd_close(&j->runner_fd);
    fd_close(&j->privacy_fd);
    fd_close(&j->heartbeat_fd);
    fd_close(&j->commands_fd);
    buf_release(&j->image);
    manifest_release(&j->manifest);
    rundir_release(&j->dir);
}

void journal_fail(struct journal *j, int error)
{
    int none = 0;
    if (atomic_compare_exchange_strong(&j->failed, &none, error ? error : EIO) && j->on_failure)
        j->on_failure(j);
}

void journal_append(struct journal *j, size_t index, const struct iovec *lines, int n)
{
    if (atomic_load(&j->failed))
        return;
    int command_fd = j->active[index].only ? -1 : j->active[index].log_fd, wanted = n;
    n = logfile_append(j->runner_fd, lines, n, j->cancel);
    if (n < wanted)
        journal_fail(j, errno);
    if (command_fd >= 0 && logfile_append(command_fd, lines, n, j->cancel) < n)
        journal_fail(j, errno);
    if (j->grown_fd >= 0)
        eventfd_write(j->grown_fd, 1);
    for (int i = 0; j->watch && i < n; i++)
        watch_offer(j->watch, j->manifest.run_id, lines[i].iov_base, lines[i].iov_len);
}

/* What a mutation has to say. */
static void append_lines(struct journal *j, const struct mutation *m)
{
    const struct iovec lines = {m->lines, m->lines_len};
    if (m->lines && m->lines_len > 0)
        journal_append(j, m->index, &lines, 1);
}

/* An earlier session may have done some. */
static void count_done(struct journal *j)
{
    j->done = j->n_running = 0;
    for (size_t i = 0; i < j->manifest.n_commands; i++)
        j->done += stage_is_final(j->manifest.commands[i].state);
}

/* Keeps the counts up to date when the stage has a new state, or the same once more. */
static void count_stage(struct journal *j, size_t index)
{
    size_t at = 0;
    enum stage_state state = j->manifest.commands[index].state;
    while (at < j->n_running && j->running[at] != index)
        at++;
    if (state == STAGE_RUNNING && at == j->n_running) {
        j->running[j->n_running++] = index;
    } else if (state != STAGE_RUNNING && at < j->n_running) {
        j->n_running--;
        memmove(j->running + at, j->running + at + 1, (j->n_running - at) * sizeof *j->running);
    }
    j->done += stage_is_final(state);
}

/* Which stages run: a watcher that has lost lines learns from it what has ended meanwhile. */
static void add_running(cJSON *doc, const struct journal *j)
{
    if (j->n_running > STATE_RUNNING) {
        json_null(doc, "running");
        return;
    }
    cJSON *list = json_array(doc, "running");
    for (size_t i = 0; i < j->n_running; i++)
        json_int(list, NULL, (int64_t)j->running[i] + 1);
}

/* What watchers see besides the log lines; not part of any file. */
static void offer_state(struct journal *j, const char *type, size_t index, const char *state,
                        const char *detail)
{
    if (!j->watch)
        return;
    struct buf line = BUF_INIT;
    cJSON *doc = json_new();
    json_str(doc, "type", type);
    json_str(doc, "run_id", j->manifest.run_id);
    if (index < j->manifest.n_commands) {
        json_str(doc, "stage_id", j->manifest.commands[index].id);
        json_str(doc, "title", j->manifest.commands[index].title);
        json_int(doc, "index", (int64_t)index + 1);
    }
    json_int(doc, "stages", (int64_t)j->manifest.n_commands);
    json_int(doc, "done", (int64_t)j->done);
    add_running(doc, j);
    json_str(doc, "status", state);
    json_str(doc, "status_detail", detail);
    json_time(doc, "timestamp", clock_wall_ms());
    if (json_print(doc, false, &line) == 0)
        watch_offer_state(j->watch, j->manifest.run_id, line.data, line.len);
    cJSON_Delete(doc);
    buf_release(&line);
}

static void offer_stage(struct journal *j, size_t index)
{
    const struct manifest_command *c = &j->manifest.commands[index];
    count_stage(j, index);
    offer_state(j, "stage:state", index, stage_state_name(c->state), NULL);
}

/* Where a run is one command, its log and the run's have the same lines: one file with two names, where
 * the file system knows such and there is no log of that name yet. */
static int open_command_log(struct journal *j, size_t index)
{
    struct active *a = &j->active[index];
    char path[128], *name;
    rundir_command_file(path, sizeof path, "commands", index + 1, j->manifest.commands[index].id,
                        "ndjson");
    name = strchr(path, '/') + 1;
    if (j->manifest.n_commands == 1)
        (void)!linkat(j->dir.fd, "runner.ndjson", j->commands_fd, name, 0);
    a->log_fd = logfile_open(j->commands_fd, name);
    if (a->log_fd >= 0 && logfile_same(j->runner_fd, a->log_fd, &a->only) != 0)
        fd_close(&a->log_fd);
    return a->log_fd < 0 ? -1 : 0;
}

/* Opens the command's log and prepares the lines about its decisions. */
static int active_start(struct journal *j, const struct mutation *m)
{
    struct active *a = &j->active[m->index];
    struct buf end = BUF_INIT;
    active_release(a);
    buf_addstr(&end, ",\"stage_id\":");
    ndjson_addstr(&end, j->manifest.commands[m->index].id);
    buf_addch(&end, '}');
    memcpy(a->handle_id, m->handle_id, sizeof a->handle_id);
    a->decision_end = buf_detach(&end);
    if (!a->decision_end)
        return -1;
    return open_command_log(j, m->index);
}

/* Between two attempts of a command its log is closed: thousands may wait for their next one. */
static void relogfile_open(struct journal *j, size_t index)
{
    if (!j->active[index].decision_end || j->active[index].log_fd >= 0)
        return;
    if (open_command_log(j, index) != 0)
        journal_fail(j, errno);
}

void journal_flush(struct journal *j)
{
    const struct iovec lines = {j->decisions.data, j->decisions.len};
    if (j->decisions.len > 0 && logfile_append(j->privacy_fd, &lines, 1, j->cancel) < 1)
        journal_fail(j, errno);
    if (j->decisions.failed)
        journal_fail(j, ENOMEM);
    buf_clear(&j->decisions);
}

static void add_quoted(struct buf *b, const char *key, const char *value)
{
    buf_addstr(b, key);
    buf_addch(b, '"');
    buf_addstr(b, value);
    buf_addch(b, '"');
}

/* One decision as JSON, without newline. No formatted print: there is one for each chunk. */
static void add_decision(struct buf *b, const struct active *a, uint64_t frame, int rule,
                         bool enforce)
{
    char time[CLOCK_ISO_LEN + 1], number[21];
    number[ndjson_u64(number, frame)] = '\0';
    clock_iso(clock_wall_ms(), time);
    add_quoted(b, "{\"handle_id\":", a->handle_id);
    buf_addstr(b, ",\"sequence\":");
    buf_addstr(b, number);
    if (rule == CHUNK_NO_RULE) {
        buf_addstr(b, ",\"action\":\"allow\",\"rule\":null,\"reason\":null");
    } else {
        add_quoted(b, ",\"action\":", guard_action((enum guard_rule)rule, enforce));
        add_quoted(b, ",\"rule\":", guard_rule_name((enum guard_rule)rule));
        add_quoted(b, ",\"reason\":", guard_reason((enum guard_rule)rule, enforce));
    }
    add_quoted(b, ",\"timestamp\":", time);
    buf_addstr(b, a->decision_end);
}

/* A decision that names a rule, in the manifest too. */
static void note_rule(struct journal *j, struct active *a, int rule, const char *text, size_t n)
{
    struct manifest *doc = &j->manifest;
    if (doc->privacy_enforce) {
        a->redacted += rule == GUARD_SENSITIVE_TOKEN;
        a->blocked += rule == GUARD_PRIVATE_KEY;
    }
    if (doc->n_decisions == MANIFEST_DECISIONS)
        return;
    if (doc->n_decisions++ > 0)
        buf_addch(&doc->decisions, ',');
    buf_add(&doc->decisions, text, n);
}

void journal_frame(struct journal *j, size_t index, uint64_t frame, int rule)
{
    struct active *a = &j->active[index];
    if (!a->decision_end)
        return;
    size_t from = j->decisions.len;
    add_decision(&j->decisions, a, frame, rule, j->manifest.privacy_enforce);
    if (rule != CHUNK_NO_RULE && !j->decisions.failed)
        note_rule(j, a, rule, j->decisions.data + from, j->decisions.len - from);
    buf_addch(&j->decisions, '\n');
    if (j->decisions.len > DECISIONS_BYTES)
        journal_flush(j);
}

int journal_stage_start(struct journal *j, const struct mutation *m)
{
    struct manifest *doc = &j->manifest;
    struct manifest_command *c = &doc->commands[m->index];
    if (manifest_stage_event(doc, m->index, STAGE_EV_START, m->now_ms) != 0)
        return EINVAL;
    if (m->log_path) {
        if (active_start(j, m) != 0)
            return errno;
        if (manifest_set(c, &c->log_path, m->log_path) != 0)
            return ENOMEM;
    }
    append_lines(j, m);
    if (m->log_path)
        journal_frame(j, m->index, 1, CHUNK_NO_RULE);
    offer_stage(j, m->index);
    return atomic_load(&j->failed);
}

/* errors/NN-id.json: whole or not there. Its path as the manifest shows it: free() it. */
static char *write_error_file(struct journal *j, const struct mutation *m)
{
    char name[128];
    rundir_command_file(name, sizeof name, "errors", m->index + 1, j->manifest.commands[m->index].id,
                        "json");
    int dir = openat(j->dir.fd, "errors", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = dir < 0 ? -1
                     : atomicfile_replace(dir, strchr(name, '/') + 1, m->error_text,
                                          strlen(m->error_text), 0600, ATOMIC_DURABLE);
    int error = errno;
    fd_close(&dir);
    struct buf path = BUF_INIT;
    if (rc == 0)
        buf_addf(&path, "%s/%s", j->dir.rel, name);
    else
        journal_fail(j, error);
    return rc == 0 ? buf_detach(&path) : NULL;
}

static int set_entry(struct journal *j, const struct mutation *m)
{
    struct manifest_command *c = &j->manifest.commands[m->index];
    char *error_file = m->error_text ? write_error_file(j, m) : NULL;
    c->has_exit_code = m->has_exit_code;
    c->exit_code = m->exit_code;
    c->signal = m->signal;
    c->spawn_error = m->spawn_error;
    c->ran = true;
    int rc = manifest_set(c, &c->summary, m->summary);
    if (error_file) /* that of an earlier attempt stays */
        rc |= manifest_set(c, &c->error_file, error_file);
    if (m->sub_run_id)
        rc |= manifest_set(c, &c->sub_run_id, m->sub_run_id);
    free(error_file);
    return rc;
}

static int set_links(struct journal *j, const struct mutation *m)
{
    struct manifest *doc = &j->manifest;
    int rc = 0;
    if (m->frames > 0)
        rc |= manifest_add_handle(doc, m->handle_id, m->correlation_id, doc->commands[m->index].id,
                                  m->frames, m->handle_ms);
    if (m->sub_run_id)
        rc |= manifest_add_child(doc, m->sub_run_id, m->sub_pipeline_id, m->sub_status,
                                 m->sub_manifest);
    if (m->assignment)
        rc |= manifest_add_assignment(doc, m->assignment);
    return rc;
}

void journal_stage_lines(struct journal *j, const struct mutation *m)
{
    relogfile_open(j, m->index);
    append_lines(j, m);
    if (m->event == STAGE_EV_RETRY)
        fd_close(&j->active[m->index].log_fd);
}

int journal_stage_end(struct journal *j, const struct mutation *m)
{
    relogfile_open(j, m->index);
    append_lines(j, m);
    if (m->frames > 0)
        journal_frame(j, m->index, m->frames, CHUNK_NO_RULE);
    j->manifest.frames_redacted += j->active[m->index].redacted;
    j->manifest.frames_blocked += j->active[m->index].blocked;
    active_release(&j->active[m->index]);
    enum stage_event event = m->event;
    if (event != STAGE_EV_FAIL && atomic_load(&j->failed))
        event = STAGE_EV_FAIL; /* whatever it did, its log is not complete */
    if (manifest_stage_event(&j->manifest, m->index, event, m->now_ms) != 0)
        return EINVAL;
    if ((set_entry(j, m) | set_links(j, m)) != 0)
        journal_fail(j, ENOMEM);
    journal_set_status(j, m);
    offer_stage(j, m->index);
    return atomic_load(&j->failed);
}

static void replace(char **field, const char *value)
{
    char *copy = value ? strdup(value) : NULL;
    if (value && !copy)
        return; /* the old text is better than none */
    free(*field);
    *field = copy;
}

/* The first failure, in time, is the run's; of the others some are in its summary. */
static void set_reason(struct journal *j, const struct mutation *m)
{
    struct manifest *doc = &j->manifest;
    bool failure = m->kind == MUTATION_STAGE_END && m->event == STAGE_EV_FAIL;
    if (failure && m->follows)
        return;
    j->failures += failure;
    bool first = j->failures == (failure ? 1 : 0); /* an excused one says why only until then */
    if (m->status_detail && (first || m->kind == MUTATION_CLOSE))
        replace(&doc->status_detail, m->status_detail);
    if (m->run_summary_line && (!failure || j->failures <= SUMMARY_FAILURES))
        manifest_add_summary(doc, m->run_summary_line);
    if (m->kind == MUTATION_CLOSE && j->failures > SUMMARY_FAILURES) {
        char line[64];
        snprintf(line, sizeof line, "%u more stages failed.", j->failures - SUMMARY_FAILURES);
        manifest_add_summary(doc, line);
    }
}

void journal_set_status(struct journal *j, const struct mutation *m)
{
    struct manifest *doc = &j->manifest;
    set_reason(j, m);
    if (m->kind == MUTATION_OPEN) {
        doc->status = RUN_IN_PROGRESS;
        count_done(j);
    }
    if (m->kind == MUTATION_CLOSE) {
        doc->status = m->status;
        doc->completed_ms = m->now_ms;
        if (m->status == RUN_SUCCEEDED)
            replace(&doc->status_detail, NULL); /* of an optional stage that failed on the way */
        else if (!doc->status_detail || strcmp(doc->status_detail, REASON_RESUMING) == 0)
            replace(&doc->status_detail, REASON_MEMORY); /* there was none for the reason */
    }
    if (m->kind == MUTATION_OPEN || m->kind == MUTATION_CLOSE)
        offer_state(j, "run:state", SIZE_MAX, run_status_name(doc->status), doc->status_detail);
}

void journal_beat(struct journal *j, int64_t now_ms)
{
    char text[CLOCK_ISO_LEN + 1];
    j->manifest.heartbeat_ms = now_ms;
    clock_iso(now_ms, text);
    text[CLOCK_ISO_LEN] = '\n';
    /* In place: always the same length, so a reader sees the old or the new time. */
    if (pwrite(j->heartbeat_fd, text, sizeof text, 0) == (ssize_t)sizeof text)
        j->heartbeat_writes++;
}

struct mutation *mutation_new(enum mutation_kind kind, struct journal *j)
{
    struct mutation *m = calloc(1, sizeof *m);
    if (m) {
        m->kind = kind;
        m->journal = j;
        m->now_ms = clock_wall_ms();
    }
    return m;
}

void mutation_free(struct mutation *m)
{
    if (!m)
        return;
    char *owned[] = {m->lines,          m->summary,       m->error_text,       m->log_path,
                     m->sub_run_id,     m->sub_pipeline_id, m->sub_manifest,   m->status_detail,
                     m->run_summary_line, m->assignment};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(m);
}
