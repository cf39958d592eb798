/* Asking everything to end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "cancel.h"

#define THREADS 4

static bool readable(const struct cancel *c, int i)
{
    struct pollfd fd = {.fd = c->fds[i], .events = POLLIN};
    return poll(&fd, 1, 0) == 1 && fd.revents == POLLIN;
}

static void assert_cancel(struct cancel *c, int level)
{
    assert_int_equal(cancel_level(c), level);
    assert_int_equal(readable(c, 0), level >= CANCEL_TERM);
    assert_int_equal(readable(c, 1), level >= CANCEL_KILL);
}

static void test_cancel__begins_with_nothing_asked(void **state)
{
    (void)state;
    struct cancel c;
    assert_int_equal(cancel_init(&c), 0);
    assert_cancel(&c, CANCEL_NONE);
    cancel_raise(&c, CANCEL_NONE);
    assert_cancel(&c, CANCEL_NONE);
    cancel_release(&c);
}

static void test_cancel__rises_step_by_step(void **state)
{
    (void)state;
    struct cancel c;
    assert_int_equal(cancel_init(&c), 0);
    cancel_raise(&c, CANCEL_TERM);
    assert_cancel(&c, CANCEL_TERM);
    cancel_raise(&c, CANCEL_KILL);
    assert_cancel(&c, CANCEL_KILL);
    cancel_release(&c);
}

static void test_cancel__may_rise_at_once(void **state)
{
    (void)state;
    struct cancel c;
    assert_int_equal(cancel_init(&c), 0);
    cancel_raise(&c, CANCEL_KILL);
    assert_cancel(&c, CANCEL_KILL);
    cancel_release(&c);
}

static void test_cancel__never_falls_however_often_it_is_asked(void **state)
{
    (void)state;
    struct cancel c;
    assert_int_equal(cancel_init(&c), 0);
    for (int i = 0; i < 100; i++) {
        cancel_raise(&c, CANCEL_TERM);
        assert_cancel(&c, CANCEL_TERM);
    }
    cancel_raise(&c, CANCEL_KILL);
    for (int i = 0; i < 100; i++) {
        cancel_raise(&c, i % 3);
        assert_cancel(&c, CANCEL_KILL);
    }
    cancel_release(&c);
}

static void *raise_term(void *arg)
{
    cancel_raise(arg, CANCEL_TERM);
    return NULL;
}

static void test_cancel__the_highest_of_many_threads_counts(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct cancel c;
        pthread_t threads[THREADS];
        assert_int_equal(cancel_init(&c), 0);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, raise_term, &c), 0);
        cancel_raise(&c, CANCEL_KILL);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_cancel(&c, CANCEL_KILL);
        cancel_release(&c);
    }
}

static void test_cancel__commands_do_not_inherit_its_descriptors(void **state)
{
    (void)state;
    struct cancel c;
    assert_int_equal(cancel_init(&c), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fcntl(c.fds[i], F_GETFD), FD_CLOEXEC);
    cancel_release(&c);
}

static void test_cancel__release_closes_and_may_be_repeated(void **state)
{
    (void)state;
    struct cancel c;
    assert_int_equal(cancel_init(&c), 0);
    int fds[] = {c.fds[0], c.fds[1]};
    cancel_release(&c);
    cancel_release(&c);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(c.fds[i], -1);
        assert_int_equal(fcntl(fds[i], F_GETFD), -1);
        assert_int_equal(errno, EBADF);
    }
}

static void test_cancel__without_descriptors_it_fails_and_keeps_none(void **state)
{
    (void)state;
    struct cancel c;
    struct rlimit old, few;
    int first = dup(0); /* the lowest free one */
    assert_true(first >= 0);
    close(first);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = (rlim_t)first + 1; /* room for one of the two */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    errno = 0;
    int result = cancel_init(&c), error = errno, next = dup(0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(result, -1);
    assert_int_equal(error, EMFILE);
    assert_int_equal(next, first);
    close(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel__begins_with_nothing_asked),
        cmocka_unit_test(test_cancel__rises_step_by_step),
        cmocka_unit_test(test_cancel__may_rise_at_once),
        cmocka_unit_test(test_cancel__never_falls_however_often_it_is_asked),
        cmocka_unit_test(test_cancel__the_highest_of_many_threads_counts),
        cmocka_unit_test(test_cancel__commands_do_not_inherit_its_descriptors),
        cmocka_unit_test(test_cancel__release_closes_and_may_be_repeated),
        cmocka_unit_test(test_cancel__without_descriptors_it_fails_and_keeps_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
