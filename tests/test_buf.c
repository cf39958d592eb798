/* The growable buffer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "buf.h"

static void test_buf__collects_and_stays_terminated(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_addstr(&b, "ab");
    buf_addch(&b, '-');
    buf_add(&b, "c\0d", 3);
    buf_addf(&b, "%05d%s", 42, "!");
    assert_int_equal(b.len, 12);
    assert_memory_equal(b.data, "ab-c\0d00042!", 13);
    assert_false(b.failed);
    buf_release(&b);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
}

static void test_buf__grows_over_any_size(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    for (int i = 0; i < 100000; i++)
        buf_addch(&b, (char)('a' + i % 26));
    assert_int_equal(b.len, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
    assert_int_equal(b.data[100000], '\0');
    buf_release(&b);
}

static void test_buf__formats_what_does_not_fit_yet(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    char text[5001];
    memset(text, 'x', 5000);
    text[5000] = '\0';
    buf_addf(&b, "<%s>", text);
    assert_int_equal(b.len, 5002);
    assert_int_equal(b.data[0], '<');
    assert_memory_equal(b.data + 1, text, 5000);
    assert_string_equal(b.data + 5001, ">");
    buf_release(&b);
}

static void test_buf__adding_nothing_is_fine(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_add(&b, NULL, 0);
    buf_addstr(&b, "");
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    buf_release(&b);
}

static void test_buf__room_is_writable_before_it_is_counted(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_addstr(&b, "12");
    char *room = buf_room(&b, 1000);
    assert_ptr_equal(room, b.data + 2);
    assert_true(b.cap - b.len > 1000);
    memset(room, '3', 1000);
    assert_int_equal(b.len, 2);
    b.len += 1000;
    buf_addch(&b, '4');
    assert_int_equal(b.len, 1003);
    assert_string_equal(b.data + 1001, "34");
    buf_release(&b);
}

static void test_buf__failure_stays_and_keeps_the_content(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_addstr(&b, "kept");
    assert_null(buf_room(&b, SIZE_MAX));
    assert_true(b.failed);
    buf_addstr(&b, " lost");
    buf_addf(&b, "%d", 1);
    assert_string_equal(b.data, "kept");
    assert_int_equal(b.len, 4);
    errno = 0;
    assert_null(buf_detach(&b));
    assert_int_equal(errno, ENOMEM);
    assert_null(b.data);
    assert_false(b.failed);
}

static void test_buf__clear_keeps_the_memory(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_clear(&b);
    assert_null(b.data);
    buf_addstr(&b, "old");
    const char *memory = b.data;
    b.failed = true;
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    buf_addstr(&b, "new");
    assert_ptr_equal(b.data, memory);
    assert_string_equal(b.data, "new");
    buf_release(&b);
}

static void test_buf__detach_hands_over(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    char *empty = buf_detach(&b);
    assert_string_equal(empty, "");
    buf_addstr(&b, "text");
    char *text = buf_detach(&b);
    assert_string_equal(text, "text");
    assert_null(b.data);
    assert_int_equal(b.cap, 0);
    free(empty);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf__collects_and_stays_terminated),
        cmocka_unit_test(test_buf__grows_over_any_size),
        cmocka_unit_test(test_buf__formats_what_does_not_fit_yet),
        cmocka_unit_test(test_buf__adding_nothing_is_fine),
        cmocka_unit_test(test_buf__room_is_writable_before_it_is_counted),
        cmocka_unit_test(test_buf__failure_stays_and_keeps_the_content),
        cmocka_unit_test(test_buf__clear_keeps_the_memory),
        cmocka_unit_test(test_buf__detach_hands_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
