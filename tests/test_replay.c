/* A command's log read back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tmpdir.h"

#include "../src/replay.c"

#define LINE(type, n) "{\"type\":\"" type "\",\"n\":" #n "}\n"
#define EARLIER LINE("command:start", 1) LINE("exec:chunk", 2) LINE("command:end", 3)
#define NOW LINE("command:start", 4) LINE("exec:chunk", 5) LINE("exec:end", 6)

static char dir[64];

static void append(const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/commands/02-a-b.ndjson", dir);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int setup(void **state)
{
    char path[128];
    (void)state;
    tmpdir_make(dir);
    snprintf(path, sizeof path, "%s/commands", dir);
    return mkdir(path, 0700);
}

static int teardown(void **state)
{
    (void)state;
    tmpdir_remove(dir);
    return 0;
}

/* The lines of these numbers follow, and then none yet. */
static void assert_follow(struct replay *r, int first, int last)
{
    struct exec_line line;
    char number[12];
    for (int i = first; i <= last; i++) {
        snprintf(number, sizeof number, "%d", i);
        assert_int_equal(replay_next(r, &line), 1);
        assert_true(exec_line_has(&line, "n", number));
    }
    assert_int_equal(replay_next(r, &line), 0);
}

static void test_replay__begins_at_the_beginning(void **state)
{
    (void)state;
    struct replay r = {.open = false};
    append(EARLIER);
    assert_int_equal(replay_open(&r, dir, 2, "a b", false), 0);
    assert_follow(&r, 1, 3);
    append(NOW); /* it may still be written to */
    assert_follow(&r, 4, 6);
    replay_close(&r);
}

static void test_replay__passes_over_earlier_executions(void **state)
{
    (void)state;
    struct replay r = {.open = false};
    append(EARLIER EARLIER NOW);
    assert_int_equal(replay_open(&r, dir, 2, "a b", true), 0);
    assert_follow(&r, 4, 6);
    replay_close(&r);
    replay_close(&r);
}

static void test_replay__a_text_about_a_start_is_none(void **state)
{
    (void)state;
    struct replay r = {.open = false};
    append(LINE("command:start", 1) "{\"n\":2,\"data\":\"{\\\"type\\\":\\\"command:start\\\"\"}\n");
    assert_int_equal(replay_open(&r, dir, 2, "a b", true), 0);
    assert_follow(&r, 1, 2);
    replay_close(&r);
}

static void test_replay__a_log_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct replay r = {.open = false};
    assert_int_equal(replay_open(&r, dir, 3, "a b", false), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(replay_open(&r, "/nonexistent", 2, "a b", true), -1);
    assert_int_equal(errno, ENOENT);
    replay_close(&r);
}

#define REPLAY_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPLAY_TEST(test_replay__begins_at_the_beginning),
        REPLAY_TEST(test_replay__passes_over_earlier_executions),
        REPLAY_TEST(test_replay__a_text_about_a_start_is_none),
        REPLAY_TEST(test_replay__a_log_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
