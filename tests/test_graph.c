/* Which stage may start next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "graph.h"

#define STAGES ((size_t)5)

static void test_graph__stages_run_one_at_a_time_in_order(void **state)
{
    (void)state;
    struct graph g;
    graph_init(&g, STAGES);
    for (size_t i = 0; i < STAGES; i++) {
        assert_false(graph_over(&g));
        assert_false(graph_exhausted(&g));
        assert_int_equal(graph_ready(&g), i);
        assert_int_equal(graph_ready(&g), i); /* asking starts nothing */
        graph_started(&g, i);
        assert_int_equal(graph_ready(&g), GRAPH_NONE);
        assert_false(graph_over(&g));
        graph_ended(&g, i, true);
    }
    assert_int_equal(graph_ready(&g), GRAPH_NONE);
    assert_true(graph_over(&g));
    assert_true(graph_exhausted(&g));
}

static void test_graph__nothing_starts_after_a_failure(void **state)
{
    (void)state;
    for (size_t failing = 0; failing < STAGES; failing++) {
        struct graph g;
        graph_init(&g, STAGES);
        for (size_t i = 0; i <= failing; i++) {
            graph_started(&g, i);
            graph_ended(&g, i, i != failing);
        }
        assert_int_equal(graph_ready(&g), GRAPH_NONE);
        assert_true(graph_over(&g));
        assert_int_equal(graph_exhausted(&g), failing == STAGES - 1);
    }
}

static void test_graph__a_stop_waits_for_what_runs(void **state)
{
    (void)state;
    struct graph g;
    graph_init(&g, STAGES);
    graph_started(&g, 0);
    graph_stop(&g);
    assert_int_equal(graph_ready(&g), GRAPH_NONE);
    assert_false(graph_over(&g));
    graph_ended(&g, 0, true);
    assert_int_equal(graph_ready(&g), GRAPH_NONE);
    assert_true(graph_over(&g));
    assert_false(graph_exhausted(&g));
}

static void test_graph__a_stop_before_the_first_stage_is_the_end(void **state)
{
    (void)state;
    struct graph g;
    graph_init(&g, STAGES);
    graph_stop(&g);
    graph_stop(&g);
    assert_int_equal(graph_ready(&g), GRAPH_NONE);
    assert_true(graph_over(&g));
    assert_false(graph_exhausted(&g));
}

static void test_graph__without_stages_it_is_over(void **state)
{
    (void)state;
    struct graph g;
    graph_init(&g, 0);
    assert_int_equal(graph_ready(&g), GRAPH_NONE);
    assert_true(graph_over(&g));
    assert_true(graph_exhausted(&g));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_graph__stages_run_one_at_a_time_in_order),
        cmocka_unit_test(test_graph__nothing_starts_after_a_failure),
        cmocka_unit_test(test_graph__a_stop_waits_for_what_runs),
        cmocka_unit_test(test_graph__a_stop_before_the_first_stage_is_the_end),
        cmocka_unit_test(test_graph__without_stages_it_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
