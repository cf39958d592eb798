/* What progress shows of stages, and of subpipelines, that run at once. */
#include "shown.h"

static void test_progress_parallel__stages_that_run_at_once_are_shown_together(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Build", 0);
    stage_begins(s, "r", 4, "Lint", 1000);
    stage_begins(s, "r", 2, "Test", 2000);
    prints(s, "r", 2, "two\nlines\n");
    prints(s, "r", 1, "abc");
    prints(s, "r", 4, "\n");
    assert_string_equal(area(s, 5000), "[0/5] Build, Lint, Test  5.0 s  14 B  3 lines");
    stage_ends(s, "r", 1, "failed", "Build", 6000);
    assert_string_equal(area(s, 6000), "[1/5] Lint, Test  5.0 s  11 B  3 lines");
    stage_ends(s, "r", 2, "succeeded", "Test", 7000);
    stage_begins(s, "r", 5, "Pack", 7000);
    assert_string_equal(area(s, 7500), "[2/5] Lint, Pack  6.5 s  1 B  1 line");
    stage_ends(s, "r", 4, "skipped", "Lint", 8000);
    stage_ends(s, "r", 5, "succeeded", "Pack", 8000);
    assert_string_equal(area(s, 9000), "");
    assert_string_equal(ended(s), "failed  Build  6.0 s  3 B\n"
                                  "ok  Test  5.0 s  10 B\n"
                                  "skipped  Lint  7.0 s  1 B\n"
                                  "ok  Pack  1.0 s  0 B\n");
}

static void test_progress_parallel__titles_that_do_not_fit_are_counted(void **state)
{
    struct shown *s = *state;
    static const struct {
        unsigned columns;
        const char *text;
    } cuts[] = {
        {57, "[0/5] build, lint, check, package  0.0 s  0 B  0 lines"},
        {53, "[0/5] build, lint, check (+1)  0.0 s  0 B  0 lines"},
        {50, "[0/5] build, lint, check (+1)  0.0 s  0 B  0 lines"},
        {49, "[0/5] build, lint (+2)  0.0 s  0 B  0 lines"},
        {42, "[0/5] build (+3)  0.0 s  0 B  0 lines"},
        {33, "[0/5] build, lint, check, package"}, /* rather than numbers */
        {32, "[0/5] build, lint, check (+1)"},
        {16, "[0/5] build (+3)"},
        {15, "[0/5] build"}, /* none is left out for their number */
        {10, "[0/5] bu…"},
        {7, "[0/5] "},
        {5, "[0/…"},
        {0, ""},
    };
    run_begins(s, "r");
    stage_begins(s, "r", 1, "build", 0);
    stage_begins(s, "r", 2, "lint", 0);
    stage_begins(s, "r", 3, "check", 0);
    stage_begins(s, "r", 4, "package", 0);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        s->view.columns = cuts[i].columns + 1;
        assert_string_equal(area(s, 0), cuts[i].text);
    }
}

static void
test_progress_parallel__a_long_title_is_cut_before_the_number_of_the_others(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "A title of some length", 0);
    stage_begins(s, "r", 2, "B", 0);
    s->view.columns = 50;
    assert_string_equal(area(s, 0), "[0/5] A title of some… (+1)  0.0 s  0 B  0 lines");
    s->view.columns = 24;
    assert_string_equal(area(s, 0), "[0/5] A title of… (+1)");
    s->view.columns = 23;
    assert_string_equal(area(s, 0), "[0/5] A title of som…");
}

static void test_progress_parallel__subpipelines_that_run_at_once_are_told_apart(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Left", 0);
    stage_begins(s, "r", 2, "Right", 0);
    run_begins(s, "child");
    run_begins(s, "other");
    stage_begins(s, "r", 3, "Lint", 500);
    stage_begins(s, "other", 1, "Compile", 1000);
    stage_begins(s, "child", 1, "Compile", 2000);
    prints(s, "other", 1, "abc\n");
    prints(s, "child", 1, "x");
    prints(s, "r", 3, "yz");
    assert_string_equal(area(s, 2500),
                        "[0/5] Lint, Right › Compile, Left › Compile  2.0 s  7 B  1 line");
    stage_ends(s, "r", 3, "succeeded", "Lint", 2500);
    stage_ends(s, "child", 1, "succeeded", "Compile", 3000);
    assert_string_equal(area(s, 3000), "[1/5] Right › Compile  2.0 s  4 B  1 line");
    run_ends(s, "child");
    stage_ends(s, "r", 1, "succeeded", "Left", 3000);
    stage_ends(s, "other", 1, "failed", "Compile", 4000);
    run_ends(s, "other");
    stage_ends(s, "r", 2, "failed", "Right", 4000);
    assert_string_equal(ended(s), "ok  Lint  2.0 s  2 B\n"
                                  "  ok  Left › Compile  1.0 s  1 B\n"
                                  "ok  Left  3.0 s  1 B\n"
                                  "  failed  Compile  3.0 s  4 B\n"
                                  "failed  Right  4.0 s  4 B\n");
}

static void
test_progress_parallel__waiting_subpipelines_are_shown_if_nothing_else_runs(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Left", 0);
    stage_begins(s, "r", 2, "Right", 0);
    run_begins(s, "child");
    run_begins(s, "other");
    assert_string_equal(area(s, 1000), "[0/5] Left, Right  1.0 s  0 B  0 lines");
    stage_begins(s, "r", 3, "Lint", 1000);
    assert_string_equal(area(s, 1000), "[0/5] Lint  0.0 s  0 B  0 lines");
}

/* The end of the first attempt was not seen. */
static void test_progress_parallel__a_subpipeline_tried_again_replaces_the_first(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Outer", 0);
    run_begins(s, "child");
    stage_begins(s, "child", 1, "Inner", 0);
    state_of(s, "again", 0, "in_progress", NULL, 0, 2);
    stage_begins(s, "again", 1, "Inner", 1000);
    assert_string_equal(area(s, 2000), "[0/5] Outer › Inner  1.0 s  0 B  0 lines");
    stage_ends(s, "again", 1, "succeeded", "Inner", 2000);
    assert_string_equal(ended(s), "  ok  Inner  1.0 s  0 B\n");
}

/* Neither the stage nor its subpipeline was seen to begin. */
static void
test_progress_parallel__what_is_seen_first_of_a_subpipeline_may_be_anything(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    s->done[3] = 1;
    state_of(s, "grandchild", 2, "running", "Deep", 0, 30);
    assert_string_equal(area(s, 0), "[0/5] … › … › Deep  0.0 s  0 B  0 lines");
    prints(s, "grandchild", 2, "x");
    stage_ends(s, "grandchild", 2, "succeeded", "Deep", 100);
    run_ends(s, "grandchild");
    stage_ends(s, "other", 1, "succeeded", "Inner", 200);
    run_ends(s, "other");
    stage_ends(s, "r", 2, "succeeded", "Outer", 200);
    run_ends(s, "child");
    assert_string_equal(ended(s), "    …  1 stage\n"
                                  "    ok  Deep  0.1 s  1 B\n"
                                  "  ok  Inner  …\n"
                                  "ok  Outer  …\n");
}

/* Its end, and that of what ran in it, was not seen. */
static void test_progress_parallel__what_is_not_said_to_run_is_gone(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Left", 0);
    run_begins(s, "child");
    stage_begins(s, "child", 1, "Compile", 0);
    stage_begins(s, "r", 2, "Right", 0);
    run_begins(s, "other");
    stage_begins(s, "other", 1, "Link", 500);
    s->done[0] = 1;
    s->running = "[2,3]";
    state_of(s, "r", 3, "running", "Lint", 1000, 70);
    assert_string_equal(area(s, 1000), "[1/5] Right › Link, Lint  0.5 s  0 B  0 lines …");
    assert_int_equal(s->view.under_way.runs->running, 2);
    assert_null(progress_run_find(&s->view.under_way, "child"));
    assert_string_equal(ended(s), "…  1 stage\n");
}

/* With more than a state lists, what is there stays. */
static void test_progress_parallel__a_list_that_was_too_long_ends_nothing(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Build", 0);
    state_of(s, "r", 2, "running", "Test", 0, 9);
    assert_string_equal(area(s, 0), "[0/5] Build, Test  0.0 s  0 B  0 lines …");
}

/* Sixteen at a time, one that ends whenever the next begins: only these are remembered. */
static void test_progress_parallel__memory_is_that_of_what_runs(void **state)
{
    struct shown *s = *state;
    char title[32];
    s->stages = 10000;
    run_begins(s, "r");
    for (size_t i = 1; i <= 10000; i++) {
        snprintf(title, sizeof title, "Stage %zu", i);
        stage_begins(s, "r", i, title, (int64_t)i);
        prints(s, "r", i, "x\n");
        if (i > 16)
            stage_ends(s, "r", i - 16, "succeeded", "Some stage", (int64_t)i);
        buf_clear(&s->view.ended);
    }
    assert_int_equal(s->view.under_way.runs->running, 16);
    s->view.columns = 60;
    assert_string_equal(area(s, 10000), "[9984/10000] Stage 9985 (+15)  0.0 s  32 B  16 lines");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHOWN_TEST(test_progress_parallel__stages_that_run_at_once_are_shown_together),
        SHOWN_TEST(test_progress_parallel__titles_that_do_not_fit_are_counted),
        SHOWN_TEST(test_progress_parallel__a_long_title_is_cut_before_the_number_of_the_others),
        SHOWN_TEST(test_progress_parallel__subpipelines_that_run_at_once_are_told_apart),
        SHOWN_TEST(test_progress_parallel__waiting_subpipelines_are_shown_if_nothing_else_runs),
        SHOWN_TEST(test_progress_parallel__a_subpipeline_tried_again_replaces_the_first),
        SHOWN_TEST(test_progress_parallel__what_is_seen_first_of_a_subpipeline_may_be_anything),
        SHOWN_TEST(test_progress_parallel__what_is_not_said_to_run_is_gone),
        SHOWN_TEST(test_progress_parallel__a_list_that_was_too_long_ends_nothing),
        SHOWN_TEST(test_progress_parallel__memory_is_that_of_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
