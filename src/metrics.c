/*
 * Owns a run's entry in .runs/<task>/metrics.json and the queue of entries whose writers did not
 * get the lock. The thread that drives the run, after its end.
 */
#include "metrics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregates.h"
#include "atomicfile.h"
#include "clock.h"
#include "fd.h"
#include "ids.h"
#include "lockfile.h"

/* How long to wait for the task's lock: the entry is not lost without it, only queued. */
#define METRICS_LOCK_MS 500

/* Bytes of queued entries that are merged at a time. Every line is compared with twice as much of
 * the end of metrics.json, so too high is slow; too low costs an fsync more often. */
#define MERGE_BYTES ((size_t)256 * 1024)

/* The bytes of the first `count` elements of a printed list, without the comma behind them. */
static size_t first_elements(const struct buf *list, unsigned count)
{
    bool in_string = false;
    int depth = 0;
    for (size_t i = 0; i < list->len; i++) {
        char c = list->data[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (c == ',' && depth == 0 && --count == 0)
            return i;
    }
    return list->len;
}

/* How many privacy events an entry may hold; UINT_MAX: all. */
static unsigned events_allowed(void)
{
    const char *text = getenv("CODEX_METRICS_PRIVACY_EVENTS_MAX");
    char *end;
    if (!text)
        return UINT_MAX;
    long long n = strtoll(text, &end, 10);
    return end == text || n < 0 || n > UINT_MAX ? UINT_MAX : (unsigned)n;
}

static void add_privacy(cJSON *entry, const struct manifest *m)
{
    unsigned allowed = events_allowed();
    bool cut = m->n_decisions > allowed;
    size_t len = !cut ? m->decisions.len : allowed ? first_elements(&m->decisions, allowed) : 0;
    struct buf events = BUF_INIT;
    buf_addch(&events, '[');
    buf_add(&events, m->decisions.data, len);
    buf_addch(&events, ']');
    json_str(entry, "privacy_mode",
             !m->has_privacy      ? NULL
             : m->privacy_enforce ? "enforce"
                                  : "shadow");
    json_str(entry, "privacy_log_path", m->has_privacy ? m->privacy_log_path : NULL);
    json_int(entry, "privacy_event_count", m->n_decisions);
    if (cut)
        json_bool(entry, "privacy_events_truncated", true);
    json_add(entry, "privacy_events", events.failed ? NULL : cJSON_CreateRaw(events.data));
    buf_release(&events);
}

/* What a single command cost: the run is one call of one tool. */
static void add_tool(cJSON *entry, const struct manifest *m)
{
    const struct manifest_tool *t = &m->tool;
    json_int(entry, "tool_calls", t->calls);
    json_int(entry, "token_total", t->tokens);
    json_num(entry, "cost_usd", t->cost_usd);
    json_int(entry, "latency_ms", t->latency_ms);
    cJSON *stats = json_array(entry, "tool_stats");
    if (t->calls == 0)
        return;
    cJSON *tool = json_element(stats);
    json_str(tool, "tool", "cli:command");
    json_int(tool, "tokens", t->tokens);
    json_num(tool, "cost_usd", t->cost_usd);
    json_int(tool, "latency_ms", t->latency_ms);
    json_int(tool, "attempts", 1);
    json_str(tool, "status", m->status == RUN_SUCCEEDED ? "succeeded" : "failed");
    json_str(tool, "sandbox_state", "sandboxed");
}

/* Features of the original that nothing here fills, but for the tool in their midst. */
static void add_unused(cJSON *entry, const struct manifest *m)
{
    json_null(entry, "tfgrpo_epoch");
    json_null(entry, "tfgrpo_group_id");
    json_null(entry, "tfgrpo_group_size");
    add_tool(entry, m);
    json_str(entry, "learning_validation_status", "pending");
    json_null(entry, "learning_snapshot_status");
    json_null(entry, "learning_scenario_status");
    json_null(entry, "learning_crystalizer_status");
    json_int(entry, "learning_alerts", 0);
    json_null(entry, "learning_group_id");
    json_int(entry, "learning_review_rejections", 0);
    json_null(entry, "learning_review_latency_ms");
    json_int(entry, "learning_regressions_detected", 0);
    json_int(entry, "learning_pattern_promoted", 0);
    json_int(entry, "learning_pattern_deprecated", 0);
    json_int(entry, "learning_throughput_candidates", 0);
}

static double duration_seconds(const struct manifest *m)
{
    if (m->started_ms == CLOCK_NEVER || m->completed_ms == CLOCK_NEVER)
        return (double)NAN;
    int64_t ms = m->completed_ms - m->started_ms;
    return ms > 0 ? (double)ms / 1000 : 0;
}

cJSON *metrics_entry(const struct manifest *m, int64_t now_ms)
{
    size_t ended[STAGE_STATES] = {0};
    for (size_t i = 0; i < m->n_commands; i++)
        ended[m->commands[i].state]++;
    cJSON *entry = json_new();
    json_str(entry, "run_id", m->run_id);
    json_str(entry, "task_id", m->task_id);
    json_str(entry, "pipeline_id", m->pipeline_id);
    json_str(entry, "status", run_status_name(m->status));
    json_time(entry, "started_at", m->started_ms);
    json_time(entry, "completed_at", m->completed_ms);
    json_num(entry, "duration_seconds", duration_seconds(m));
    json_int(entry, "commands_passed", (int64_t)ended[STAGE_SUCCEEDED]);
    json_int(entry, "commands_failed", (int64_t)ended[STAGE_FAILED]);
    json_bool(entry, "guardrails_present", m->guardrail.present);
    json_time(entry, "recorded_at", now_ms);
    json_str(entry, "artifact_path", m->artifact_root);
    json_int(entry, "child_runs", m->n_child_runs);
    json_str(entry, "control_plane_status", "unknown");
    json_null(entry, "scheduler_mode");
    json_array(entry, "instance_stats");
    add_privacy(entry, m);
    json_int(entry, "handle_count", m->n_handles);
    add_unused(entry, m);
    return entry;
}

static int entry_line(const struct manifest *m, int64_t now_ms, struct buf *line)
{
    cJSON *entry = metrics_entry(m, now_ms);
    int result = json_print(entry, false, line);
    cJSON_Delete(entry);
    buf_addch(line, '\n');
    return line->failed ? -1 : result;
}

/* Opens metrics.json for appending, made if it is missing. -1 with errno. */
static int open_log(const struct taskdir *d)
{
    struct stat st;
    int fd = openat(d->fd, "metrics.json",
                    O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
        return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

/* Appends whole lines, after the missing newline of a torn one; they reach the disk or are taken
 * back. 0, or -1 with errno. */
static int append(int fd, const struct buf *lines)
{
    struct stat st;
    char last = '\n';
    if (fstat(fd, &st) < 0 || (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1))
        return -1;
    int result = last == '\n' ? 0 : write_all(fd, "\n", 1);
    if (result == 0)
        result = write_all(fd, lines->data, lines->len);
    if (result == 0)
        result = fsync(fd);
    if (result < 0) {
        int saved = errno;
        if (ftruncate(fd, st.st_size) < 0)
            saved = errno;
        errno = saved;
    }
    return result;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), tail = strlen(suffix);
    return n > tail && strcmp(name + n - tail, suffix) == 0;
}

static int is_queued(const struct dirent *d)
{
    return has_suffix(d->d_name, ".jsonl") || has_suffix(d->d_name, ".jsonl.tmp") ||
           (d->d_name[0] == '.' && has_suffix(d->d_name, ".tmp"));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Whether the writer of a temporary file is gone. */
static bool is_abandoned(int dirfd, const char *name)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    int64_t changed = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return clock_wall_ms() - changed > LOCK_STALE_MS;
}

/* Adds a file's lines; of a temporary one, which may be torn, only those that are entries. -1: it
 * stays where it is. */
static int add_queued(int dirfd, const char *name, struct buf *lines)
{
    bool temporary = has_suffix(name, ".tmp");
    struct buf text = BUF_INIT;
    if ((temporary && !is_abandoned(dirfd, name)) || json_slurp(dirfd, name, false, &text) < 0) {
        buf_release(&text);
        return -1;
    }
    for (size_t at = 0, n; at < text.len; at += n + 1) {
        const char *line = text.data + at;
        const char *end = memchr(line, '\n', text.len - at);
        n = end ? (size_t)(end - line) : text.len - at;
        cJSON *entry = temporary ? metrics_line_parse(line, n) : NULL;
        if (temporary ? entry != NULL : n > 0) {
            buf_add(lines, line, n);
            buf_addch(lines, '\n');
        }
        cJSON_Delete(entry);
    }
    buf_release(&text);
    return 0;
}

/* Reads up to `n` last bytes of a file. */
static int read_end(int fd, size_t n, struct buf *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -1;
    off_t from = st.st_size > (off_t)n ? st.st_size - (off_t)n : 0;
    char *to = buf_room(out, n);
    if (!to)
        return -1;
    while (out->len < n) {
        ssize_t got = pread(fd, to + out->len, n - out->len, from + (off_t)out->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        out->len += (size_t)got;
    }
    return 0;
}

/* Drops the lines that metrics.json already ends with: a crash between append and removal leaves
 * them queued although they are recorded. */
static int drop_recorded(int log, struct buf *lines)
{
    struct buf end = BUF_INIT, left = BUF_INIT;
    int result = read_end(log, lines->len + 2 * MERGE_BYTES, &end);
    for (size_t at = 0, n; result == 0 && at < lines->len; at += n) {
        const char *line = lines->data + at;
        n = (size_t)((char *)memchr(line, '\n', lines->len - at) + 1 - line);
        if (!end.len || !memmem(end.data, end.len, line, n))
            buf_add(&left, line, n);
    }
    buf_release(&end);
    if (result == 0 && left.failed) {
        errno = ENOMEM;
        result = -1;
    }
    buf_release(lines);
    *lines = left;
    return result;
}

/* Appends the lines, then removes the files they came from. */
static int merge_batch(int log, struct buf *lines, int dirfd, struct dirent **names, int n)
{
    if (lines->failed) {
        errno = ENOMEM;
        return -1;
    }
    if (lines->len > 0 && drop_recorded(log, lines) < 0)
        return -1;
    if (lines->len > 0 && append(log, lines) < 0)
        return -1;
    for (int i = 0; i < n; i++) {
        if (names[i] && unlinkat(dirfd, names[i]->d_name, 0) < 0 && errno != ENOENT)
            return -1;
    }
    buf_clear(lines);
    return 0;
}

static int merge_files(int log, int dirfd, struct dirent **names, int n)
{
    struct buf lines = BUF_INIT;
    int result = 0, from = 0;
    for (int i = 0; result == 0 && i < n; i++) {
        if (add_queued(dirfd, names[i]->d_name, &lines) < 0) {
            free(names[i]);
            names[i] = NULL;
        }
        if (lines.len >= MERGE_BYTES || i == n - 1) {
            result = merge_batch(log, &lines, dirfd, names + from, i + 1 - from);
            from = i + 1;
        }
    }
    buf_release(&lines);
    return result;
}

/* Moves what is queued into metrics.json, oldest name first. */
static int merge_queue(const struct taskdir *d, int log, struct err *e)
{
    struct dirent **names = NULL;
    int fd = openat(d->fd, "metrics.pending", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    int n = fd < 0 ? -1 : scandirat(fd, ".", &names, is_queued, by_name);
    int result = n < 0 ? -1 : merge_files(log, fd, names, n);
    if (result < 0)
        err_sys(e, "queued metrics of %s/metrics.pending can't be merged", d->path);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    fd_close(&fd);
    return result;
}

static int record(const struct workspace *w, const struct taskdir *d, const struct buf *line,
                  int64_t now_ms, struct err *e)
{
    int log = open_log(d);
    if (log < 0)
        return err_sys(e, "%s/metrics.json", d->path);
    int result = merge_queue(d, log, e);
    if (result == 0 && append(log, line) < 0)
        result = err_sys(e, "%s/metrics.json can't be extended", d->path);
    if (result == 0) /* what was queued while we held the lock */
        result = merge_queue(d, log, e);
    close(log);
    return result == 0 ? aggregates_update(w, d, now_ms, e) : -1;
}

static int queue(const struct workspace *w, const char *run_id, const struct buf *line,
                 int64_t now_ms, struct err *e)
{
    struct taskdir d;
    char uuid[ID_UUID_LEN + 1], name[NAME_MAX + 1];
    if (taskdir_open(&d, w->runs, w->task_id, "metrics.pending", e) < 0)
        return -1;
    id_uuid(uuid);
    snprintf(name, sizeof name, "%.120s-%" PRId64 "-%s.jsonl", run_id, now_ms, uuid);
    int result = atomicfile_replace(d.fd, name, line->data, line->len, d.file_mode, ATOMIC_DURABLE);
    if (result < 0)
        err_sys(e, "%s/%s can't be written", d.path, name);
    else
        err_set(e, "the metrics of task %s are locked; the entry of run %s waits in %s/%s",
                w->task_id, run_id, d.path, name);
    taskdir_close(&d);
    return result;
}

static int lock_and_record(const struct workspace *w, const struct taskdir *d, const char *run_id,
                           const struct buf *line, int64_t now_ms, struct err *e)
{
    struct lockfile lock;
    struct buf path = BUF_INIT;
    buf_addf(&path, "%s/metrics.lock", d->path);
    int held = path.failed ? err_sys(e, "%s", d->path)
                           : lockfile_take(&lock, path.data, METRICS_LOCK_MS, e);
    buf_release(&path);
    if (held <= 0)
        return held < 0 ? -1 : queue(w, run_id, line, now_ms, e);
    if (lock.healed)
        aggregates_sweep(w);
    int result = record(w, d, line, now_ms, e);
    lockfile_drop(&lock);
    return result < 0 ? -1 : 1;
}

int metrics_record(const struct workspace *w, const struct manifest *m, int64_t now_ms,
                   struct err *e)
{
    struct taskdir d;
    struct buf line = BUF_INIT;
    if (taskdir_open(&d, w->runs, w->task_id, NULL, e) < 0)
        return -1;
    int result = entry_line(m, now_ms, &line);
    if (result < 0)
        err_set(e, "metrics of run %s: out of memory", m->run_id);
    else
        result = lock_and_record(w, &d, m->run_id, &line, now_ms, e);
    buf_release(&line);
    taskdir_close(&d);
    return result;
}
