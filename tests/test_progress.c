/* What progress shows of a run, and when it is shown at all. */
#include "shown.h"

#include <fcntl.h>
#include <unistd.h>

#include "../src/progress.c"

static void test_progress__says_what_runs_since_when_and_what_it_printed(void **state)
{
    struct shown *s = *state;
    assert_string_equal(area(s, 0), "");
    run_begins(s, "r");
    assert_string_equal(area(s, 0), "");
    stage_begins(s, "r", 1, "Build", 0);
    assert_string_equal(area(s, 0), "[0/5] Build  0.0 s  0 B  0 lines");
    prints(s, "r", 1, "one\n");
    assert_string_equal(area(s, 1234), "[0/5] Build  1.2 s  4 B  1 line");
    prints(s, "r", 1, "two\nthree\nfo");
    prints(s, "r", 1, "ur");
    assert_string_equal(area(s, 59999), "[0/5] Build  59.9 s  18 B  3 lines");
    assert_string_equal(ended(s), "");
}

static void test_progress__a_line_stays_for_each_stage_that_has_ended(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Build", 100);
    prints(s, "r", 1, "x");
    stage_ends(s, "r", 1, "succeeded", "Build", 1399);
    assert_string_equal(area(s, 2000), "");
    stage_begins(s, "r", 2, "Lint", 2000);
    assert_string_equal(area(s, 2000), "[1/5] Lint  0.0 s  0 B  0 lines");
    stage_ends(s, "r", 2, "skipped", "Lint", 2000);
    stage_begins(s, "r", 3, "Test", 2000);
    prints(s, "r", 3, "xy");
    stage_ends(s, "r", 3, "failed", "Test", 67000);
    state_of(s, "r", 0, "failed", NULL, 67000, 0);
    assert_string_equal(ended(s), "ok  Build  1.2 s  1 B\n"
                                  "skipped  Lint  0.0 s  0 B\n"
                                  "failed  Test  1 min 5 s  2 B\n");
    assert_string_equal(area(s, 67000), "");
}

static void test_progress__sizes_and_durations_keep_short(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "  0 B"},
                 {999, "  999 B"},
                 {1000, "  1.0 kB"},
                 {999999, "  999.9 kB"},
                 {1000000, "  1.0 MB"},
                 {3456789, "  3.4 MB"},
                 {2500000000, "  2.5 GB"},
                 {UINT64_MAX, "  18.4 EB"}};
    static const struct {
        int64_t ms;
        const char *text;
    } durations[] = {{-5, "  0.0 s"},          {99, "  0.0 s"},
                     {100, "  0.1 s"},         {59999, "  59.9 s"},
                     {60000, "  1 min 0 s"},   {3599999, "  59 min 59 s"},
                     {3600000, "  1 h 0 min"}, {90061000, "  25 h 1 min"}};
    (void)state;
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        buf_clear(&b);
        text_add_size(&b, sizes[i].bytes);
        assert_string_equal(b.data, sizes[i].text);
    }
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        buf_clear(&b);
        text_add_duration(&b, durations[i].ms);
        assert_string_equal(b.data, durations[i].text);
    }
    buf_release(&b);
}

static void test_progress__subpipelines_are_shown_within_their_stage(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Outer", 0);
    s->stages = 2;
    run_begins(s, "child");
    stage_begins(s, "child", 1, "Compile", 500);
    prints(s, "child", 1, "abc\n");
    assert_string_equal(area(s, 1500), "[0/5] Outer › Compile  1.0 s  4 B  1 line");
    stage_ends(s, "child", 1, "succeeded", "Compile", 1500);
    stage_begins(s, "child", 2, "Link", 1500);
    prints(s, "child", 2, "de");
    stage_ends(s, "child", 2, "succeeded", "Link", 1600);
    state_of(s, "child", 0, "succeeded", NULL, 1600, 0);
    assert_string_equal(area(s, 1700), "[0/5] Outer  1.7 s  6 B  1 line");
    s->stages = 5;
    stage_ends(s, "r", 1, "succeeded", "Outer", 1700);
    assert_string_equal(ended(s), "  ok  Compile  1.0 s  4 B\n"
                                  "  ok  Link  0.1 s  2 B\n"
                                  "ok  Outer  1.7 s  6 B\n");
}

static void test_progress__lost_output_is_marked(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Chat", 0);
    prints_in(s, "r", 1, "a\n", 2, 7);
    assert_string_equal(area(s, 0), "[0/5] Chat  0.0 s  2 B  1 line …");
    stage_ends(s, "r", 1, "succeeded", "Chat", 0);
    stage_begins(s, "r", 2, "Quiet", 0);
    stage_ends(s, "r", 2, "succeeded", "Quiet", 0);
    assert_string_equal(ended(s), "ok  Chat  0.0 s  2 B …\n"
                                  "ok  Quiet  0.0 s  0 B\n");
}

/* What is lost between the last output and the end belongs to the stage that ends. */
static void test_progress__loss_right_before_the_end_is_marked(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Chat", 0);
    s->done[0] = 1;
    state_of(s, "r", 1, "succeeded", "Chat", 0, 3);
    assert_string_equal(ended(s), "ok  Chat  0.0 s  0 B …\n");
}

/* A state says how many are done and which run: what has ended unseen does not stay. */
static void test_progress__stages_that_went_by_unseen_are_mentioned(void **state)
{
    struct shown *s = *state;
    s->stages = 9;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "First", 0);
    s->running = "[4]";
    s->done[0] = 3;
    state_of(s, "r", 4, "running", "Fourth", 0, 20); /* the first one's end is lost, too */
    assert_string_equal(area(s, 0), "[3/9] Fourth  0.0 s  0 B  0 lines");
    s->running = "[]";
    stage_ends(s, "r", 4, "succeeded", "Fourth", 100);
    s->done[0] = 6;
    state_of(s, "r", 6, "succeeded", "Sixth", 200, 9); /* as is its beginning */
    s->done[0] = 9;
    state_of(s, "r", 0, "succeeded", NULL, 300, 9);
    assert_string_equal(ended(s), "…  3 stages\n"
                                  "ok  Fourth  0.1 s  0 B\n"
                                  "…  1 stage\n"
                                  "ok  Sixth  …\n"
                                  "…  3 stages\n");
}

/* Nothing was lost: an earlier session has done them. */
static void test_progress__stages_of_an_earlier_session_count_as_done(void **state)
{
    struct shown *s = *state;
    s->done[0] = 3;
    run_begins(s, "r");
    stage_begins(s, "r", 4, "Test", 0);
    assert_string_equal(area(s, 0), "[3/5] Test  0.0 s  0 B  0 lines");
    assert_string_equal(ended(s), "");
}

static void test_progress__a_stage_that_was_not_started_is_not_shown(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    state_of(s, "r", 1, "pending", "Never", 0, 0);
    state_of(s, "r", 0, "cancelled", NULL, 0, 0);
    assert_string_equal(ended(s), "");
}

/* Its start could not be recorded, or it was passed over: it took no time and printed nothing. */
static void test_progress__a_stage_can_end_without_having_run(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Build", 0);
    stage_ends(s, "r", 3, "failed", "Test", 100);
    assert_string_equal(area(s, 1000), "[1/5] Build  1.0 s  0 B  0 lines");
    assert_string_equal(ended(s), "failed  Test\n");
}

static void test_progress__a_stage_that_is_tried_again_goes_on(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Flaky", 0);
    prints(s, "r", 1, "one\n");
    stage_begins(s, "r", 1, "Flaky", 1000);
    prints(s, "r", 1, "two\n");
    assert_string_equal(area(s, 2000), "[0/5] Flaky  2.0 s  8 B  2 lines");
    stage_ends(s, "r", 1, "succeeded", "Flaky", 3000);
    assert_string_equal(area(s, 3000), "");
    assert_string_equal(ended(s), "ok  Flaky  3.0 s  8 B\n");
}

static void test_progress__control_characters_are_shown_not_sent(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "a\x1b[2J\x07\n\t\x7f\xc2\x9b \xff\xc0\x9bz", 0);
    assert_string_equal(area(s, 0),
                        "[0/5] a\\x1b[2J\\x07\\x0a\\x09\\x7f\\x9b \xEF\xBF\xBD\xEF\xBF\xBD"
                        "\xEF\xBF\xBDz  0.0 s  0 B  0 lines");
}

static void test_progress__lines_are_cut_to_the_terminal(void **state)
{
    struct shown *s = *state;
    static const struct {
        unsigned columns;
        const char *text;
    } cuts[] = {
        {49, "[0/5] A title of some length  0.0 s  0 B  0 lines"},
        {48, "[0/5] A title of some len…  0.0 s  0 B  0 lines"},
        {40, "[0/5] A title of …  0.0 s  0 B  0 lines"},
        {33, "[0/5] A title of some length"}, /* without its numbers rather than its title */
        {20, "[0/5] A title of s…"},
        {7, "[0/5] "},
        {5, "[0/…"},
        {2, "…"},
        {1, ""},
        {0, ""},
    };
    run_begins(s, "r");
    stage_begins(s, "r", 1, "A title of some length", 0);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        s->view.columns = cuts[i].columns + 1;
        if (cuts[i].columns == 0)
            s->view.columns = 0;
        assert_string_equal(area(s, 0), cuts[i].text);
    }
}

/* Each of these takes two columns; half of one is never shown. */
static void test_progress__wide_characters_are_counted_and_kept_whole(void **state)
{
    struct shown *s = *state;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "日本語日本語日本語", 0);
    s->view.columns = 25;
    assert_string_equal(area(s, 0), "[0/5] 日本語日本語日本語");
    s->view.columns = 24;
    assert_string_equal(area(s, 0), "[0/5] 日本語日本語日…");
    s->view.columns = 23;
    assert_string_equal(area(s, 0), "[0/5] 日本語日本語日…");
    s->view.columns = 22;
    assert_string_equal(area(s, 0), "[0/5] 日本語日本語…");
}

static void test_progress__finished_lines_are_cut_as_well(void **state)
{
    struct shown *s = *state;
    s->view.columns = 40;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "Outer stage of a long name", 0);
    run_begins(s, "child");
    stage_begins(s, "child", 1, "Inner stage of a long name", 0);
    stage_ends(s, "child", 1, "succeeded", "Inner stage of a long name", 0);
    stage_ends(s, "r", 1, "succeeded", "Outer stage of a long name", 0);
    assert_string_equal(ended(s), "  ok  Inner stage of a lo…  0.0 s  0 B\n"
                                  "ok  Outer stage of a long…  0.0 s  0 B\n");
}

static void test_progress__colours_mark_how_a_stage_ended(void **state)
{
    struct shown *s = *state;
    s->view.coloured = true;
    run_begins(s, "r");
    stage_begins(s, "r", 1, "A", 0);
    assert_string_equal(area(s, 0), "\x1b[1m[0/5] \x1b[0mA  0.0 s  0 B  0 lines");
    stage_ends(s, "r", 1, "succeeded", "A", 0);
    stage_begins(s, "r", 2, "B", 0);
    stage_ends(s, "r", 2, "failed", "B", 0);
    assert_string_equal(ended(s), "\x1b[32mok  \x1b[0mA  0.0 s  0 B\n"
                                  "\x1b[31mfailed  \x1b[0mB  0.0 s  0 B\n");
}

/* A terminal of our own. */
static int open_terminal(int *master)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*master >= 0);
    assert_int_equal(grantpt(*master), 0);
    assert_int_equal(unlockpt(*master), 0);
    int fd = open(ptsname(*master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void test_progress__is_shown_on_a_terminal_only_and_says_why_not(void **state)
{
    (void)state;
    const char *why[PROGRESS_OBSTACLES];
    struct progress_options none = {.json = false}, all = {true, true, true};
    int master, terminal = open_terminal(&master);
    int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    setenv("TERM", "xterm", 1);
    unsetenv("CI");
    assert_int_equal(progress_obstacles(&none, terminal, why), 0);
    setenv("CI", "", 1);
    assert_int_equal(progress_obstacles(&none, terminal, why), 0);
    setenv("CI", "false", 1);
    assert_int_equal(progress_obstacles(&none, terminal, why), 0);
    unsetenv("TERM");
    assert_int_equal(progress_obstacles(&none, terminal, why), 1);
    assert_string_equal(why[0], "TERM is not set, or dumb");
    setenv("TERM", "dumb", 1);
    setenv("CI", "true", 1);
    assert_int_equal(progress_obstacles(&all, file, why), 6);
    assert_string_equal(why[0], "--no-interactive is given");
    assert_string_equal(why[1], "--format json is given");
    assert_string_equal(why[2], "--output is given");
    assert_string_equal(why[3], "stderr is not a terminal");
    assert_string_equal(why[4], "TERM is not set, or dumb");
    assert_string_equal(why[5], "CI is set");
    close(file);
    close(terminal);
    close(master);
}

static void test_progress__nothing_is_done_without_one(void **state)
{
    (void)state;
    assert_int_equal(progress_fd(NULL), -1);
    progress_update(NULL, NULL);
    progress_clear(NULL);
    progress_end(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHOWN_TEST(test_progress__says_what_runs_since_when_and_what_it_printed),
        SHOWN_TEST(test_progress__a_line_stays_for_each_stage_that_has_ended),
        cmocka_unit_test(test_progress__sizes_and_durations_keep_short),
        SHOWN_TEST(test_progress__subpipelines_are_shown_within_their_stage),
        SHOWN_TEST(test_progress__lost_output_is_marked),
        SHOWN_TEST(test_progress__loss_right_before_the_end_is_marked),
        SHOWN_TEST(test_progress__stages_that_went_by_unseen_are_mentioned),
        SHOWN_TEST(test_progress__stages_of_an_earlier_session_count_as_done),
        SHOWN_TEST(test_progress__a_stage_that_was_not_started_is_not_shown),
        SHOWN_TEST(test_progress__a_stage_can_end_without_having_run),
        SHOWN_TEST(test_progress__a_stage_that_is_tried_again_goes_on),
        SHOWN_TEST(test_progress__control_characters_are_shown_not_sent),
        SHOWN_TEST(test_progress__lines_are_cut_to_the_terminal),
        SHOWN_TEST(test_progress__wide_characters_are_counted_and_kept_whole),
        SHOWN_TEST(test_progress__finished_lines_are_cut_as_well),
        SHOWN_TEST(test_progress__colours_mark_how_a_stage_ended),
        cmocka_unit_test(test_progress__is_shown_on_a_terminal_only_and_says_why_not),
        cmocka_unit_test(test_progress__nothing_is_done_without_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
