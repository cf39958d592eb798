/* Stages that run at once, where it takes the interface of the library to see something. */
#include "live.h"

#include <limits.h>

#define PARALLEL(stages) "{\"pipelines\":[{\"id\":\"p\",\"jobs\":4,\"stages\":[" stages "]}]}"
#define WITH_TIME(id, seconds, command)                                   \
    "{\"kind\":\"command\",\"id\":\"" id "\",\"timeoutSeconds\":" seconds \
    ",\"command\":\"" command "\"}"
#define HOLDING(command) "exec 9>$FIFO; " command

/* The grace time is far longer than the test may take, unless it is the short one that counts. */
static void test_corch_parallel__kills_who_ignores_the_end_of_its_time(void **state)
{
    struct live *l = *state;
    int fifo = live_open_fifo(l);
    live_config(l, PARALLEL(WITH_TIME("a", "1.5",
                                      HOLDING("exec $M ignore-term")) "," COMMAND("b", "true")));
    live_start(l, &(corch_options){.pipeline = "p", .cancel_grace_ms = 20});
    live_ends(l, "failed");
    live_assert_all_dead(fifo);
    assert_string_equal(l->result->status_detail, "stage:a:timed-out");
    assert_int_equal(json_get_int(live_stage(l, 1), "exit_code", -1), 124);
    assert_string_equal(text_of(live_stage(l, 1), "summary"), "Timed out after 1.5 s");
    live_assert_stage(l, 2, "succeeded");
}

static void test_corch_parallel__kills_victims_who_ignore_a_failure(void **state)
{
    struct live *l = *state;
    char begun[80];
    snprintf(begun, sizeof begun, "%s/begun", l->dir);
    assert_int_equal(mkfifo(begun, 0600), 0);
    setenv("BEGUN", begun, 1);
    int fifo = live_open_fifo(l);
    live_config(
        l, PARALLEL(COMMAND("a", HOLDING("trap '' TERM; echo >$BEGUN; exec $M hold")) "," COMMAND(
               "b", "read -r _ <$BEGUN; exit 3")));
    live_start(
        l, &(corch_options){.pipeline = "p", .on_failure = CORCH_FAIL_FAST, .cancel_grace_ms = 20});
    live_ends(l, "failed");
    live_assert_all_dead(fifo);
    assert_string_equal(l->result->status_detail, "stage:b:failed");
    assert_string_equal(text_of(live_stage(l, 1), "summary"), "Terminated with signal SIGKILL");
    unsetenv("BEGUN");
}

/* y, beside x in the subpipeline, ends when b is dead, and the grace time is for ever: b must be
 * ended before the subpipeline is over. */
static void test_corch_parallel__ends_what_is_around_a_failing_subpipeline_at_once(void **state)
{
    struct live *l = *state;
    char begun[80];
    snprintf(begun, sizeof begun, "%s/begun", l->dir);
    assert_int_equal(mkfifo(begun, 0600), 0);
    setenv("BEGUN", begun, 1);
    live_config(l, "{\"pipelines\":[{\"id\":\"p\",\"jobs\":3,\"stages\":["
                   "{\"kind\":\"subpipeline\",\"id\":\"s\",\"pipeline\":\"q\"}," COMMAND(
                       "b", HOLDING("exec sleep 3600")) "]},{\"id\":\"q\",\"jobs\":3,\"stages\":"
                                                        "[" COMMAND("x", "read -r _ <$BEGUN; exit "
                                                                         "3") "," COMMAND("y",
                                                                                          "trap '' "
                                                                                          "TERM; "
                                                                                          "exec "
                                                                                          "8<$FIFO;"
                                                                                          " echo "
                                                                                          ">$BEGUN;"
                                                                                          " "
                                                                                          "read -r "
                                                                                          "_ <&8; "
                                                                                          "true") "]}]}");
    live_start(l, &(corch_options){.pipeline = "p",
                                   .on_failure = CORCH_FAIL_FAST,
                                   .timeout_ms = LONG_MAX,
                                   .cancel_grace_ms = LONG_MAX});
    live_ends(l, "failed");
    assert_string_equal(l->result->status_detail, "subpipeline:q:failed");
    assert_string_equal(text_of(live_stage(l, 2), "summary"), "Terminated with signal SIGTERM");
    unsetenv("BEGUN");
}

static void test_corch_parallel__seldom_writes_the_manifest_of_a_thousand_stages(void **state)
{
    struct live *l = *state;
    struct buf text = BUF_INIT;
    buf_addstr(&text, "{\"pipelines\":[{\"id\":\"p\",\"jobs\":8,\"stages\":[");
    for (int i = 1; i <= 1000; i++)
        buf_addf(&text, "%s{\"kind\":\"command\",\"id\":\"c%d\",\"command\":\"true\"}",
                 i > 1 ? "," : "", i);
    buf_addstr(&text, "]}]}");
    live_run(l, text.data, "succeeded");
    assert_in_range(l->result->manifest_writes, 2, 99);
    for (int i = 1; i <= 1000; i++)
        live_assert_stage(l, i, "succeeded");
    buf_release(&text);
}

static void test_corch_parallel__has_no_limits_where_none_are_asked_for(void **state)
{
    struct live *l = *state;
    corch_error e;
    live_config(l, PARALLEL(COMMAND("a", "true")));
    assert_null(corch_run_start(l->config, &(corch_options){.pipeline = "p", .jobs = 1025}, &e));
    assert_string_equal(e.text, "there can be at most 1024 jobs, not 1025");
    live_start(l, &(corch_options){.pipeline = "p", .jobs = CORCH_JOBS_CORES, .timeout_ms = -1});
    live_ends(l, "succeeded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE_TEST(test_corch_parallel__kills_who_ignores_the_end_of_its_time),
        LIVE_TEST(test_corch_parallel__kills_victims_who_ignore_a_failure),
        LIVE_TEST(test_corch_parallel__ends_what_is_around_a_failing_subpipeline_at_once),
        LIVE_TEST(test_corch_parallel__seldom_writes_the_manifest_of_a_thousand_stages),
        LIVE_TEST(test_corch_parallel__has_no_limits_where_none_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
