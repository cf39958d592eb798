/* Asking a run to end. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cancel.h"

#define THREADS 4

static void test_cancel__rises_and_never_falls(void **state)
{
    (void)state;
    struct cancel c;
    cancel_init(&c, NULL);
    assert_int_equal(cancel_level(&c), CANCEL_NONE);
    assert_false(cancel_halted(&c));
    cancel_raise(&c, CANCEL_TERM, CANCEL_ASKED);
    assert_int_equal(cancel_level(&c), CANCEL_TERM);
    cancel_raise(&c, CANCEL_KILL, CANCEL_ASKED);
    cancel_raise(&c, CANCEL_TERM, CANCEL_ASKED);
    assert_int_equal(cancel_level(&c), CANCEL_KILL);
    assert_true(cancel_halted(&c));
}

static void test_cancel__keeps_the_first_reason(void **state)
{
    (void)state;
    struct cancel c;
    cancel_init(&c, NULL);
    cancel_raise(&c, CANCEL_TERM, CANCEL_TIMED_OUT);
    cancel_raise(&c, CANCEL_KILL, CANCEL_ASKED);
    assert_int_equal(cancel_reason(&c), CANCEL_TIMED_OUT);
}

static void test_cancel__reaches_what_is_below_and_nothing_else(void **state)
{
    (void)state;
    struct cancel root, run, sibling, child;
    cancel_init(&root, NULL);
    cancel_init(&run, &root);
    cancel_init(&sibling, &root);
    cancel_init(&child, &run);
    cancel_raise(&run, CANCEL_TERM, CANCEL_FAILED);
    assert_int_equal(cancel_level(&root), CANCEL_NONE);
    assert_int_equal(cancel_level(&sibling), CANCEL_NONE);
    assert_int_equal(cancel_level(&child), CANCEL_TERM);
    assert_int_equal(cancel_reason(&child), CANCEL_FAILED);
    cancel_raise(&root, CANCEL_KILL, CANCEL_ASKED);
    assert_int_equal(cancel_level(&sibling), CANCEL_KILL);
    assert_int_equal(cancel_level(&child), CANCEL_KILL);
    assert_int_equal(cancel_reason(&sibling), CANCEL_ASKED);
    assert_int_equal(cancel_reason(&child), CANCEL_FAILED);
}

static void test_cancel__a_halt_is_for_one_run_and_ends_nothing(void **state)
{
    (void)state;
    struct cancel run, child;
    cancel_init(&run, NULL);
    cancel_init(&child, &run);
    cancel_halt(&run);
    assert_true(cancel_halted(&run));
    assert_false(cancel_halted(&child));
    assert_int_equal(cancel_level(&run), CANCEL_NONE);
}

static void *raise_term(void *arg)
{
    cancel_raise(arg, CANCEL_TERM, CANCEL_ASKED);
    return NULL;
}

static void test_cancel__keeps_the_highest_level_of_many_threads(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct cancel c;
        pthread_t threads[THREADS];
        cancel_init(&c, NULL);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, raise_term, &c), 0);
        cancel_raise(&c, CANCEL_KILL, CANCEL_ASKED);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(cancel_level(&c), CANCEL_KILL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel__rises_and_never_falls),
        cmocka_unit_test(test_cancel__keeps_the_first_reason),
        cmocka_unit_test(test_cancel__reaches_what_is_below_and_nothing_else),
        cmocka_unit_test(test_cancel__a_halt_is_for_one_run_and_ends_nothing),
        cmocka_unit_test(test_cancel__keeps_the_highest_level_of_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
