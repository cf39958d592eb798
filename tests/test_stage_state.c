/* The table of stages: every state with every event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stage_state.h"

#define NEVER (-1)

/* Columns: start, succeed, fail, excuse, resume, retry. */
static const int expected[STAGE_STATES][STAGE_EVENTS] = {
    [STAGE_PENDING] = {STAGE_RUNNING, NEVER, STAGE_FAILED, STAGE_SKIPPED, STAGE_PENDING, NEVER},
    [STAGE_RUNNING] = {NEVER, STAGE_SUCCEEDED, STAGE_FAILED, STAGE_SKIPPED, STAGE_PENDING,
                       STAGE_RUNNING},
    [STAGE_SUCCEEDED] = {NEVER, NEVER, NEVER, NEVER, STAGE_SUCCEEDED, NEVER},
    [STAGE_FAILED] = {NEVER, NEVER, NEVER, NEVER, STAGE_PENDING, NEVER},
    [STAGE_SKIPPED] = {NEVER, NEVER, NEVER, NEVER, STAGE_SKIPPED, NEVER},
};

static void test_stage_state__every_state_answers_every_event(void **state)
{
    (void)state;
    for (int from = 0; from < STAGE_STATES; from++) {
        for (int event = 0; event < STAGE_EVENTS; event++) {
            enum stage_state now = (enum stage_state)from;
            int result = stage_next(&now, (enum stage_event)event);
            int want = expected[from][event];
            assert_int_equal(result, want == NEVER ? -1 : 0);
            assert_int_equal((int)now, want == NEVER ? from : want);
        }
    }
}

static void test_stage_state__only_ended_stages_are_final(void **state)
{
    (void)state;
    assert_false(stage_is_final(STAGE_PENDING));
    assert_false(stage_is_final(STAGE_RUNNING));
    assert_true(stage_is_final(STAGE_SUCCEEDED));
    assert_true(stage_is_final(STAGE_FAILED));
    assert_true(stage_is_final(STAGE_SKIPPED));
}

static void test_stage_state__names_are_the_manifests(void **state)
{
    (void)state;
    assert_string_equal(stage_state_name(STAGE_PENDING), "pending");
    assert_string_equal(stage_state_name(STAGE_RUNNING), "running");
    assert_string_equal(stage_state_name(STAGE_SUCCEEDED), "succeeded");
    assert_string_equal(stage_state_name(STAGE_FAILED), "failed");
    assert_string_equal(stage_state_name(STAGE_SKIPPED), "skipped");
}

static void test_stage_state__names_are_read_back_exactly(void **state)
{
    (void)state;
    for (int i = 0; i < STAGE_STATES; i++) {
        enum stage_state found = (enum stage_state)((i + 1) % STAGE_STATES);
        assert_true(stage_state_parse(stage_state_name((enum stage_state)i), &found));
        assert_int_equal((int)found, i);
    }
    enum stage_state kept = STAGE_FAILED;
    assert_false(stage_state_parse("Pending", &kept));
    assert_false(stage_state_parse("", &kept));
    assert_false(stage_state_parse("skipped ", &kept));
    assert_false(stage_state_parse(NULL, &kept));
    assert_int_equal(kept, STAGE_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stage_state__every_state_answers_every_event),
        cmocka_unit_test(test_stage_state__only_ended_stages_are_final),
        cmocka_unit_test(test_stage_state__names_are_the_manifests),
        cmocka_unit_test(test_stage_state__names_are_read_back_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
