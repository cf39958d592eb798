/* Whole runs of misbehaving commands: what the record says about them afterwards. */
#include "live.h"

#include <pthread.h>

#include "clock.h"

static void test_corch__records_a_run_that_succeeds(void **state)
{
    struct live *l = *state;
    live_run(l, ONE_COMMAND("echo out; echo err >&2"), "succeeded");
    const corch_result *r = l->result;
    struct pollfd over = {.fd = corch_run_fd(l->run), .events = POLLIN};
    char expected[256];
    assert_int_equal(r->status, CORCH_SUCCEEDED);
    assert_null(r->status_detail);
    snprintf(expected, sizeof expected, ".runs/t1/cli/%s", r->run_id);
    assert_string_equal(r->artifact_root, expected);
    snprintf(expected, sizeof expected, ".runs/t1/cli/%s/manifest.json", r->run_id);
    assert_string_equal(r->manifest, expected);
    snprintf(expected, sizeof expected, ".runs/t1/cli/%s/runner.ndjson", r->run_id);
    assert_string_equal(r->log_path, expected);
    assert_int_equal(poll(&over, 1, 0), 1);
    assert_ptr_equal(corch_run_wait(l->run), r);
    live_assert_printed(l, "01-a", "out\n", "err\n");
    live_assert_stage(l, 1, "succeeded");
}

static void test_corch__refuses_a_pipeline_that_is_not_there(void **state)
{
    struct live *l = *state;
    corch_error e;
    live_config(l, ONE_COMMAND("true"));
    assert_null(corch_run_start(l->config, &(corch_options){.pipeline = "q"}, &e));
    assert_string_equal(e.text, "Pipeline 'q' not found.");
    assert_int_equal(access(live_path(l, ".runs"), F_OK), -1);
}

/* ---- output ---- */

/* 40 MB: far more than a pipe, a stream and a pool of one buffer can hold. */
#define LINES 500000UL

static void assert_lines(const struct buf *got)
{
    char line[MADE_LINE];
    unsigned long wrong = 0;
    assert_int_equal(got->len, LINES * MADE_LINE);
    for (unsigned long i = 0; i < LINES && wrong == 0; i++) {
        made_line(line, i + 1);
        if (memcmp(got->data + i * MADE_LINE, line, MADE_LINE) != 0)
            wrong = i + 1;
    }
    assert_int_equal(wrong, 0);
}

static void test_corch__loses_nothing_with_a_single_chunk_buffer(void **state)
{
    struct live *l = *state;
    live_config(l, ONE_COMMAND("exec $M lines 500000"));
    live_start(l, &(corch_options){.chunk_pool = 1, .pipeline = "p"});
    live_ends(l, "succeeded");
    struct printed own = live_command_log(l, "01-a"), all = live_log(l, l->result->log_path);
    assert_lines(&own.streams[0]);
    assert_lines(&all.streams[0]);
    assert_false(own.mixed_up || all.mixed_up);
    assert_int_equal(own.lines, all.lines);
    printed_release(&own);
    printed_release(&all);
}

static void test_corch__keeps_bytes_that_are_no_text(void **state)
{
    struct live *l = *state;
    uint64_t row = 7;
    live_run(l, ONE_COMMAND("exec $M bytes 300000 7"), "succeeded");
    struct printed p = live_command_log(l, "01-a");
    assert_int_equal(p.streams[0].len, 300000);
    size_t same = 0;
    while (same < p.streams[0].len && p.streams[0].data[same] == made_byte(&row))
        same++;
    assert_int_equal(same, 300000);
    assert_true(p.binary > 0);
    assert_false(p.mixed_up);
    printed_release(&p);
}

static void test_corch__reads_on_when_stdout_is_closed_early(void **state)
{
    struct live *l = *state;
    live_run(l, ONE_COMMAND("exec $M close-stdout"), "failed");
    live_assert_printed(l, "01-a", "before\n", "still at work\n");
    assert_int_equal(json_get_int(live_stage(l, 1), "exit_code", -1), 3);
}

static void test_corch__records_a_command_that_prints_nothing(void **state)
{
    struct live *l = *state;
    live_run(l, ONE_COMMAND("exec $M silent"), "succeeded");
    live_assert_printed(l, "01-a", "", "");
    assert_string_equal(text_of(live_stage(l, 1), "summary"), "Command completed with code 0");
}

static void test_corch__says_that_a_background_child_holds_the_output(void **state)
{
    struct live *l = *state;
    int fifo = live_open_fifo(l);
    live_config(l, ONE_COMMAND("exec 9>$FIFO; exec $M background 600"));
    live_start(l, &(corch_options){.pipeline = "p", .drain_grace_ms = 1});
    live_ends(l, "succeeded");
    struct printed p = live_command_log(l, "01-a");
    long child = 0;
    assert_int_equal(sscanf(p.streams[0].data, "background %ld", &child), 1);
    assert_int_equal(kill((pid_t)child, SIGKILL), 0);
    live_assert_all_dead(fifo);
    assert_int_equal(p.warnings, 1);
    assert_int_equal(p.ends, 1);
    printed_release(&p);
}

/* A shell can't undo what it finds ignored, nor see that a signal is blocked. */
static void test_corch__starts_commands_with_default_signals(void **state)
{
    struct live *l = *state;
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    void (*pipe_handler)(int) = signal(SIGPIPE, SIG_IGN);
    live_run(l,
             CONFIG(PIPELINE("p", COMMAND("a", "$M signals | grep SigBlk") "," COMMAND(
                                      "b", "exec bash -c 'kill -PIPE $$; exit 5'"))),
             "failed");
    signal(SIGPIPE, pipe_handler);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    live_assert_printed(l, "01-a", "SigBlk:\t0000000000000000\n", "");
    assert_string_equal(text_of(live_stage(l, 2), "summary"), "Terminated with signal SIGPIPE");
}

/* ---- failures ---- */

static void test_corch__stops_at_the_stage_that_fails(void **state)
{
    struct live *l = *state;
    live_run(
        l,
        CONFIG(PIPELINE("p", COMMAND("a", "echo fine") "," COMMAND(
                                 "b", "echo broken >&2; exit 7") "," COMMAND("c", "echo never"))),
        "failed");
    assert_int_equal(l->result->status, CORCH_FAILED);
    assert_string_equal(l->result->status_detail, "stage:b:failed");
    assert_non_null(strstr(l->result->summary, "Stage 'b' failed with exit code 7."));
    live_assert_stage(l, 1, "succeeded");
    live_assert_stage(l, 2, "failed");
    live_assert_stage(l, 3, "pending");
    assert_string_equal(text_of(live_stage(l, 2), "summary"), "Exited with code 7 — broken");
    cJSON *error = live_json(l, text_of(live_stage(l, 2), "error_file"));
    assert_string_equal(text_of(error, "reason"), "command-failed");
    assert_int_equal(json_get_int(error, "command_index", 0), 2);
    const cJSON *details = cJSON_GetObjectItemCaseSensitive(error, "details");
    assert_int_equal(json_get_int(details, "exit_code", 0), 7);
    assert_string_equal(text_of(details, "stderr"), "broken");
    cJSON_Delete(error);
}

static void test_corch__goes_on_after_a_failure_that_is_allowed(void **state)
{
    struct live *l = *state;
    live_run(l,
             CONFIG(PIPELINE("p", "{\"kind\":\"command\",\"id\":\"a\",\"command\":\"exit 7\","
                                  "\"allowFailure\":true}," COMMAND("b", "echo on"))),
             "succeeded");
    live_assert_stage(l, 1, "skipped");
    assert_int_equal(json_get_int(live_stage(l, 1), "exit_code", 0), 7);
    live_assert_stage(l, 2, "succeeded");
    assert_null(l->result->status_detail);
}

static void test_corch__says_why_a_command_could_not_be_started(void **state)
{
    struct live *l = *state;
    char expected[256];
    live_run(l,
             CONFIG(PIPELINE("p", "{\"kind\":\"command\",\"id\":\"a\",\"command\":\"true\","
                                  "\"cwd\":\"nowhere\"}")),
             "failed");
    snprintf(expected, sizeof expected,
             "Execution error: can't enter its folder (%s/nowhere): No such file or directory",
             l->dir);
    assert_string_equal(text_of(live_stage(l, 1), "summary"), expected);
    assert_string_equal(l->result->status_detail, "stage:a:error");
}

/* ---- subpipelines ---- */

#define SUB(id, more) "{\"kind\":\"subpipeline\",\"id\":\"" id "\",\"pipeline\":\"child\"" more "}"

static void test_corch__runs_a_subpipeline_as_a_run_of_its_own(void **state)
{
    struct live *l = *state;
    char path[256];
    live_run(
        l,
        CONFIG(PIPELINE("p", COMMAND("a", "echo before") "," SUB("s", "") "," COMMAND(
                                 "b", "echo after")) "," PIPELINE("child",
                                                                  COMMAND("c", "echo from child"))),
        "succeeded");
    const char *child = text_of(live_stage(l, 2), "sub_run_id");
    live_assert_stage(l, 2, "succeeded");
    live_assert_stage(l, 3, "succeeded");
    snprintf(path, sizeof path, ".runs/t1/cli/%s/manifest.json", child);
    cJSON *manifest = live_json(l, path);
    assert_string_equal(text_of(manifest, "status"), "succeeded");
    assert_string_equal(text_of(manifest, "parent_run_id"), l->result->run_id);
    cJSON_Delete(manifest);
    snprintf(path, sizeof path, ".runs/t1/cli/%s/runner.ndjson", child);
    struct printed p = live_log(l, path);
    assert_string_equal(p.streams[0].data, "from child\n");
    printed_release(&p);
}

static void test_corch__fails_with_its_subpipeline(void **state)
{
    struct live *l = *state;
    live_run(l,
             CONFIG(PIPELINE("p", SUB("s", "") "," COMMAND("b", "echo after")) "," PIPELINE(
                 "child", COMMAND("c", "exit 5"))),
             "failed");
    assert_string_equal(l->result->status_detail, "subpipeline:child:failed");
    live_assert_stage(l, 1, "failed");
    live_assert_stage(l, 2, "pending");
}

static void test_corch__goes_on_after_an_optional_subpipeline_failed(void **state)
{
    struct live *l = *state;
    live_run(
        l,
        CONFIG(PIPELINE("p", SUB("s", ",\"optional\":true") "," COMMAND(
                                 "b", "echo after")) "," PIPELINE("child", COMMAND("c", "exit 5"))),
        "succeeded");
    live_assert_stage(l, 1, "skipped");
    live_assert_stage(l, 2, "succeeded");
    assert_null(l->result->status_detail);
}

/* ---- the process around ---- */

/* Each waits for the other, so they end only if both run. */
static void test_corch__has_two_runs_at_once_in_one_process(void **state)
{
    struct live *l = *state;
    corch_error e;
    live_config(l, CONFIG(PIPELINE("p", COMMAND("a", "read x < $FIFO; echo got $x")) "," PIPELINE(
                       "q", COMMAND("a", "echo it > $FIFO"))));
    live_start(l, &(corch_options){.pipeline = "p"});
    corch_run *other = corch_run_start(l->config, &(corch_options){.pipeline = "q"}, &e);
    assert_non_null(other);
    assert_int_equal(corch_run_wait(other)->status, CORCH_SUCCEEDED);
    live_ends(l, "succeeded");
    assert_string_not_equal(corch_run_wait(other)->run_id, l->result->run_id);
    live_assert_printed(l, "01-a", "got it\n", "");
    corch_run_free(other);
}

static void append_environment(struct buf *b)
{
    for (char **at = environ; *at; at++) {
        buf_addstr(b, *at);
        buf_addch(b, '\n');
    }
}

static void test_corch__leaves_our_own_environment_alone(void **state)
{
    struct live *l = *state;
    struct buf before = BUF_INIT, after = BUF_INIT;
    char **array = environ;
    append_environment(&before);
    live_run(l,
             CONFIG(PIPELINE("p", "{\"kind\":\"command\",\"id\":\"a\",\"env\":{\"FIFO\":\"x\","
                                  "\"NEW\":\"y\"},\"command\":\"echo $FIFO $NEW "
                                  "$CODEX_ORCHESTRATOR_TASK_ID\"}")),
             "succeeded");
    append_environment(&after);
    assert_ptr_equal(environ, array);
    assert_string_equal(after.data, before.data);
    live_assert_printed(l, "01-a", "x y t1\n", "");
    buf_release(&before);
    buf_release(&after);
}

/* A hundredth of the real speed: no change waits so long that it is written by itself. */
static int64_t slow_mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 10000000 + t.tv_nsec / 100;
}

static void test_corch__writes_the_manifest_three_times_for_one_command(void **state)
{
    struct live *l = *state;
    clock_inject(NULL, slow_mono_ns);
    live_run(l, ONE_COMMAND("exec $M both 10"), "succeeded");
    clock_inject(NULL, NULL);
    assert_int_equal(l->result->manifest_writes, 3); /* start, end, and what followed the end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE_TEST(test_corch__records_a_run_that_succeeds),
        LIVE_TEST(test_corch__refuses_a_pipeline_that_is_not_there),
        LIVE_TEST(test_corch__loses_nothing_with_a_single_chunk_buffer),
        LIVE_TEST(test_corch__keeps_bytes_that_are_no_text),
        LIVE_TEST(test_corch__reads_on_when_stdout_is_closed_early),
        LIVE_TEST(test_corch__records_a_command_that_prints_nothing),
        LIVE_TEST(test_corch__says_that_a_background_child_holds_the_output),
        LIVE_TEST(test_corch__starts_commands_with_default_signals),
        LIVE_TEST(test_corch__stops_at_the_stage_that_fails),
        LIVE_TEST(test_corch__goes_on_after_a_failure_that_is_allowed),
        LIVE_TEST(test_corch__says_why_a_command_could_not_be_started),
        LIVE_TEST(test_corch__runs_a_subpipeline_as_a_run_of_its_own),
        LIVE_TEST(test_corch__fails_with_its_subpipeline),
        LIVE_TEST(test_corch__goes_on_after_an_optional_subpipeline_failed),
        LIVE_TEST(test_corch__has_two_runs_at_once_in_one_process),
        LIVE_TEST(test_corch__leaves_our_own_environment_alone),
        LIVE_TEST(test_corch__writes_the_manifest_three_times_for_one_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
