/* Ending runs early: they are recorded as cancelled, with all they printed, and nobody is left. */
#include "live.h"

#include <pthread.h>
#include <sched.h>

#include "bounds.h"

/* The command holds the fifo open, so that its end says that nobody is left. */
#define HOLDING(command) "exec 9>$FIFO; " command

static void assert_cancelled(struct live *l)
{
    live_ends(l, "cancelled");
    assert_int_equal(l->result->status, CORCH_CANCELLED);
    assert_true(l->result->status_detail != NULL);
}

static void test_corch_cancel__ends_a_running_command(void **state)
{
    struct live *l = *state;
    int fifo = live_open_fifo(l);
    live_config(
        l, CONFIG(PIPELINE("p", COMMAND("a", HOLDING("echo here; exec sleep 3600")) "," COMMAND(
                                    "b", "echo never"))));
    live_start(l, &(corch_options){.pipeline = "p", .watch = 1});
    corch_frame f = live_first_output(l);
    assert_string_equal(f.data, "here\n");
    corch_run_cancel(l->run, 0);
    assert_cancelled(l);
    live_assert_all_dead(fifo);
    live_assert_printed(l, "01-a", "here\n", "");
    live_assert_stage(l, 1, "failed");
    assert_string_equal(text_of(live_stage(l, 1), "summary"), "Terminated with signal SIGTERM");
    live_assert_stage(l, 2, "pending");
    assert_int_equal(access(live_path(l, "out/t1/runs.json"), F_OK), 0);
}

static void test_corch_cancel__kills_after_the_grace_time(void **state)
{
    struct live *l = *state;
    int fifo = live_open_fifo(l);
    live_config(l, ONE_COMMAND(HOLDING("exec $M ignore-term")));
    live_start(l, &(corch_options){.pipeline = "p", .watch = 1, .cancel_grace_ms = 20});
    live_first_output(l);
    corch_run_cancel(l->run, 0);
    assert_cancelled(l);
    live_assert_all_dead(fifo);
    live_assert_printed(l, "01-a", "ready\n", "");
    assert_string_equal(text_of(live_stage(l, 1), "summary"), "Terminated with signal SIGKILL");
}

/* The grace time is longer than the test may take: only `now` ends it. */
static void test_corch_cancel__kills_at_once_when_asked_again(void **state)
{
    struct live *l = *state;
    int fifo = live_open_fifo(l);
    live_config(l, ONE_COMMAND(HOLDING("exec $M ignore-term")));
    live_start(l, &(corch_options){.pipeline = "p", .watch = 1, .cancel_grace_ms = 3600000});
    live_first_output(l);
    corch_run_cancel(l->run, 0);
    corch_run_cancel(l->run, 1);
    corch_run_cancel(l->run, 0); /* no way back */
    assert_cancelled(l);
    live_assert_all_dead(fifo);
}

static void *cancel_it(void *run)
{
    corch_run_cancel(run, 0);
    return NULL;
}

/* The command prints for ever, and nobody takes the frames. */
static void test_corch_cancel__comes_from_another_thread_while_the_watcher_is_behind(void **state)
{
    struct live *l = *state;
    pthread_t canceller;
    char line[MADE_LINE];
    int fifo = live_open_fifo(l);
    live_config(l, ONE_COMMAND(HOLDING("exec $M lines 1000000000")));
    live_start(l, &(corch_options){.pipeline = "p", .watch = 1, .chunk_pool = 2});
    live_first_output(l);
    while (corch_run_lost(l->run) == 0) /* it is behind now */
        sched_yield();
    assert_int_equal(pthread_create(&canceller, NULL, cancel_it, l->run), 0);
    assert_cancelled(l);
    pthread_join(canceller, NULL);
    live_assert_all_dead(fifo);
    struct printed p = live_command_log(l, "01-a");
    assert_false(p.mixed_up);
    assert_int_equal(p.streams[0].len % MADE_LINE, 0);
    made_line(line, p.streams[0].len / MADE_LINE);
    assert_memory_equal(p.streams[0].data + p.streams[0].len - MADE_LINE, line, MADE_LINE);
    printed_release(&p);
}

static void test_corch_cancel__ends_a_run_that_has_just_begun(void **state)
{
    struct live *l = *state;
    live_config(
        l, CONFIG(PIPELINE("p", COMMAND("a", "exec sleep 3600") "," COMMAND("b", "echo never"))));
    live_start(l, &(corch_options){.pipeline = "p"});
    corch_run_cancel(l->run, 0);
    assert_cancelled(l);
    live_assert_stage(l, 2, "pending");
}

static void test_corch_cancel__reaches_a_subpipeline(void **state)
{
    struct live *l = *state;
    char path[256];
    int fifo = live_open_fifo(l);
    live_config(
        l,
        CONFIG(PIPELINE(
            "p", "{\"kind\":\"subpipeline\",\"id\":\"s\",\"pipeline\":"
                 "\"child\"}") "," PIPELINE("child",
                                            COMMAND("c", HOLDING("echo here; exec sleep 3600")))));
    live_start(l, &(corch_options){.pipeline = "p", .watch = 1});
    corch_frame f = live_first_output(l);
    snprintf(path, sizeof path, ".runs/t1/cli/%s/manifest.json", f.run_id);
    corch_run_cancel(l->run, 0);
    assert_cancelled(l);
    live_assert_all_dead(fifo);
    cJSON *child = live_json(l, path);
    assert_string_equal(text_of(child, "status"), "cancelled");
    assert_string_equal(text_of(child, "run_id"), text_of(live_stage(l, 1), "sub_run_id"));
    cJSON_Delete(child);
}

static void test_corch_cancel__changes_nothing_after_the_end(void **state)
{
    struct live *l = *state;
    live_config(l, ONE_COMMAND("echo done"));
    live_start(l, &(corch_options){.pipeline = "p"});
    struct pollfd over = {.fd = corch_run_fd(l->run), .events = POLLIN};
    assert_int_equal(poll(&over, 1, PATIENCE_MS), 1);
    corch_run_cancel(l->run, 0);
    corch_run_cancel(l->run, 1);
    live_ends(l, "succeeded");
}

/* A command that takes SIGTERM as its cue to finish well has not failed. */
static void test_corch_cancel__leaves_a_last_command_that_finishes_well_its_success(void **state)
{
    struct live *l = *state;
    live_config(l, ONE_COMMAND("trap 'echo saved; exit 0' TERM; echo here; sleep 3600 & wait"));
    live_start(l, &(corch_options){.pipeline = "p", .watch = 1});
    live_first_output(l);
    corch_run_cancel(l->run, 0);
    live_ends(l, "succeeded");
    live_assert_printed(l, "01-a", "here\nsaved\n", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE_TEST(test_corch_cancel__ends_a_running_command),
        LIVE_TEST(test_corch_cancel__kills_after_the_grace_time),
        LIVE_TEST(test_corch_cancel__kills_at_once_when_asked_again),
        LIVE_TEST(test_corch_cancel__comes_from_another_thread_while_the_watcher_is_behind),
        LIVE_TEST(test_corch_cancel__ends_a_run_that_has_just_begun),
        LIVE_TEST(test_corch_cancel__reaches_a_subpipeline),
        LIVE_TEST(test_corch_cancel__changes_nothing_after_the_end),
        LIVE_TEST(test_corch_cancel__leaves_a_last_command_that_finishes_well_its_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
