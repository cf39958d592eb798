/* metrics.json, its queue, and the aggregates that follow from it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "atomicfile.h"
#include "clock.h"
#include "metrics.h"
#include "tmpdir.h"

#define NOW INT64_C(1767225600000) /* 2026-01-01T00:00:00.000Z */
#define RUNS "runs/t/"
#define OUT "out/t/"

struct fixture {
    char folder[64];
    struct workspace w;
    struct manifest m;
};

static char id[] = "a", command[] = "echo a", task[] = "t";
static struct stage stages[] = {{.kind = STAGE_COMMAND, .id = id, .title = id, .command = command},
                                {.kind = STAGE_COMMAND, .id = id, .title = id, .command = command}};

static void set(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
    assert_non_null(*field);
}

static void path_of(const struct fixture *f, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", f->folder, name);
}

static void make(struct fixture *f)
{
    static const struct pipeline p = {
        .id = id, .title = id, .stages = stages, .n_stages = 2, .guardrails_required = FLAG_FALSE};
    char path[256];
    tmpdir_make(f->folder);
    f->w = (struct workspace){.root = f->folder, .task_id = task, .task_slug = task};
    path_of(f, "runs", path);
    f->w.runs = strdup(path);
    path_of(f, "out", path);
    f->w.out = strdup(path);
    assert_int_equal(manifest_init(&f->m, &p, NOW), 0);
    set(&f->m.task_id, "t");
    set(&f->m.run_id, "r1");
    set(&f->m.artifact_root, ".runs/t/cli/r1");
    f->m.status = RUN_SUCCEEDED;
    f->m.completed_ms = NOW + 1500;
    f->m.commands[0].state = STAGE_SUCCEEDED;
    unsetenv("CODEX_METRICS_PRIVACY_EVENTS_MAX");
}

static void release(struct fixture *f)
{
    manifest_release(&f->m);
    free(f->w.runs);
    free(f->w.out);
    tmpdir_remove(f->folder);
}

static char *slurp(const struct fixture *f, const char *name)
{
    struct buf text = BUF_INIT;
    char path[256];
    path_of(f, name, path);
    if (json_slurp(AT_FDCWD, path, false, &text) < 0)
        fail_msg("%s: %s", path, strerror(errno));
    return buf_detach(&text);
}

static void spit(const struct fixture *f, const char *name, const char *text)
{
    char path[256];
    path_of(f, name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void folder(const struct fixture *f, const char *name)
{
    char path[256];
    path_of(f, name, path);
    assert_true(mkdir(path, 0777) == 0 || errno == EEXIST);
}

static bool exists(const struct fixture *f, const char *name)
{
    char path[256];
    path_of(f, name, path);
    return access(path, F_OK) == 0;
}

static cJSON *load(const struct fixture *f, const char *name)
{
    char *text = slurp(f, name);
    cJSON *doc = cJSON_Parse(text);
    assert_non_null(doc);
    free(text);
    return doc;
}

/* Records the run under another id and status. */
static void record(struct fixture *f, const char *run_id, enum run_status status)
{
    struct err e = {""};
    set(&f->m.run_id, run_id);
    f->m.status = status;
    int result = metrics_record(&f->w, &f->m, NOW + 2000, &e);
    if (result != 1)
        fail_msg("%d: %s", result, e.text);
}

static void assert_runs(const struct fixture *f, int total, int succeeded)
{
    cJSON *post = load(f, RUNS "metrics/post-rollout.json");
    assert_int_equal(json_get_int(post, "total_runs", -1), total);
    assert_int_equal(json_get_int(post, "succeeded_runs", -1), succeeded);
    cJSON_Delete(post);
}

/* The ids of the entries in metrics.json, in order; lines that are none are "?". */
static void assert_ids(const struct fixture *f, const char *want)
{
    char *text = slurp(f, RUNS "metrics.json");
    char got[256] = "", *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        cJSON *entry = cJSON_Parse(line);
        const char *run = json_get_str(entry, "run_id");
        if (*line)
            strncat(strncat(got, run ? run : "?", 20), " ", 2);
        cJSON_Delete(entry);
    }
    free(text);
    assert_string_equal(got, want);
}

static char *entry_text(const struct manifest *m)
{
    struct buf text = BUF_INIT;
    cJSON *entry = metrics_entry(m, NOW + 2000);
    assert_int_equal(json_print(entry, false, &text), 0);
    cJSON_Delete(entry);
    return buf_detach(&text);
}

#define UNUSED                                                                                    \
    "\"tfgrpo_epoch\":null,\"tfgrpo_group_id\":null,\"tfgrpo_group_size\":null,\"tool_calls\":0," \
    "\"token_total\":0,\"cost_usd\":0,\"latency_ms\":0,\"tool_stats\":[],"                        \
    "\"learning_validation_status\":\"pending\",\"learning_snapshot_status\":null,"               \
    "\"learning_scenario_status\":null,\"learning_crystalizer_status\":null,"                     \
    "\"learning_alerts\":0,\"learning_group_id\":null,\"learning_review_rejections\":0,"          \
    "\"learning_review_latency_ms\":null,\"learning_regressions_detected\":0,"                    \
    "\"learning_pattern_promoted\":0,\"learning_pattern_deprecated\":0,"                          \
    "\"learning_throughput_candidates\":0}"

static void test_metrics__entry_of_a_run_without_commands(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    f.m.commands[1].state = STAGE_FAILED;
    manifest_add_child(&f.m, "r2", "child", RUN_FAILED, "x");
    char *text = entry_text(&f.m);
    assert_string_equal(
        text, "{\"run_id\":\"r1\",\"task_id\":\"t\",\"pipeline_id\":\"a\",\"status\":\"succeeded\","
              "\"started_at\":\"2026-01-01T00:00:00.000Z\","
              "\"completed_at\":\"2026-01-01T00:00:01.500Z\",\"duration_seconds\":1.5,"
              "\"commands_passed\":1,\"commands_failed\":1,\"guardrails_present\":false,"
              "\"recorded_at\":\"2026-01-01T00:00:02.000Z\",\"artifact_path\":\".runs/t/cli/r1\","
              "\"child_runs\":1,\"control_plane_status\":\"unknown\",\"scheduler_mode\":null,"
              "\"instance_stats\":[],\"privacy_mode\":null,\"privacy_log_path\":null,"
              "\"privacy_event_count\":0,\"privacy_events\":[],\"handle_count\":0," UNUSED);
    free(text);
    release(&f);
}

static void add_decision(struct manifest *m, const char *element)
{
    buf_addf(&m->decisions, "%s%s", m->n_decisions ? "," : "", element);
    m->n_decisions++;
}

static void assert_events(struct fixture *f, const char *limit, const char *want)
{
    if (limit)
        setenv("CODEX_METRICS_PRIVACY_EVENTS_MAX", limit, 1);
    char *text = entry_text(&f->m);
    const char *from = strstr(text, "\"privacy_mode\"");
    const char *to = strstr(text, ",\"tfgrpo_epoch\"");
    assert_true(from && to);
    char *got = strndup(from, (size_t)(to - from));
    assert_string_equal(got, want);
    free(got);
    free(text);
}

#define HEAD "\"privacy_mode\":\"enforce\",\"privacy_log_path\":\"pd\",\"privacy_event_count\":3,"
#define D1 "{\"stage_id\":\"},{\\\"\",\"n\":[1,{}]}"
#define D2 "{\"n\":2}"
#define D3 "{\"n\":3}"

static void test_metrics__embeds_a_bounded_part_of_the_privacy_events(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    f.m.privacy_enforce = true;
    set(&f.m.privacy_log_path, "pd");
    manifest_add_handle(&f.m, "h", "c", "a", 3, NOW);
    add_decision(&f.m, D1);
    add_decision(&f.m, D2);
    add_decision(&f.m, D3);
    const char *all = HEAD "\"privacy_events\":[" D1 "," D2 "," D3 "],\"handle_count\":1";
    assert_events(&f, NULL, all);
    assert_events(&f, "3", all);
    assert_events(&f, "-1", all);
    assert_events(&f, "many", all);
    assert_events(&f, "2",
                  HEAD "\"privacy_events_truncated\":true,\"privacy_events\":[" D1 "," D2
                       "],\"handle_count\":1");
    assert_events(&f, "1",
                  HEAD "\"privacy_events_truncated\":true,\"privacy_events\":[" D1
                       "],\"handle_count\":1");
    assert_events(
        &f, "0", HEAD "\"privacy_events_truncated\":true,\"privacy_events\":[],\"handle_count\":1");
    release(&f);
}

static void test_metrics__writes_the_line_and_all_aggregates(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    record(&f, "r1", RUN_SUCCEEDED);
    char *line = entry_text(&f.m), *log = slurp(&f, RUNS "metrics.json");
    assert_int_equal(strlen(log), strlen(line) + 1);
    assert_memory_equal(log, line, strlen(line));
    assert_int_equal(log[strlen(line)], '\n');
    static const struct {
        const char *name, *text;
    } files[] = {
        {RUNS "metrics/baseline.json", "{\n"
                                       "  \"run_id\": \"r1\",\n"
                                       "  \"recorded_at\": \"2026-01-01T00:00:02.000Z\",\n"
                                       "  \"status\": \"succeeded\",\n"
                                       "  \"duration_seconds\": 1.5,\n"
                                       "  \"completion_rate\": 1\n"
                                       "}\n"},
        {OUT "metrics/mttr-delta.json", "{\n"
                                        "  \"baseline_mttr_seconds\": 1.5,\n"
                                        "  \"current_mttr_seconds\": 1.5,\n"
                                        "  \"reduction_percent\": 0,\n"
                                        "  \"meets_threshold\": false,\n"
                                        "  \"updated_at\": \"2026-01-01T00:00:02.000Z\"\n"
                                        "}\n"},
        {RUNS "metrics/completeness.json",
         "{\n"
         "  \"checked_fields\": [\"instance_stats\", \"privacy_events\", "
         "\"control_plane_status\"],\n"
         "  \"missing_counts\": {\n"
         "    \"instance_stats\": 1,\n"
         "    \"privacy_events\": 1,\n"
         "    \"control_plane_status\": 1\n"
         "  },\n"
         "  \"missing_field_ratio\": 1,\n"
         "  \"meets_threshold\": false,\n"
         "  \"updated_at\": \"2026-01-01T00:00:02.000Z\"\n"
         "}\n"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *text = slurp(&f, files[i].name);
        assert_string_equal(text, files[i].text);
        free(text);
    }
    cJSON *post = load(&f, RUNS "metrics/post-rollout.json");
    assert_true(json_get_bool(post, "meets_threshold", false));
    assert_int_equal(json_get_int(post, "completion_rate", -1), 1);
    assert_int_equal(json_get_int(cJSON_GetObjectItem(post, "carry"), "offset", -1), strlen(log));
    cJSON_Delete(post);
    free(line);
    free(log);
    release(&f);
}

static void test_metrics__writes_the_state_of_the_learning_features(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    folder(&f, "runs");
    folder(&f, "runs/t");
    spit(&f, RUNS "metrics.json",
         "{\"run_id\":\"o\",\"status\":\"failed\",\"recorded_at\":\"x\",\"control_plane_status\":"
         "\"passed\",\"instance_stats\":[1],\"privacy_events\":[1],\"learning_validation_status\":"
         "\"validated\",\"learning_snapshot_status\":\"stalled_snapshot\",\"learning_alerts\":2,"
         "\"learning_review_rejections\":3,\"learning_review_latency_ms\":40,"
         "\"learning_regressions_detected\":4,\"learning_pattern_promoted\":5,"
         "\"learning_pattern_deprecated\":6,\"learning_throughput_candidates\":7}\n");
    record(&f, "r1", RUN_SUCCEEDED);
    struct buf text = BUF_INIT;
    cJSON *doc = load(&f, OUT "state.json");
    assert_int_equal(json_print(doc, false, &text), 0);
    assert_string_equal(
        text.data, "{\"updated_at\":\"2026-01-01T00:00:02.000Z\",\"safety\":{\"validation\":{"
                   "\"passed\":1,\"failed\":0,\"stalled\":0,\"manual\":0},\"reviewer\":{"
                   "\"rejections\":3,\"average_latency_ms\":40},\"regression_detection\":{"
                   "\"detected\":4},\"pattern_hygiene\":{\"promoted\":5,\"deprecated\":6}},"
                   "\"throughput\":{\"candidates\":7},\"alerts\":{\"total\":2,"
                   "\"snapshot_failed\":0,\"stalled_snapshot\":1,\"needs_manual_scenario\":0}}");
    cJSON_Delete(doc);
    doc = load(&f, RUNS "metrics/completeness.json");
    assert_true(json_get_num(doc, "missing_field_ratio", -1) == 0.5);
    cJSON_Delete(doc);
    buf_release(&text);
    release(&f);
}

static void test_metrics__compares_with_the_first_run(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    f.m.completed_ms = NOW + 8000;
    record(&f, "r1", RUN_FAILED);
    f.m.completed_ms = NOW + 1000;
    record(&f, "r2", RUN_SUCCEEDED);
    cJSON *doc = load(&f, OUT "metrics/mttr-delta.json");
    assert_true(json_get_num(doc, "baseline_mttr_seconds", -1) == 8);
    assert_true(json_get_num(doc, "current_mttr_seconds", -1) == 4.5);
    assert_true(json_get_num(doc, "reduction_percent", -1) == 0.4375);
    assert_true(json_get_bool(doc, "meets_threshold", false)); /* 4.5 <= 8 * 0.6 */
    cJSON_Delete(doc);
    doc = load(&f, RUNS "metrics/baseline.json");
    assert_string_equal(json_get_str(doc, "run_id"), "r1");
    assert_int_equal(json_get_int(doc, "completion_rate", -1), 0);
    cJSON_Delete(doc);
    assert_runs(&f, 2, 1);
    release(&f);
}

static void test_metrics__counts_a_resumed_run_once_per_session(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    record(&f, "r1", RUN_FAILED);
    record(&f, "r1", RUN_SUCCEEDED);
    assert_ids(&f, "r1 r1 ");
    assert_runs(&f, 2, 1);
    release(&f);
}

/* Makes the first line of metrics.json say that the run failed, without moving anything. */
static void spoil_first_line(struct fixture *f)
{
    char *text = slurp(f, RUNS "metrics.json"), *at = strstr(text, "\"succeeded\"");
    assert_non_null(at);
    memcpy(at, "\"cancelled\"", strlen("\"cancelled\""));
    spit(f, RUNS "metrics.json", text);
    free(text);
}

static void test_metrics__reads_only_lines_it_has_not_seen(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    record(&f, "r1", RUN_SUCCEEDED);
    spoil_first_line(&f);
    record(&f, "r2", RUN_SUCCEEDED);
    assert_runs(&f, 2, 2);
    release(&f);
}

static void damage(const struct fixture *f, const char *name, const char *from, const char *to)
{
    char *text = slurp(f, name), *at = strstr(text, from);
    struct buf changed = BUF_INIT;
    assert_non_null(at);
    buf_add(&changed, text, (size_t)(at - text));
    buf_addstr(&changed, to);
    buf_addstr(&changed, at + strlen(from));
    spit(f, name, changed.data);
    buf_release(&changed);
    free(text);
}

static void test_metrics__counts_anew_when_the_carried_sums_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } damages[] = {
        {"\"carry\"", "\"curry\""},
        {"\"offset\": ", "\"offset\": -"},
        {"\"offset\": ", "\"offset\": 9"},            /* beyond the end */
        {"\"offset\": ", "\"offset\": 1, \"was\": "}, /* within a line */
        {"\"durations\": 1", "\"durations\": \"x\""},
        {"\"total_runs\": 1", "\"total_runs\": 7"},
        {"\"succeeded_runs\": 1", "\"succeeded_runs\": 0"},
        {"{", "not JSON"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct fixture f;
        make(&f);
        record(&f, "r1", RUN_SUCCEEDED);
        spoil_first_line(&f);
        damage(&f, RUNS "metrics/post-rollout.json", damages[i].from, damages[i].to);
        record(&f, "r2", RUN_SUCCEEDED);
        assert_runs(&f, 2, 1);
        release(&f);
    }
}

static void test_metrics__makes_a_lost_baseline_from_the_first_line(void **state)
{
    (void)state;
    struct fixture f;
    char path[256];
    make(&f);
    record(&f, "r1", RUN_SUCCEEDED);
    path_of(&f, RUNS "metrics/baseline.json", path);
    assert_int_equal(unlink(path), 0);
    record(&f, "r2", RUN_SUCCEEDED);
    cJSON *doc = load(&f, RUNS "metrics/baseline.json");
    assert_string_equal(json_get_str(doc, "run_id"), "r1");
    cJSON_Delete(doc);
    release(&f);
}

static void test_metrics__repairs_a_torn_last_line(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    record(&f, "r1", RUN_SUCCEEDED);
    char *text = slurp(&f, RUNS "metrics.json");
    struct buf torn = BUF_INIT;
    buf_addf(&torn, "%s{\"run_id\":\"lo", text);
    spit(&f, RUNS "metrics.json", torn.data);
    record(&f, "r2", RUN_SUCCEEDED);
    assert_ids(&f, "r1 ? r2 ");
    assert_runs(&f, 2, 2);
    buf_release(&torn);
    free(text);
    release(&f);
}

/* Every look at it is ten seconds later: no waiting for a lock. */
static int64_t hurried_mono_ns(void)
{
    static int64_t now;
    return now += INT64_C(10000000000);
}

static void queue(struct fixture *f, const char *run_id, int64_t now_ms)
{
    struct err e = {""};
    set(&f->m.run_id, run_id);
    clock_inject(NULL, hurried_mono_ns);
    assert_int_equal(metrics_record(&f->w, &f->m, now_ms, &e), 0);
    clock_inject(NULL, NULL);
    assert_non_null(strstr(e.text, run_id));
    assert_non_null(strstr(e.text, "runs/t/metrics.pending/"));
}

static void lock(const struct fixture *f)
{
    folder(f, "runs");
    folder(f, "runs/t");
    spit(f, RUNS "metrics.lock", "another process");
}

static void unlock(const struct fixture *f)
{
    char path[256];
    path_of(f, RUNS "metrics.lock", path);
    assert_int_equal(unlink(path), 0);
}

static int queued(const struct fixture *f)
{
    struct dirent **names;
    char path[256];
    path_of(f, RUNS "metrics.pending", path);
    int n = scandir(path, &names, NULL, NULL);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return n - 2; /* . and .. */
}

static void test_metrics__queues_the_entry_while_another_holds_the_lock(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    lock(&f);
    queue(&f, "r1", NOW);
    assert_int_equal(queued(&f), 1);
    assert_false(exists(&f, RUNS "metrics.json"));
    assert_true(exists(&f, RUNS "metrics.lock"));
    release(&f);
}

static void test_metrics__merges_the_queue_in_name_order(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    lock(&f);
    queue(&f, "r2", NOW);
    queue(&f, "r1", NOW + 5);
    queue(&f, "r1", NOW + 4);
    unlock(&f);
    record(&f, "r3", RUN_SUCCEEDED);
    assert_ids(&f, "r1 r1 r2 r3 ");
    char *text = slurp(&f, RUNS "metrics.json");
    assert_true(strstr(text, "00:00:00.004Z") < strstr(text, "00:00:00.005Z"));
    free(text);
    assert_int_equal(queued(&f), 0);
    assert_runs(&f, 4, 4);
    assert_false(exists(&f, RUNS "metrics.lock"));
    release(&f);
}

#define QUEUED(id) "{\"run_id\":\"" id "\",\"status\":\"succeeded\",\"recorded_at\":\"x\"}\n"

static void test_metrics__merges_an_entry_once_despite_a_crash_before_its_removal(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    lock(&f);
    queue(&f, "r0", NOW);
    unlock(&f);
    spit(&f, RUNS "metrics.pending/q1.jsonl", QUEUED("q1"));
    spit(&f, RUNS "metrics.pending/q2.jsonl", QUEUED("q2"));
    spit(&f, RUNS "metrics.json", QUEUED("q0") QUEUED("q1") QUEUED("q2"));
    record(&f, "r1", RUN_SUCCEEDED);
    assert_ids(&f, "q0 q1 q2 r0 r1 ");
    assert_int_equal(queued(&f), 0);
    release(&f);
}

static void age(const struct fixture *f, const char *name)
{
    const struct timespec old[2] = {{1000, 0}, {1000, 0}};
    char path[256];
    path_of(f, name, path);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
}

static void test_metrics__takes_whole_entries_from_abandoned_temporary_files(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    folder(&f, "runs");
    folder(&f, "runs/t");
    folder(&f, "runs/t/metrics.pending");
    spit(&f, RUNS "metrics.pending/old.jsonl.tmp", QUEUED("old") "{\"run_id\":\"torn");
    age(&f, RUNS "metrics.pending/old.jsonl.tmp");
    spit(&f, RUNS "metrics.pending/new.jsonl.tmp", QUEUED("new"));
    record(&f, "r1", RUN_SUCCEEDED);
    assert_ids(&f, "old r1 ");
    assert_int_equal(queued(&f), 1);
    assert_true(exists(&f, RUNS "metrics.pending/new.jsonl.tmp"));
    release(&f);
}

static void test_metrics__leaves_planted_links_alone(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {""};
    char path[256];
    make(&f);
    folder(&f, "runs");
    folder(&f, "runs/t");
    spit(&f, "victim", QUEUED("victim"));
    folder(&f, "runs/t/metrics.pending");
    path_of(&f, RUNS "metrics.pending/x.jsonl", path);
    assert_int_equal(symlink("../../../victim", path), 0);
    record(&f, "r1", RUN_SUCCEEDED);
    assert_ids(&f, "r1 ");
    path_of(&f, RUNS "metrics.json", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("../../victim", path), 0);
    assert_int_equal(metrics_record(&f.w, &f.m, NOW, &e), -1);
    assert_non_null(strstr(e.text, "runs/t/metrics.json"));
    char *text = slurp(&f, "victim");
    assert_string_equal(text, QUEUED("victim"));
    free(text);
    release(&f);
}

static void test_metrics__refuses_a_link_in_place_of_a_folder(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {""};
    char path[256], want[400];
    make(&f);
    folder(&f, "runs");
    folder(&f, "elsewhere");
    path_of(&f, "runs/t", path);
    assert_int_equal(symlink("../elsewhere", path), 0);
    assert_int_equal(metrics_record(&f.w, &f.m, NOW, &e), -1);
    snprintf(want, sizeof want, "%s: a link or a file is where a folder should be; remove it",
             path);
    assert_string_equal(e.text, want);
    assert_false(exists(&f, "elsewhere/metrics.json"));
    release(&f);
}

/* Half of the first long text is written, then the disk is full. */
static ssize_t write_to_full_disk(int fd, const void *bytes, size_t n)
{
    static bool full;
    if (n < 200) /* a lock's token */
        return write(fd, bytes, n);
    full = !full;
    if (full)
        return write(fd, bytes, n / 2);
    errno = ENOSPC;
    return -1;
}

static void test_metrics__takes_back_half_a_line_on_enospc(void **state)
{
    (void)state;
    static const struct atomicfile_calls calls = {.write = write_to_full_disk};
    struct fixture f;
    struct err e = {""};
    make(&f);
    record(&f, "r1", RUN_SUCCEEDED);
    char *before = slurp(&f, RUNS "metrics.json");
    atomicfile_inject(&calls);
    int result = metrics_record(&f.w, &f.m, NOW, &e);
    atomicfile_inject(NULL);
    assert_int_equal(result, -1);
    assert_non_null(strstr(e.text, "runs/t/metrics.json can't be extended: No space left"));
    char *after = slurp(&f, RUNS "metrics.json");
    assert_string_equal(before, after);
    assert_false(exists(&f, RUNS "metrics.lock"));
    free(before);
    free(after);
    release(&f);
}

static void test_metrics__lets_those_read_who_may_read_the_folder(void **state)
{
    (void)state;
    static const char *const names[] = {RUNS "metrics.json", RUNS "metrics/baseline.json",
                                        OUT "state.json"};
    struct fixture f;
    make(&f);
    mode_t kept = umask(027);
    record(&f, "r1", RUN_SUCCEEDED);
    umask(kept);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat st;
        char path[256];
        path_of(&f, names[i], path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0640);
    }
    release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics__entry_of_a_run_without_commands),
        cmocka_unit_test(test_metrics__embeds_a_bounded_part_of_the_privacy_events),
        cmocka_unit_test(test_metrics__writes_the_line_and_all_aggregates),
        cmocka_unit_test(test_metrics__writes_the_state_of_the_learning_features),
        cmocka_unit_test(test_metrics__compares_with_the_first_run),
        cmocka_unit_test(test_metrics__counts_a_resumed_run_once_per_session),
        cmocka_unit_test(test_metrics__reads_only_lines_it_has_not_seen),
        cmocka_unit_test(test_metrics__counts_anew_when_the_carried_sums_do_not_fit),
        cmocka_unit_test(test_metrics__makes_a_lost_baseline_from_the_first_line),
        cmocka_unit_test(test_metrics__repairs_a_torn_last_line),
        cmocka_unit_test(test_metrics__queues_the_entry_while_another_holds_the_lock),
        cmocka_unit_test(test_metrics__merges_the_queue_in_name_order),
        cmocka_unit_test(test_metrics__merges_an_entry_once_despite_a_crash_before_its_removal),
        cmocka_unit_test(test_metrics__takes_whole_entries_from_abandoned_temporary_files),
        cmocka_unit_test(test_metrics__leaves_planted_links_alone),
        cmocka_unit_test(test_metrics__refuses_a_link_in_place_of_a_folder),
        cmocka_unit_test(test_metrics__takes_back_half_a_line_on_enospc),
        cmocka_unit_test(test_metrics__lets_those_read_who_may_read_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
