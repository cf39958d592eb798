/* Owns the aggregates over a task's metrics. The thread that drives the run, under the lock. */
#include "aggregates.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "fd.h"

enum counted {
    RUNS,
    SUCCEEDED,
    NO_INSTANCE_STATS,
    NO_PRIVACY_EVENTS,
    NO_CONTROL_PLANE,
    DURATIONS,
    VALIDATED,
    VALIDATION_FAILED,
    VALIDATION_STALLED,
    VALIDATION_MANUAL,
    REJECTIONS,
    LATENCIES,
    REGRESSIONS,
    PROMOTED,
    DEPRECATED,
    CANDIDATES,
    ALERTS,
    SNAPSHOTS_FAILED,
    SNAPSHOTS_STALLED,
    COUNTS
};

/* As in the "carry" block. */
static const char *const count_names[COUNTS] = {
    [RUNS] = "runs",
    [SUCCEEDED] = "succeeded",
    [NO_INSTANCE_STATS] = "no_instance_stats",
    [NO_PRIVACY_EVENTS] = "no_privacy_events",
    [NO_CONTROL_PLANE] = "no_control_plane",
    [DURATIONS] = "durations",
    [VALIDATED] = "validated",
    [VALIDATION_FAILED] = "validation_failed",
    [VALIDATION_STALLED] = "validation_stalled",
    [VALIDATION_MANUAL] = "validation_manual",
    [REJECTIONS] = "rejections",
    [LATENCIES] = "latencies",
    [REGRESSIONS] = "regressions",
    [PROMOTED] = "promoted",
    [DEPRECATED] = "deprecated",
    [CANDIDATES] = "candidates",
    [ALERTS] = "alerts",
    [SNAPSHOTS_FAILED] = "snapshots_failed",
    [SNAPSHOTS_STALLED] = "snapshots_stalled",
};

struct tally {
    int64_t offset; /* bytes of metrics.json that are counted; a line ends there */
    int64_t n[COUNTS];
    double duration_sum, latency_sum;
    cJSON *first; /* the first entry of the file, if the count began there */
};

static bool filled(const cJSON *entry, const char *key)
{
    const char *text = json_get_str(entry, key);
    return text && text[strspn(text, " \t")] != '\0';
}

cJSON *metrics_line_parse(const char *line, size_t n)
{
    cJSON *entry = cJSON_ParseWithLength(line, n);
    if (cJSON_IsObject(entry) && filled(entry, "run_id") && filled(entry, "status") &&
        filled(entry, "recorded_at"))
        return entry;
    cJSON_Delete(entry);
    return NULL;
}

static bool says(const cJSON *entry, const char *key, const char *value)
{
    const char *text = json_get_str(entry, key);
    return text && strcmp(text, value) == 0;
}

static bool has_elements(const cJSON *entry, const char *key)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(entry, key);
    return cJSON_IsArray(list) && cJSON_GetArraySize(list) > 0;
}

static void add_mean(const cJSON *entry, const char *key, double *sum, int64_t *n)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, key);
    if (cJSON_IsNumber(item)) {
        *sum += item->valuedouble;
        ++*n;
    }
}

/* What only the original's learning features fill. */
static void count_learning(struct tally *t, const cJSON *entry)
{
    static const struct {
        const char *key, *value;
        enum counted count;
    } states[] = {
        {"learning_validation_status", "validated", VALIDATED},
        {"learning_validation_status", "snapshot_failed", VALIDATION_FAILED},
        {"learning_validation_status", "stalled_snapshot", VALIDATION_STALLED},
        {"learning_validation_status", "needs_manual_scenario", VALIDATION_MANUAL},
        {"learning_snapshot_status", "snapshot_failed", SNAPSHOTS_FAILED},
        {"learning_snapshot_status", "stalled_snapshot", SNAPSHOTS_STALLED},
    };
    static const struct {
        const char *key;
        enum counted count;
    } sums[] = {
        {"learning_review_rejections", REJECTIONS},
        {"learning_regressions_detected", REGRESSIONS},
        {"learning_pattern_promoted", PROMOTED},
        {"learning_pattern_deprecated", DEPRECATED},
        {"learning_throughput_candidates", CANDIDATES},
        {"learning_alerts", ALERTS},
    };
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        t->n[states[i].count] += says(entry, states[i].key, states[i].value);
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        t->n[sums[i].count] += json_get_int(entry, sums[i].key, 0);
    add_mean(entry, "learning_review_latency_ms", &t->latency_sum, &t->n[LATENCIES]);
}

/* Takes the entry. */
static void count_entry(struct tally *t, cJSON *entry)
{
    t->n[RUNS]++;
    t->n[SUCCEEDED] += says(entry, "status", "succeeded");
    t->n[NO_INSTANCE_STATS] += !has_elements(entry, "instance_stats");
    t->n[NO_PRIVACY_EVENTS] += !has_elements(entry, "privacy_events");
    t->n[NO_CONTROL_PLANE] +=
        !filled(entry, "control_plane_status") || says(entry, "control_plane_status", "unknown");
    add_mean(entry, "duration_seconds", &t->duration_sum, &t->n[DURATIONS]);
    count_learning(t, entry);
    if (t->n[RUNS] == 1)
        t->first = entry;
    else
        cJSON_Delete(entry);
}

/* Counts the whole lines from t->offset on. */
static int count_lines(struct tally *t, FILE *log)
{
    char *line = NULL;
    size_t room = 0;
    int result = fseeko(log, t->offset, SEEK_SET);
    while (result == 0) {
        ssize_t n = getline(&line, &room, log);
        if (n < 0 || line[n - 1] != '\n') {
            result = n < 0 && !feof(log) ? -1 : 0;
            break;
        }
        cJSON *entry = metrics_line_parse(line, (size_t)n);
        if (entry)
            count_entry(t, entry);
        t->offset += n;
    }
    int saved = errno;
    free(line);
    errno = saved;
    return result;
}

static FILE *open_log(const struct taskdir *runs)
{
    int fd = openat(runs->fd, "metrics.json", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    FILE *log = fd < 0 ? NULL : fdopen(fd, "r");
    if (!log)
        fd_close(&fd);
    return log;
}

/* The document in a file, or NULL; `there` says whether there is a file at all. */
static cJSON *load(const struct taskdir *d, const char *name, bool *there)
{
    struct buf text = BUF_INIT;
    int result = json_slurp(d->fd, name, false, &text);
    *there = result == 0 || errno != ENOENT;
    cJSON *doc = result == 0 ? json_parse(text.data, text.len, name, NULL) : NULL;
    buf_release(&text);
    return doc;
}

static bool ends_line(FILE *log, int64_t offset)
{
    struct stat st;
    char last;
    return offset == 0 || (fstat(fileno(log), &st) == 0 && offset <= st.st_size &&
                           pread(fileno(log), &last, 1, offset - 1) == 1 && last == '\n');
}

/* Takes up the sums of the last update, unless they don't belong to this file. */
static bool carry_read(struct tally *t, const cJSON *post, FILE *log)
{
    const cJSON *carry = cJSON_GetObjectItemCaseSensitive(post, "carry");
    bool fits = cJSON_IsObject(carry);
    for (size_t i = 0; i < COUNTS; i++) {
        t->n[i] = json_get_int(carry, count_names[i], -1);
        fits = fits && t->n[i] >= 0;
    }
    t->offset = json_get_int(carry, "offset", -1);
    t->duration_sum = json_get_num(carry, "duration_sum", 0);
    t->latency_sum = json_get_num(carry, "latency_sum", 0);
    return fits && t->offset >= 0 && t->n[RUNS] == json_get_int(post, "total_runs", -1) &&
           t->n[SUCCEEDED] == json_get_int(post, "succeeded_runs", -1) && ends_line(log, t->offset);
}

static void carry_write(const struct tally *t, cJSON *post)
{
    cJSON *carry = json_object(post, "carry");
    json_int(carry, "offset", t->offset);
    for (size_t i = 0; i < COUNTS; i++)
        json_int(carry, count_names[i], t->n[i]);
    json_num(carry, "duration_sum", t->duration_sum);
    json_num(carry, "latency_sum", t->latency_sum);
}

static int write_baseline(const struct taskdir *metrics, const cJSON *first, struct err *e)
{
    cJSON *doc = json_new();
    json_str(doc, "run_id", json_get_str(first, "run_id"));
    json_str(doc, "recorded_at", json_get_str(first, "recorded_at"));
    json_str(doc, "status", json_get_str(first, "status"));
    json_num(doc, "duration_seconds", json_get_num(first, "duration_seconds", (double)NAN));
    json_int(doc, "completion_rate", says(first, "status", "succeeded"));
    return taskdir_replace_json(metrics, "baseline.json", doc, e);
}

static int write_post_rollout(const struct taskdir *metrics, const struct tally *t, int64_t now_ms,
                              struct err *e)
{
    double rate = (double)t->n[SUCCEEDED] / (double)t->n[RUNS];
    cJSON *doc = json_new();
    json_int(doc, "total_runs", t->n[RUNS]);
    json_int(doc, "succeeded_runs", t->n[SUCCEEDED]);
    json_num(doc, "completion_rate", rate);
    json_bool(doc, "meets_threshold", rate >= 0.95);
    json_time(doc, "updated_at", now_ms);
    carry_write(t, doc);
    return taskdir_replace_json(metrics, "post-rollout.json", doc, e);
}

static int write_completeness(const struct taskdir *metrics, const struct tally *t, int64_t now_ms,
                              struct err *e)
{
    static const struct {
        const char *field;
        enum counted missing;
    } fields[] = {{"instance_stats", NO_INSTANCE_STATS},
                  {"privacy_events", NO_PRIVACY_EVENTS},
                  {"control_plane_status", NO_CONTROL_PLANE}};
    enum { FIELDS = sizeof fields / sizeof *fields };
    int64_t missing = 0;
    cJSON *doc = json_new();
    cJSON *checked = json_array(doc, "checked_fields");
    cJSON *counts = json_object(doc, "missing_counts");
    for (size_t i = 0; i < FIELDS; i++) {
        json_str(checked, NULL, fields[i].field);
        json_int(counts, fields[i].field, t->n[fields[i].missing]);
        missing += t->n[fields[i].missing];
    }
    double ratio = (double)missing / (double)(FIELDS * t->n[RUNS]);
    json_num(doc, "missing_field_ratio", ratio);
    json_bool(doc, "meets_threshold", ratio < 0.05);
    json_time(doc, "updated_at", now_ms);
    return taskdir_replace_json(metrics, "completeness.json", doc, e);
}

static int write_mttr(const struct workspace *w, const struct tally *t, const cJSON *baseline,
                      int64_t now_ms, struct err *e)
{
    struct taskdir out;
    if (t->n[DURATIONS] == 0)
        return 0;
    double now = t->duration_sum / (double)t->n[DURATIONS];
    double before = json_get_num(baseline, "duration_seconds", now);
    cJSON *doc = json_new();
    json_num(doc, "baseline_mttr_seconds", before);
    json_num(doc, "current_mttr_seconds", now);
    json_num(doc, "reduction_percent", before > 0 ? (before - now) / before : 0);
    json_bool(doc, "meets_threshold", before <= 0 || now <= before * 0.6);
    json_time(doc, "updated_at", now_ms);
    if (taskdir_open(&out, w->out, w->task_id, "metrics", e) < 0) {
        cJSON_Delete(doc);
        return -1;
    }
    int result = taskdir_replace_json(&out, "mttr-delta.json", doc, e);
    taskdir_close(&out);
    return result;
}

static cJSON *state_document(const struct tally *t, int64_t now_ms)
{
    cJSON *doc = json_new();
    json_time(doc, "updated_at", now_ms);
    cJSON *safety = json_object(doc, "safety");
    cJSON *validation = json_object(safety, "validation");
    json_int(validation, "passed", t->n[VALIDATED]);
    json_int(validation, "failed", t->n[VALIDATION_FAILED]);
    json_int(validation, "stalled", t->n[VALIDATION_STALLED]);
    json_int(validation, "manual", t->n[VALIDATION_MANUAL]);
    cJSON *reviewer = json_object(safety, "reviewer");
    json_int(reviewer, "rejections", t->n[REJECTIONS]);
    if (t->n[LATENCIES])
        json_num(reviewer, "average_latency_ms", t->latency_sum / (double)t->n[LATENCIES]);
    else
        json_null(reviewer, "average_latency_ms");
    json_int(json_object(safety, "regression_detection"), "detected", t->n[REGRESSIONS]);
    cJSON *hygiene = json_object(safety, "pattern_hygiene");
    json_int(hygiene, "promoted", t->n[PROMOTED]);
    json_int(hygiene, "deprecated", t->n[DEPRECATED]);
    json_int(json_object(doc, "throughput"), "candidates", t->n[CANDIDATES]);
    cJSON *alerts = json_object(doc, "alerts");
    json_int(alerts, "total", t->n[ALERTS]);
    json_int(alerts, "snapshot_failed", t->n[SNAPSHOTS_FAILED]);
    json_int(alerts, "stalled_snapshot", t->n[SNAPSHOTS_STALLED]);
    json_int(alerts, "needs_manual_scenario", t->n[VALIDATION_MANUAL]);
    return doc;
}

static int write_state(const struct workspace *w, const struct tally *t, int64_t now_ms,
                       struct err *e)
{
    struct taskdir out;
    if (taskdir_open(&out, w->out, w->task_id, NULL, e) < 0)
        return -1;
    int result = taskdir_replace_json(&out, "state.json", state_document(t, now_ms), e);
    taskdir_close(&out);
    return result;
}

/* Without a baseline the first entry is needed, so everything is counted anew then. */
static int count_all(struct tally *t, const struct taskdir *runs, const struct taskdir *metrics,
                     bool has_baseline, struct err *e)
{
    bool there;
    FILE *log = open_log(runs);
    if (!log)
        return errno == ENOENT ? 0 : err_sys(e, "%s/metrics.json", runs->path);
    cJSON *post = load(metrics, "post-rollout.json", &there);
    if (!has_baseline || !carry_read(t, post, log))
        *t = (struct tally){0};
    int result = count_lines(t, log);
    if (result < 0)
        err_sys(e, "%s/metrics.json can't be read", runs->path);
    fclose(log);
    cJSON_Delete(post);
    return result;
}

static int update(const struct workspace *w, const struct taskdir *runs,
                  const struct taskdir *metrics, int64_t now_ms, struct err *e)
{
    struct tally t = {0};
    bool has_baseline;
    cJSON *baseline = load(metrics, "baseline.json", &has_baseline);
    int result = count_all(&t, runs, metrics, has_baseline, e);
    if (result == 0 && t.n[RUNS] > 0) {
        if (!has_baseline)
            result = write_baseline(metrics, t.first, e);
        if (result < 0 || write_completeness(metrics, &t, now_ms, e) < 0 ||
            write_mttr(w, &t, has_baseline ? baseline : t.first, now_ms, e) < 0 ||
            write_state(w, &t, now_ms, e) < 0 || write_post_rollout(metrics, &t, now_ms, e) < 0)
            result = -1;
    }
    cJSON_Delete(t.first);
    cJSON_Delete(baseline);
    return result;
}

int aggregates_update(const struct workspace *w, const struct taskdir *runs, int64_t now_ms,
                      struct err *e)
{
    struct taskdir metrics;
    if (taskdir_open(&metrics, w->runs, w->task_id, "metrics", e) < 0)
        return -1;
    int result = update(w, runs, &metrics, now_ms, e);
    taskdir_close(&metrics);
    return result;
}

static void sweep(const char *base, const char *task_id, const char *sub, const char *name)
{
    struct taskdir d;
    struct err ignored;
    if (taskdir_open(&d, base, task_id, sub, &ignored) != 0)
        return;
    atomicfile_sweep(d.fd, name);
    taskdir_close(&d);
}

void aggregates_sweep(const struct workspace *w)
{
    sweep(w->runs, w->task_id, "metrics", NULL);
    sweep(w->out, w->task_id, "metrics", NULL);
    sweep(w->out, w->task_id, NULL, "state.json"); /* the history has a lock of its own */
}
