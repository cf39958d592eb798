/* Bytes that are written as far as nobody has to be waited for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/sink.c"

struct pipes {
    int a[2], b[2];
    struct sink sink;
};

static int setup(void **state)
{
    struct pipes *p = calloc(1, sizeof *p);
    assert_non_null(p);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(p->a, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(pipe2(p->b, O_NONBLOCK | O_CLOEXEC), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pipes *p = *state;
    const int fds[] = {p->a[0], p->a[1], p->b[0], p->b[1]};
    for (size_t i = 0; i < 4; i++)
        close(fds[i]);
    sink_release(&p->sink);
    free(p);
    return 0;
}

static void assert_has(int fd, const char *expected)
{
    char text[64];
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    assert_string_equal(text, expected);
}

static void test_sink__nothing_is_left_of_nothing(void **state)
{
    struct pipes *p = *state;
    assert_int_equal(sink_fd(&p->sink), -1);
    assert_int_equal(sink_write(&p->sink), 0);
    sink_to(&p->sink, p->a[1]);
    assert_int_equal(sink_fd(&p->sink), -1);
    sink_drop(&p->sink);
    assert_int_equal(sink_fd(&p->sink), -1);
}

static void test_sink__bytes_leave_in_their_order(void **state)
{
    struct pipes *p = *state;
    const int to[] = {p->a[1], p->a[1], p->b[1], p->a[1]};
    const char *const texts[] = {"one ", "two", "three", "four"};
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 4; i++)
            buf_addstr(sink_to(&p->sink, to[i]), texts[i]);
        sink_to(&p->sink, p->b[1]); /* and nothing more */
        assert_int_equal(sink_fd(&p->sink), p->a[1]);
        assert_int_equal(sink_write(&p->sink), 0);
        assert_has(p->a[0], "one two");
        assert_has(p->b[0], "");
        assert_int_equal(sink_fd(&p->sink), p->b[1]);
        assert_int_equal(sink_write(&p->sink), 0);
        assert_has(p->b[0], "three");
        assert_int_equal(sink_fd(&p->sink), p->a[1]);
        assert_int_equal(sink_write(&p->sink), 0);
        assert_has(p->a[0], "four");
        assert_int_equal(sink_fd(&p->sink), -1);
    }
}

static void test_sink__what_is_dropped_is_of_one_descriptor(void **state)
{
    struct pipes *p = *state;
    buf_addstr(sink_to(&p->sink, p->a[1]), "lost");
    buf_addstr(sink_to(&p->sink, p->b[1]), "kept");
    sink_drop(&p->sink);
    assert_int_equal(sink_fd(&p->sink), p->b[1]);
    assert_int_equal(sink_write(&p->sink), 0);
    assert_has(p->a[0], "");
    assert_has(p->b[0], "kept");
    assert_int_equal(sink_fd(&p->sink), -1);
}

/* A pipe that poll calls writable takes so many, and not more, without waiting. */
static void test_sink__a_pipe_gets_no_more_than_it_surely_takes(void **state)
{
    struct pipes *p = *state;
    char *room = buf_room(sink_to(&p->sink, p->a[1]), 3 * PIPE_BUF);
    assert_non_null(room);
    memset(room, 'x', 3 * PIPE_BUF);
    room[99] = '\n';
    p->sink.bytes.len = 3 * PIPE_BUF;
    assert_int_equal(sink_write(&p->sink), 0);
    assert_int_equal(p->sink.written, 100); /* whole lines, if there are */
    assert_int_equal(sink_write(&p->sink), 0);
    assert_int_equal(p->sink.written, 100 + PIPE_BUF);
}

static void test_sink__a_full_pipe_is_no_failure(void **state)
{
    struct pipes *p = *state;
    char block[PIPE_BUF] = "";
    while (write(p->a[1], block, sizeof block) > 0)
        continue;
    buf_addstr(sink_to(&p->sink, p->a[1]), "text");
    assert_int_equal(sink_write(&p->sink), 0);
    assert_int_equal(sink_fd(&p->sink), p->a[1]);
    assert_int_equal(p->sink.written, 0);
}

static void test_sink__a_reader_who_went_away_is(void **state)
{
    struct pipes *p = *state;
    close(p->a[0]);
    buf_addstr(sink_to(&p->sink, p->a[1]), "text");
    assert_int_equal(sink_write(&p->sink), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(sink_fd(&p->sink), p->a[1]);
    p->a[0] = open("/dev/null", O_RDONLY | O_CLOEXEC); /* for the end */
}

static void test_sink__a_failed_addition_is_remembered(void **state)
{
    struct pipes *p = *state;
    assert_null(buf_room(sink_to(&p->sink, p->a[1]), SIZE_MAX / 2));
    sink_to(&p->sink, p->b[1]);
    assert_true(p->sink.bytes.failed);
    sink_clear(&p->sink);
    assert_false(p->sink.bytes.failed);
}

#define SINK_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SINK_TEST(test_sink__nothing_is_left_of_nothing),
        SINK_TEST(test_sink__bytes_leave_in_their_order),
        SINK_TEST(test_sink__what_is_dropped_is_of_one_descriptor),
        SINK_TEST(test_sink__a_pipe_gets_no_more_than_it_surely_takes),
        SINK_TEST(test_sink__a_full_pipe_is_no_failure),
        SINK_TEST(test_sink__a_reader_who_went_away_is),
        SINK_TEST(test_sink__a_failed_addition_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
