/* What the end of a command means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bounds.h"
#include "ending.h"

static void test_ending__a_retry_waits_twice_as_long_each_time(void **state)
{
    (void)state;
    const struct stage s = {.retry_delay_ms = 100};
    for (unsigned attempt = 1; attempt <= 5; attempt++)
        assert_int_equal(retry_delay_ms(&s, attempt, 0), 100 << (attempt - 1));
}

static void test_ending__and_up_to_a_quarter_more(void **state)
{
    (void)state;
    const struct stage s = {.retry_delay_ms = 1000};
    assert_int_equal(retry_delay_ms(&s, 1, UINT32_MAX), 1250);
    assert_int_equal(retry_delay_ms(&s, 2, UINT32_MAX / 2), 2250);
}

static void test_ending__a_delay_has_a_limit_and_may_be_none(void **state)
{
    (void)state;
    const struct stage long_one = {.retry_delay_ms = RETRY_DELAY_MAX_MS}, none = {.retry_delay_ms = 0};
    assert_int_equal(retry_delay_ms(&long_one, RETRIES_MAX, 0), RETRY_DELAY_MAX_MS);
    assert_int_equal(retry_delay_ms(&none, RETRIES_MAX, UINT32_MAX), 0);
}

/* How a stage with `allowFailure` ends. */
static enum stage_event end_of(struct outcome o, bool allow_failure, struct mutation *m)
{
    char command[] = "x";
    const struct stage s = {.id = command, .title = command, .command = command,
                            .allow_failure = allow_failure};
    const struct run_context run = {.run_id = "r", .task_id = "t"};
    struct job job = {.run = &run, .stage = &s};
    o.out = o.err = "";
    *m = (struct mutation){.kind = MUTATION_STAGE_END};
    ending_executed(m, &job, &o);
    return m->event;
}

static void release(struct mutation *m)
{
    free(m->summary);
    free(m->error_text);
    free(m->status_detail);
    free(m->run_summary_line);
}

static void test_ending__what_timed_out_has_failed_whatever_it_says(void **state)
{
    (void)state;
    struct mutation m;
    assert_int_equal(end_of((struct outcome){.timed_out = true, .timeout_ms = 1500}, false, &m),
                     STAGE_EV_FAIL);
    assert_int_equal(m.exit_code, 124);
    assert_string_equal(m.summary, "Timed out after 1.5 s");
    assert_string_equal(m.status_detail, "stage:x:timed-out");
    assert_string_equal(m.run_summary_line, "Stage 'x' timed out.");
    assert_non_null(strstr(m.error_text, "\"reason\": \"command-timed-out\""));
    release(&m);
}

static void test_ending__excused_is_who_failed_and_not_who_was_interrupted(void **state)
{
    (void)state;
    struct mutation m;
    assert_int_equal(end_of((struct outcome){.exit_code = 1}, true, &m), STAGE_EV_EXCUSE);
    release(&m);
    const struct outcome killed = {.exit_code = -1, .signal = 15, .interrupted = true};
    assert_int_equal(end_of(killed, true, &m), STAGE_EV_FAIL); /* so that a resume runs it again */
    release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ending__a_retry_waits_twice_as_long_each_time),
        cmocka_unit_test(test_ending__and_up_to_a_quarter_more),
        cmocka_unit_test(test_ending__a_delay_has_a_limit_and_may_be_none),
        cmocka_unit_test(test_ending__what_timed_out_has_failed_whatever_it_says),
        cmocka_unit_test(test_ending__excused_is_who_failed_and_not_who_was_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
