/* out/<task>/runs.json. */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "bounds.h"
#include "clock.h"
#include "history.h"
#include "json.h"
#include "tmpdir.h"

struct fixture {
    char folder[64], runs[128], out[128], file[160];
    struct workspace w;
};

static char task[] = "t";

static void make(struct fixture *f)
{
    tmpdir_make(f->folder);
    snprintf(f->runs, sizeof f->runs, "%s/runs", f->folder);
    snprintf(f->out, sizeof f->out, "%s/out", f->folder);
    snprintf(f->file, sizeof f->file, "%s/t", f->out);
    assert_int_equal(mkdir(f->runs, 0777), 0);
    assert_int_equal(mkdir(f->out, 0777), 0);
    assert_int_equal(mkdir(f->file, 0777), 0);
    snprintf(f->file, sizeof f->file, "%s/t/runs.json", f->out);
    f->w = (struct workspace){
        .root = f->folder, .runs = f->runs, .out = f->out, .task_id = task, .task_slug = task};
    unsetenv("CODEX_ORCHESTRATOR_HISTORY_RUNS");
}

static void release(struct fixture *f)
{
    tmpdir_remove(f->folder);
}

static cJSON *summary(const char *run_id, const char *timestamp, const char *notes)
{
    cJSON *doc = json_new();
    json_str(doc, "taskId", "t");
    json_str(doc, "runId", run_id);
    json_str(json_object(doc, "build"), "runId", run_id);
    json_str(doc, "notes", notes);
    json_str(doc, "timestamp", timestamp);
    return doc;
}

/* Records the summary. */
static int add(struct fixture *f, const char *run_id, const char *timestamp, const cJSON *doc,
               struct err *e)
{
    struct buf line = BUF_INIT;
    assert_int_equal(json_print(doc, false, &line), 0);
    const struct history_entry entry = {run_id, clock_parse_iso(timestamp), line.data, line.len};
    int result = history_record(&f->w, &entry, HISTORY_LOCK_MS, e);
    int saved = errno;
    buf_release(&line);
    errno = saved;
    return result;
}

static void record(struct fixture *f, const char *run_id, const char *timestamp, const char *notes)
{
    struct err e = {""};
    cJSON *doc = summary(run_id, timestamp, notes);
    if (add(f, run_id, timestamp, doc, &e) < 0)
        fail_msg("%s", e.text);
    cJSON_Delete(doc);
}

static char *slurp(const struct fixture *f)
{
    struct buf text = BUF_INIT;
    if (json_slurp(AT_FDCWD, f->file, false, &text) < 0)
        fail_msg("%s: %s", f->file, strerror(errno));
    return buf_detach(&text);
}

static void spit(const struct fixture *f, const char *text)
{
    FILE *file = fopen(f->file, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void assert_file(const struct fixture *f, const char *want)
{
    char *text = slurp(f);
    assert_string_equal(text, want);
    free(text);
}

/* The ids of the runs in the file, which must be one JSON document. */
static void assert_ids(const struct fixture *f, const char *want)
{
    char got[256] = "", *text = slurp(f);
    cJSON *doc = cJSON_Parse(text);
    const cJSON *run;
    assert_non_null(doc);
    cJSON_ArrayForEach(run, cJSON_GetObjectItem(doc, "runs"))
    {
        strncat(strncat(got, json_get_str(run, "runId"), 20), " ", 2);
    }
    assert_string_equal(got, want);
    cJSON_Delete(doc);
    free(text);
}

#define T1 "2026-01-01T00:00:01.000Z"
#define T2 "2026-01-01T00:00:02.000Z"
#define T3 "2026-01-01T00:00:03.000Z"
#define LINE(id, time, notes)                                                                    \
    "{\"taskId\":\"t\",\"runId\":\"" id "\",\"build\":{\"runId\":\"" id "\"},\"notes\":\"" notes \
    "\",\"timestamp\":\"" time "\"}"
#define HEAD(time) "{\"taskId\":\"t\",\"lastRunAt\":\"" time "\",\"runs\":[\n"

static void test_history__holds_one_run_per_line(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    record(&f, "r1", T1, "x");
    assert_file(&f, HEAD(T1) LINE("r1", T1, "x") "\n]}\n");
    record(&f, "r2", T2, "line\nline");
    assert_file(&f, HEAD(T2) LINE("r1", T1, "x") ",\n" LINE("r2", T2, "line\\nline") "\n]}\n");
    release(&f);
}

static void test_history__replaces_the_entry_of_a_resumed_run(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    record(&f, "r1", T1, "failed");
    record(&f, "r2", T2, "\"runId\":\"r1\""); /* names the other run, but is not its entry */
    record(&f, "r1", T3, "succeeded");
    assert_file(&f, HEAD(T3) LINE("r2", T2, "\\\"runId\\\":\\\"r1\\\"") ",\n" LINE(
                        "r1", T3, "succeeded") "\n]}\n");
    release(&f);
}

static void test_history__tells_runs_apart_whose_ids_begin_alike(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    record(&f, "r11", T1, "x");
    record(&f, "r1", T2, "x");
    assert_ids(&f, "r11 r1 ");
    release(&f);
}

static void test_history__keeps_the_newest_time_of_runs_that_end_out_of_order(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    record(&f, "r1", T3, "x");
    record(&f, "r2", T2, "x");
    assert_file(&f, HEAD(T3) LINE("r1", T3, "x") ",\n" LINE("r2", T2, "x") "\n]}\n");
    release(&f);
}

static void test_history__keeps_the_newest_runs(void **state)
{
    (void)state;
    struct fixture f;
    char id[16];
    make(&f);
    setenv("CODEX_ORCHESTRATOR_HISTORY_RUNS", "3", 1);
    for (int i = 1; i <= 5; i++) {
        snprintf(id, sizeof id, "r%d", i);
        record(&f, id, T1, "x");
    }
    assert_ids(&f, "r3 r4 r5 ");
    setenv("CODEX_ORCHESTRATOR_HISTORY_RUNS", "1", 1);
    record(&f, "r6", T1, "x");
    assert_ids(&f, "r6 ");
    setenv("CODEX_ORCHESTRATOR_HISTORY_RUNS", "all", 1);
    record(&f, "r7", T1, "x");
    record(&f, "r8", T1, "x");
    assert_ids(&f, "r6 r7 r8 ");
    release(&f);
}

/* A file of our layout with `n` runs o1, o2, … */
static void fill(const struct fixture *f, unsigned n)
{
    struct buf text = BUF_INIT;
    buf_addstr(&text, HEAD(T1));
    for (unsigned i = 1; i <= n; i++)
        buf_addf(&text, "%s{\"taskId\":\"t\",\"runId\":\"o%u\"}", i > 1 ? ",\n" : "", i);
    buf_addstr(&text, "\n]}\n");
    spit(f, text.data);
    buf_release(&text);
}

static void assert_runs(const struct fixture *f, int n, const char *first)
{
    char *text = slurp(f);
    cJSON *doc = cJSON_Parse(text);
    const cJSON *runs = cJSON_GetObjectItem(doc, "runs");
    assert_int_equal(cJSON_GetArraySize(runs), n);
    assert_string_equal(json_get_str(cJSON_GetArrayItem(runs, 0), "runId"), first);
    cJSON_Delete(doc);
    free(text);
}

static void test_history__keeps_its_usual_number_of_runs(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    fill(&f, HISTORY_RUNS + 20);
    record(&f, "r1", T2, "x");
    assert_runs(&f, HISTORY_RUNS, "o22");
    setenv("CODEX_ORCHESTRATOR_HISTORY_RUNS", "all", 1);
    fill(&f, HISTORY_RUNS + 20);
    record(&f, "r1", T2, "x");
    assert_runs(&f, HISTORY_RUNS + 21, "o1");
    release(&f);
}

/* Had the other lines been parsed, this one would have been found out. */
static void test_history__moves_lines_without_parsing_them(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    spit(&f, HEAD(T1) "{\"taskId\":\"t\",\"runId\":\"r0\", no JSON at all }\n]}\n");
    record(&f, "r1", T2, "x");
    assert_file(&f, HEAD(T2) "{\"taskId\":\"t\",\"runId\":\"r0\", no JSON at all },\n" LINE(
                        "r1", T2, "x") "\n]}\n");
    release(&f);
}

static void test_history__takes_over_a_file_of_another_layout(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    spit(&f, "{\n  \"taskId\": \"t\",\n  \"lastRunAt\": \"" T2 "\",\n  \"runs\": [\n"
             "    {\"mode\": \"mcp\", \"runId\": \"r1\", \"taskId\": \"t\", \"timestamp\": \"" T1
             "\"},\n    {\"taskId\": \"t\", \"runId\": \"r2\", \"timestamp\": \"" T2 "\"}\n  ]\n}");
    record(&f, "r2", T3, "x");
    assert_file(&f, HEAD(T3) "{\"taskId\":\"t\",\"runId\":\"r1\",\"mode\":\"mcp\",\"timestamp\":"
                             "\"" T1 "\"},\n" LINE("r2", T3, "x") "\n]}\n");
    release(&f);
}

static void test_history__takes_over_a_history_without_runs(void **state)
{
    (void)state;
    struct fixture f;
    make(&f);
    spit(&f, "{\"taskId\":\"t\",\"lastRunAt\":\"\",\"runs\":[]}");
    record(&f, "r1", T1, "x");
    assert_file(&f, HEAD(T1) LINE("r1", T1, "x") "\n]}\n");
    release(&f);
}

/* The text of the file that was set aside. free() it. */
static char *set_aside(const struct fixture *f)
{
    struct buf text = BUF_INIT;
    char folder[160];
    snprintf(folder, sizeof folder, "%s/t", f->out);
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        if (strncmp(entry->d_name, "runs.json.corrupt-", 18) == 0)
            assert_int_equal(json_slurp(dirfd(d), entry->d_name, false, &text), 0);
    }
    closedir(d);
    return buf_detach(&text);
}

static void test_history__sets_aside_what_is_no_history(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "not JSON",
        "{\"taskId\":\"other\",\"lastRunAt\":\"\",\"runs\":[]}",
        "{\"taskId\":\"t\",\"runs\":{}}",
        "{\"taskId\":\"t\",\"lastRunAt\":\"\",\"runs\":[7]}",
        HEAD(T1) "{\"taskId\":\"t\",\"runId\":\"r0\"\n]}\n", /* a brace is missing */
        HEAD(T1) "{\"taskId\":\"t\",\"runId\":\"r0\"},\n{\"taskId\":\"t\",\"ru", /* torn */
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        make(&f);
        spit(&f, texts[i]);
        record(&f, "r1", T1, "x");
        assert_file(&f, HEAD(T1) LINE("r1", T1, "x") "\n]}\n");
        char *kept = set_aside(&f);
        assert_string_equal(kept, texts[i]);
        free(kept);
        release(&f);
    }
}

static int try_record(struct fixture *f, struct err *e)
{
    cJSON *doc = summary("r1", T1, "x");
    int result = add(f, "r1", T1, doc, e);
    cJSON_Delete(doc);
    return result;
}

static void test_history__refuses_a_number_of_runs_that_is_none(void **state)
{
    (void)state;
    static const char *const values[] = {"0", "-3", "many", "5x", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct fixture f;
        struct err e = {""};
        char want[200];
        make(&f);
        setenv("CODEX_ORCHESTRATOR_HISTORY_RUNS", values[i], 1);
        assert_int_equal(try_record(&f, &e), -1);
        snprintf(want, sizeof want,
                 "CODEX_ORCHESTRATOR_HISTORY_RUNS is \"%s\": neither \"all\" nor a number from 1",
                 values[i]);
        assert_string_equal(e.text, want);
        assert_int_equal(access(f.file, F_OK), -1);
        release(&f);
    }
}

static void test_history__refuses_a_summary_without_ids(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {""};
    make(&f);
    cJSON *doc = json_new();
    json_str(doc, "runId", "r1");
    json_str(doc, "taskId", "t");
    json_str(doc, "timestamp", T1);
    assert_int_equal(add(&f, "r1", T1, doc, &e), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(access(f.file, F_OK), -1);
    cJSON_Delete(doc);
    release(&f);
}

static void test_history__follows_no_planted_link(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {""};
    char victim[128];
    make(&f);
    snprintf(victim, sizeof victim, "%s/victim", f.folder);
    assert_int_equal(symlink(victim, f.file), 0);
    assert_int_equal(try_record(&f, &e), -1);
    assert_non_null(strstr(e.text, "out/t/runs.json can't be read"));
    assert_int_equal(access(victim, F_OK), -1);
    release(&f);
}

/* Every look at it is ten seconds later: no waiting for the lock. */
static int64_t hurried_mono_ns(void)
{
    static int64_t now;
    return now += INT64_C(10000000000);
}

static void test_history__changes_nothing_while_another_holds_the_lock(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {""};
    char lock[200], want[300];
    make(&f);
    snprintf(lock, sizeof lock, "%s/t.lock", f.runs);
    FILE *file = fopen(lock, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    clock_inject(NULL, hurried_mono_ns);
    assert_int_equal(try_record(&f, &e), -1);
    clock_inject(NULL, NULL);
    snprintf(want, sizeof want, "%s: another run holds the lock of the run history", lock);
    assert_string_equal(e.text, want);
    assert_int_equal(access(f.file, F_OK), -1);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(try_record(&f, &e), 0);
    assert_ids(&f, "r1 ");
    assert_int_equal(access(lock, F_OK), -1);
    release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history__holds_one_run_per_line),
        cmocka_unit_test(test_history__replaces_the_entry_of_a_resumed_run),
        cmocka_unit_test(test_history__tells_runs_apart_whose_ids_begin_alike),
        cmocka_unit_test(test_history__keeps_the_newest_time_of_runs_that_end_out_of_order),
        cmocka_unit_test(test_history__keeps_the_newest_runs),
        cmocka_unit_test(test_history__keeps_its_usual_number_of_runs),
        cmocka_unit_test(test_history__moves_lines_without_parsing_them),
        cmocka_unit_test(test_history__takes_over_a_file_of_another_layout),
        cmocka_unit_test(test_history__takes_over_a_history_without_runs),
        cmocka_unit_test(test_history__sets_aside_what_is_no_history),
        cmocka_unit_test(test_history__refuses_a_number_of_runs_that_is_none),
        cmocka_unit_test(test_history__refuses_a_summary_without_ids),
        cmocka_unit_test(test_history__follows_no_planted_link),
        cmocka_unit_test(test_history__changes_nothing_while_another_holds_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
