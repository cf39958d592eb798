/* Error texts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "err.h"

static void test_err__formats_and_fails(void **state)
{
    (void)state;
    struct err e = {"old"};
    assert_int_equal(err_set(&e, "%s: line %d", "file", 7), -1);
    assert_string_equal(e.text, "file: line 7");
}

static void test_err__names_the_reason_of_a_failed_call(void **state)
{
    (void)state;
    struct err e;
    errno = ENOENT;
    assert_int_equal(err_sys(&e, "can't open %s", "x"), -1);
    assert_string_equal(e.text, "can't open x: No such file or directory");
    assert_int_equal(errno, ENOENT);
}

static void test_err__keeps_errno(void **state)
{
    (void)state;
    struct err e;
    errno = EPIPE;
    err_set(&e, "%s", "a");
    assert_int_equal(errno, EPIPE);
    err_set(NULL, "%s", "a");
    assert_int_equal(errno, EPIPE);
}

static void test_err__needs_no_place_for_the_text(void **state)
{
    (void)state;
    errno = EPIPE;
    assert_int_equal(err_set(NULL, "x"), -1);
    assert_int_equal(err_sys(NULL, "x"), -1);
    assert_int_equal(errno, EPIPE);
}

static void test_err__is_one_line_that_steers_no_terminal(void **state)
{
    (void)state;
    struct err e;
    err_set(&e, "a\nb\tc\r\x1b[31md\x7f %s", "\xC3\xA9");
    assert_string_equal(e.text, "a?b?c??[31md? \xC3\xA9");
}

static void test_err__cuts_what_is_too_long(void **state)
{
    (void)state;
    struct err e;
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_set(&e, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_memory_equal(e.text, text, sizeof e.text - 1);
    errno = ENOENT;
    err_sys(&e, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err__formats_and_fails),
        cmocka_unit_test(test_err__names_the_reason_of_a_failed_call),
        cmocka_unit_test(test_err__keeps_errno),
        cmocka_unit_test(test_err__needs_no_place_for_the_text),
        cmocka_unit_test(test_err__is_one_line_that_steers_no_terminal),
        cmocka_unit_test(test_err__cuts_what_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
