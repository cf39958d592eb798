/* The logs of a run and its subpipelines as one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tmpdir.h"

#define corch_run_part made_part
#include "../src/follow.c"

#define PATIENCE_MS 60000 /* what has not come by then never will */

enum { RUNS = 8 };

/* Runs that are nothing but their logs. */
struct fixture {
    char dir[64], folders[RUNS][96], ids[RUNS][24];
    corch_part parts[RUNS];
    size_t n;
    struct follow *follow;
    bool over;
    char text[64]; /* of the last line that was given */
};

static struct fixture *here;

int made_part(corch_run *run, size_t i, corch_part *part)
{
    (void)run;
    if (i < here->n)
        *part = here->parts[i];
    return i < here->n;
}

static void append_text(size_t run, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/runner.ndjson", here->folders[run]);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* A line of a stage's log, written `ms` after the beginning. */
static void append(size_t run, size_t stage, int ms, const char *text)
{
    char line[256];
    snprintf(line, sizeof line,
             "{\"type\":\"made\",\"text\":\"%s\",\"timestamp\":\"2026-11-22T17:08:00.%03dZ\","
             "\"index\":%zu}\n",
             text, ms, stage);
    append_text(run, line);
}

/* A run begins, as a stage of an earlier one unless it is the first. Its number. */
static size_t begin(size_t parent, size_t stage)
{
    size_t i = here->n;
    char folder[96];
    snprintf(folder, sizeof folder, "%s/%zu", here->dir, i);
    memcpy(here->folders[i], folder, sizeof folder);
    snprintf(here->ids[i], sizeof here->ids[i], "run-%zu", i);
    assert_int_equal(mkdir(here->folders[i], 0700), 0);
    append_text(i, "");
    here->parts[i] = (corch_part){.run_id = here->ids[i],
                                  .folder = here->folders[i],
                                  .parent_run_id = i > 0 ? here->ids[parent] : NULL,
                                  .stage = stage};
    return here->n++;
}

static int setup(void **state)
{
    here = calloc(1, sizeof *here);
    assert_non_null(here);
    tmpdir_make(here->dir);
    begin(0, 0);
    here->follow = follow_new(NULL);
    assert_non_null(here->follow);
    *state = here;
    return 0;
}

static int teardown(void **state)
{
    follow_free(here->follow);
    tmpdir_remove(here->dir);
    free(*state);
    return 0;
}

/* The text of the next line; "": there is none. */
static const char *next(size_t *run)
{
    const struct exec_line *line;
    here->text[0] = '\0';
    int got = follow_next(here->follow, here->over, run, &line);
    assert_true(got >= 0);
    if (got == 1) {
        const struct exec_member *m = exec_line_find(line, "text");
        assert_non_null(m);
        snprintf(here->text, sizeof here->text, "%.*s", (int)m->value_len - 2, m->value + 1);
    }
    return here->text;
}

static void assert_gives(const char *const *texts)
{
    size_t run;
    for (; *texts; texts++)
        assert_string_equal(next(&run), *texts);
    assert_string_equal(next(&run), "");
}

#define ASSERT_GIVES(...) assert_gives((const char *const[]){__VA_ARGS__, NULL})
#define ASSERT_GIVES_NOTHING() assert_gives((const char *const[]){NULL})

static void wait_for_news(void)
{
    struct pollfd fds[FOLLOW_FDS];
    follow_fds(here->follow, fds);
    assert_true(poll(fds, FOLLOW_FDS, PATIENCE_MS) > 0);
    follow_awake(here->follow);
}

static void test_follow__a_log_is_given_out_as_it_grows(void **state)
{
    (void)state;
    size_t run;
    ASSERT_GIVES_NOTHING();
    append(0, 1, 1, "one");
    append(0, 1, 2, "two");
    wait_for_news();
    ASSERT_GIVES("one", "two");
    append(0, 1, 3, "three");
    assert_string_equal(next(&run), "three"); /* also without having waited */
    assert_int_equal(run, 0);
    ASSERT_GIVES_NOTHING();
}

static void test_follow__a_line_comes_when_it_is_whole(void **state)
{
    (void)state;
    append_text(0, "{\"type\":\"made\",\"te");
    ASSERT_GIVES_NOTHING();
    append_text(0, "xt\":\"late\"}\n{");
    ASSERT_GIVES("late");
}

static void test_follow__subpipelines_are_found_while_nothing_else_happens(void **state)
{
    (void)state;
    ASSERT_GIVES_NOTHING();
    append(begin(0, 1), 1, 1, "inner");
    while (strcmp(next(&(size_t){0}), "inner") != 0)
        wait_for_news();
    assert_int_equal(follow_parent(here->follow, 1), 0);
    assert_int_equal(follow_parent(here->follow, 0), FOLLOW_NONE);
    assert_string_equal(follow_part(here->follow, 1)->run_id, "run-1");
}

static void test_follow__late_lines_are_ordered_by_time(void **state)
{
    (void)state;
    size_t a = begin(0, 2), b = begin(0, 3);
    append(0, 1, 10, "1");
    append(a, 1, 20, "2");
    append(b, 1, 25, "3");
    append(a, 2, 30, "4");
    append(0, 4, 40, "5");
    append(b, 1, 50, "6");
    ASSERT_GIVES("1", "2", "3", "4", "5", "6");
}

/* In a log of its own each line follows the one before it, whatever the clock did. */
static void test_follow__a_clock_set_back_reorders_no_log(void **state)
{
    (void)state;
    size_t a = begin(0, 1);
    append(a, 1, 50, "first");
    append(a, 1, 20, "second");
    append(0, 2, 40, "between");
    ASSERT_GIVES("between", "first", "second");
}

static void test_follow__at_one_time_the_place_of_the_stage_decides(void **state)
{
    (void)state;
    size_t late = begin(0, 4), early = begin(0, 2), deep = begin(early, 2);
    append(late, 1, 10, "4.1");
    append(deep, 7, 10, "2.2.7");
    append(early, 3, 10, "2.3");
    append(0, 3, 10, "3");
    append(0, 5, 10, "5");
    ASSERT_GIVES("2.2.7", "2.3", "3", "4.1", "5");
    append(0, 1, 10, "1");
    append(early, 1, 10, "2.1");
    append(early, 3, 10, "2.3");
    ASSERT_GIVES("1", "2.1", "2.3");
}

static void test_follow__begins_where_this_session_does(void **state)
{
    (void)state;
    append(0, 1, 1, "earlier");
    struct stat st;
    char path[128];
    snprintf(path, sizeof path, "%s/runner.ndjson", here->folders[0]);
    assert_int_equal(stat(path, &st), 0);
    here->parts[0].log_begin = (uint64_t)st.st_size;
    append(0, 1, 2, "now");
    ASSERT_GIVES("now");
}

/* Also what nobody was told of. */
static void test_follow__at_the_end_everything_is_looked_at(void **state)
{
    (void)state;
    ASSERT_GIVES_NOTHING();
    close(here->follow->notify);
    here->follow->notify = -1;
    append(0, 1, 1, "unheard");
    here->over = true;
    ASSERT_GIVES("unheard");
}

static void test_follow__works_without_inotify(void **state)
{
    (void)state;
    close(here->follow->notify);
    here->follow->notify = -1;
    ASSERT_GIVES_NOTHING();
    append(0, 1, 1, "seen");
    while (strcmp(next(&(size_t){0}), "seen") != 0)
        wait_for_news();
}

static void test_follow__many_chatty_runs_lose_nothing(void **state)
{
    (void)state;
    enum { LINES = 200 };
    char expected[24];
    size_t run, seen[RUNS] = {0};
    while (here->n < RUNS)
        begin(0, here->n);
    for (int i = 0; i < LINES; i++) {
        for (size_t k = 0; k < RUNS; k++) {
            snprintf(expected, sizeof expected, "%zu-%d", k, i);
            append(k, 1, i, expected);
        }
        if (i % 7 == 0) {
            while (*next(&run))
                seen[run]++;
        }
    }
    while (*next(&run)) {
        snprintf(expected, sizeof expected, "%zu-%zu", run, seen[run]++);
        assert_string_equal(here->text, expected);
    }
    for (size_t k = 0; k < RUNS; k++)
        assert_int_equal(seen[k], LINES);
}

static void test_follow__a_log_that_is_gone_is_an_error(void **state)
{
    (void)state;
    const struct exec_line *line;
    size_t run;
    here->parts[0].folder = "/nonexistent";
    assert_int_equal(follow_next(here->follow, false, &run, &line), -1);
    assert_int_equal(errno, ENOENT);
}

#define FOLLOW_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLLOW_TEST(test_follow__a_log_is_given_out_as_it_grows),
        FOLLOW_TEST(test_follow__a_line_comes_when_it_is_whole),
        FOLLOW_TEST(test_follow__subpipelines_are_found_while_nothing_else_happens),
        FOLLOW_TEST(test_follow__late_lines_are_ordered_by_time),
        FOLLOW_TEST(test_follow__a_clock_set_back_reorders_no_log),
        FOLLOW_TEST(test_follow__at_one_time_the_place_of_the_stage_decides),
        FOLLOW_TEST(test_follow__begins_where_this_session_does),
        FOLLOW_TEST(test_follow__at_the_end_everything_is_looked_at),
        FOLLOW_TEST(test_follow__works_without_inotify),
        FOLLOW_TEST(test_follow__many_chatty_runs_lose_nothing),
        FOLLOW_TEST(test_follow__a_log_that_is_gone_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
