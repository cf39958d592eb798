/*
 * What happens if something comes in just the worst moment. The linker puts functions of ours
 * before the engine's own (--wrap, see CMakeLists.txt), so that the moment is met every time.
 */
#include "live.h"

#include <semaphore.h>
#include <stdatomic.h>

#include "engine_state.h"

void __real_engine_task_ended(struct job *job, enum stage_event event);
void __wrap_engine_task_ended(struct job *job, enum stage_event event);
void __real_tasks_give_up(struct engine *g);
void __wrap_tasks_give_up(struct engine *g);

static enum { NOTHING, CANCEL_AT_RETRY, HOLD_RETRY } plan;
static corch_run *_Atomic run;
static sem_t given_up;
static sem_t started; /* `run` is set */

void __wrap_tasks_give_up(struct engine *g)
{
    __real_tasks_give_up(g);
    sem_post(&given_up);
}

/* Persister thread: the driving thread does not know of the retry yet, but has looked for those to
 * give up. */
void __wrap_engine_task_ended(struct job *job, enum stage_event event)
{
    if (event == STAGE_EV_RETRY && plan != NOTHING) {
        sem_wait(&started);
        if (plan == CANCEL_AT_RETRY)
            corch_run_cancel(run, 0);
        while (sem_wait(&given_up) != 0)
            continue;
    }
    __real_engine_task_ended(job, event);
}

static void start(struct live *l, const char *config, const corch_options *options)
{
    live_config(l, config);
    live_start(l, options);
    run = l->run;
    sem_post(&started);
}

static int setup(void **state)
{
    plan = NOTHING;
    sem_init(&given_up, 0, 0);
    sem_init(&started, 0, 0);
    return live_setup(state);
}

static int teardown(void **state)
{
    int rc = live_teardown(state);
    sem_destroy(&given_up);
    sem_destroy(&started);
    return rc;
}

#define RETRIED(id, command)                                         \
    "{\"kind\":\"command\",\"id\":\"" id "\",\"command\":\"" command \
    "\",\"retries\":3,\"retryDelayMs\":3600000}"

static void
test_engine_races__a_cancellation_between_an_attempt_and_its_wait_is_not_lost(void **state)
{
    struct live *l = *state;
    plan = CANCEL_AT_RETRY;
    start(l, CONFIG(PIPELINE("p", RETRIED("a", "exit 3") "," COMMAND("b", "true"))),
          &(corch_options){.pipeline = "p"});
    live_ends(l, "cancelled");
    live_assert_stage(l, 1, "failed");
    live_assert_stage(l, 2, "pending");
}

static void
test_engine_races__the_end_of_time_between_an_attempt_and_its_wait_is_not_lost(void **state)
{
    struct live *l = *state;
    plan = HOLD_RETRY;
    start(l, CONFIG(PIPELINE("p", RETRIED("a", "exit 3"))),
          &(corch_options){.pipeline = "p", .timeout_ms = 2000});
    live_ends(l, "failed");
    assert_string_equal(l->result->status_detail, "run-timed-out");
    live_assert_stage(l, 1, "failed");
}

/* b fails once a's attempt has been made; the persister, which holds back what it knows of a, can
 * only record b's end afterwards: so it is b's failure that finds a waiting, or a that finds the
 * run ended. */
static void test_engine_races__a_retry_beside_a_failure_ends_the_run_at_once(void **state)
{
    struct live *l = *state;
    start(l,
          "{\"pipelines\":[{\"id\":\"p\",\"jobs\":2,\"stages\":[" RETRIED(
              "a", "echo >$FIFO; exit 3") "," COMMAND("b", "read -r _ <$FIFO; exit 4") "]}]}",
          &(corch_options){.pipeline = "p", .on_failure = CORCH_FAIL_FAST});
    live_ends(l, "failed");
    assert_string_equal(l->result->status_detail, "stage:b:failed");
    live_assert_stage(l, 1, "failed");
    live_assert_stage(l, 2, "failed");
}

#define RACE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RACE_TEST(test_engine_races__a_cancellation_between_an_attempt_and_its_wait_is_not_lost),
        RACE_TEST(test_engine_races__the_end_of_time_between_an_attempt_and_its_wait_is_not_lost),
        RACE_TEST(test_engine_races__a_retry_beside_a_failure_ends_the_run_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
