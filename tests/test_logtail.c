/* Following a log that grows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "logtail.h"
#include "tmpdir.h"

#define PATIENCE_MS 60000 /* what has not come by then never will */

struct fixture {
    char path[64];
    int dir, log; /* the folder; the log, for appending */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tmpdir_make(f->path);
    f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->log = openat(f->dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(f->dir >= 0 && f->log >= 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close(f->log);
    close(f->dir);
    tmpdir_remove(f->path);
    free(f);
    return 0;
}

static void append(const struct fixture *f, const char *text)
{
    size_t n = strlen(text);
    assert_int_equal(write(f->log, text, n), (ssize_t)n);
}

static struct logtail opened(const struct fixture *f)
{
    struct logtail t;
    assert_int_equal(logtail_open(&t, f->dir, "log"), 0);
    return t;
}

static void assert_next(struct logtail *t, const char *expected)
{
    char *line;
    size_t n;
    assert_int_equal(logtail_next(t, &line, &n), 1);
    assert_string_equal(line, expected);
    assert_int_equal(n, strlen(expected));
}

static void assert_none(struct logtail *t)
{
    char *line;
    size_t n;
    assert_int_equal(logtail_next(t, &line, &n), 0);
}

/* A descriptor that is told when the log grows. */
static int watched(const struct logtail *t)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    assert_true(fd >= 0);
    assert_true(logtail_tell(t, fd) >= 0);
    return fd;
}

/* Whether something has been said since this was asked last. */
static bool is_told(int fd, int timeout_ms)
{
    char events[4096];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1 && read(fd, events, sizeof events) > 0;
}

static void test_logtail__gives_the_lines_there_are_and_later_the_new_ones(void **state)
{
    struct fixture *f = *state;
    struct logtail t = opened(f);
    assert_none(&t);
    append(f, "one\ntwo\n");
    assert_next(&t, "one");
    assert_next(&t, "two");
    assert_none(&t);
    append(f, "three\n");
    assert_next(&t, "three");
    assert_none(&t);
    logtail_close(&t);
}

static void test_logtail__goes_on_at_any_line(void **state)
{
    struct fixture *f = *state;
    struct logtail t = opened(f);
    append(f, "one\ntwo\nthree\n");
    assert_next(&t, "one");
    assert_int_equal(logtail_seek(&t, 8), 0);
    assert_next(&t, "three");
    assert_none(&t);
    assert_int_equal(logtail_seek(&t, 4), 0);
    assert_next(&t, "two");
    logtail_close(&t);
}

static void test_logtail__holds_a_line_back_until_it_is_whole(void **state)
{
    struct fixture *f = *state;
    struct logtail t = opened(f);
    append(f, "whole\nha");
    assert_next(&t, "whole");
    assert_none(&t);
    append(f, "lf");
    assert_none(&t);
    append(f, "\n\n");
    assert_next(&t, "half");
    assert_next(&t, "");
    assert_none(&t);
    logtail_close(&t);
}

static void test_logtail__reads_lines_longer_than_any_chunk(void **state)
{
    struct fixture *f = *state;
    struct logtail t = opened(f);
    size_t n = 5 * CHUNK_BYTES + 3;
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, 'x', n);
    text[n] = '\0';
    append(f, "before\n");
    append(f, text);
    append(f, "\nafter\n");
    assert_next(&t, "before");
    assert_next(&t, text);
    assert_next(&t, "after");
    assert_none(&t);
    free(text);
    logtail_close(&t);
}

/* Lines of many lengths, so that they end everywhere in the buffer; it must not grow with them. */
static void test_logtail__memory_does_not_grow_with_the_log(void **state)
{
    struct fixture *f = *state;
    struct logtail t = opened(f);
    char *text = malloc(CHUNK_BYTES);
    assert_non_null(text);
    for (size_t i = 0; i < 200; i++) {
        size_t n = (i * 7919) % (CHUNK_BYTES - 2);
        memset(text, 'a' + (int)(i % 26), n);
        text[n] = '\n';
        assert_int_equal(write(f->log, text, n + 1), (ssize_t)n + 1);
    }
    for (size_t i = 0; i < 200; i++) {
        size_t n = (i * 7919) % (CHUNK_BYTES - 2);
        memset(text, 'a' + (int)(i % 26), n);
        text[n] = '\0';
        assert_next(&t, text);
    }
    assert_none(&t);
    assert_true(t.bytes.cap <= 4 * CHUNK_BYTES);
    free(text);
    logtail_close(&t);
}

static void test_logtail__says_when_the_log_has_grown(void **state)
{
    struct fixture *f = *state;
    struct logtail t = opened(f);
    int told = watched(&t);
    assert_false(is_told(told, 0));
    append(f, "one\n");
    assert_true(is_told(told, PATIENCE_MS));
    assert_false(is_told(told, 0));
    assert_next(&t, "one");
    append(f, "two\n");
    assert_true(is_told(told, PATIENCE_MS));
    logtail_close(&t);
    close(told);
}

static void test_logtail__watches_the_open_file_whatever_its_name_means_by_now(void **state)
{
    struct fixture *f = *state;
    struct logtail t = opened(f);
    assert_int_equal(renameat(f->dir, "log", f->dir, "moved"), 0);
    assert_int_equal(symlinkat("/dev/null", f->dir, "log"), 0);
    int told = watched(&t);
    append(f, "one\n");
    assert_true(is_told(told, PATIENCE_MS));
    assert_next(&t, "one");
    logtail_close(&t);
    close(told);
}

#define MANY 20000

static void *append_many(void *arg)
{
    const struct fixture *f = arg;
    char line[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(line, sizeof line, "line %d\n", i);
        append(f, line);
    }
    return NULL;
}

/* The reader sleeps whenever it has caught up: a wake-up that gets lost would leave it asleep. */
static void test_logtail__loses_no_wake_up_while_another_thread_appends(void **state)
{
    struct fixture *f = *state;
    struct logtail t = opened(f);
    pthread_t writer;
    char *line, expected[32];
    size_t n;
    int told = watched(&t);
    assert_int_equal(pthread_create(&writer, NULL, append_many, f), 0);
    for (int i = 0; i < MANY;) {
        if (logtail_next(&t, &line, &n) == 1) {
            snprintf(expected, sizeof expected, "line %d", i++);
            assert_string_equal(line, expected);
            continue;
        }
        assert_true(is_told(told, PATIENCE_MS));
    }
    assert_none(&t);
    pthread_join(writer, NULL);
    logtail_close(&t);
    close(told);
}

static void test_logtail__refuses_links_and_what_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct logtail t;
    assert_int_equal(symlinkat("log", f->dir, "link"), 0);
    assert_int_equal(logtail_open(&t, f->dir, "link"), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(logtail_open(&t, f->dir, "missing"), -1);
    assert_int_equal(errno, ENOENT);
    logtail_close(&t);
}

static void test_logtail__reports_what_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    struct logtail t;
    char *line;
    size_t n;
    assert_int_equal(mkdirat(f->dir, "folder", 0700), 0);
    assert_int_equal(logtail_open(&t, f->dir, "folder"), 0);
    assert_int_equal(logtail_next(&t, &line, &n), -1);
    assert_int_equal(errno, EISDIR);
    logtail_close(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_logtail__gives_the_lines_there_are_and_later_the_new_ones),
        TEST(test_logtail__goes_on_at_any_line),
        TEST(test_logtail__holds_a_line_back_until_it_is_whole),
        TEST(test_logtail__reads_lines_longer_than_any_chunk),
        TEST(test_logtail__memory_does_not_grow_with_the_log),
        TEST(test_logtail__says_when_the_log_has_grown),
        TEST(test_logtail__watches_the_open_file_whatever_its_name_means_by_now),
        TEST(test_logtail__loses_no_wake_up_while_another_thread_appends),
        TEST(test_logtail__refuses_links_and_what_is_not_there),
        TEST(test_logtail__reports_what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
