/* The end of a stream, kept for summaries and error details. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "chunk.h"

#define REPLACEMENT "\xEF\xBF\xBD"

static struct tail tail;

static void test_chunk_tail__keeps_the_last_bytes(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0, 1, TAIL_BYTES - 1, TAIL_BYTES, TAIL_BYTES + 1, 2 * TAIL_BYTES, 3 * TAIL_BYTES + 7};
    static const size_t pieces[] = {1,          1000,           TAIL_BYTES - 1,
                                    TAIL_BYTES, TAIL_BYTES + 1, 4 * TAIL_BYTES};
    char *bytes = malloc(4 * TAIL_BYTES);
    assert_non_null(bytes);
    for (size_t i = 0; i < 4 * TAIL_BYTES; i++)
        bytes[i] = (char)('!' + i * 31 % 89);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
            tail.total = 0;
            for (size_t i = 0, n; i < sizes[s]; i += n) {
                n = sizes[s] - i < pieces[p] ? sizes[s] - i : pieces[p];
                tail_add(&tail, bytes + i, n);
            }
            size_t want = sizes[s] < TAIL_BYTES ? sizes[s] : TAIL_BYTES;
            char *text = tail_text(&tail);
            assert_int_equal(tail.total, sizes[s]);
            assert_int_equal(strlen(text), want);
            assert_memory_equal(text, bytes + sizes[s] - want, want);
            free(text);
        }
    }
    free(bytes);
}

static void test_chunk_tail__begins_at_a_whole_character(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t c = 0; c < 3; c++) {
        size_t len = strlen(characters[c]);
        for (size_t extra = 0; extra < len; extra++) {
            tail.total = 0;
            for (size_t i = 0; i <= TAIL_BYTES / len; i++)
                tail_add(&tail, characters[c], len);
            tail_add(&tail, "abc", extra);
            char *text = tail_text(&tail);
            size_t n = (TAIL_BYTES - extra) / len * len;
            assert_int_equal(strlen(text), n + extra);
            for (size_t i = 0; i < n; i += len)
                assert_memory_equal(text + i, characters[c], len);
            assert_memory_equal(text + n, "abc", extra);
            free(text);
        }
    }
}

static void test_chunk_tail__is_a_c_string_of_utf8(void **state)
{
    (void)state;
    static const char bytes[] = "a\0b\xFF\xF0\x9F";
    tail.total = 0;
    tail_add(&tail, bytes, sizeof bytes - 1);
    char *text = tail_text(&tail);
    assert_string_equal(text, "a" REPLACEMENT "b" REPLACEMENT REPLACEMENT);
    free(text);

    /* An end of a character is cut off only where its start may have been. */
    tail.total = 0;
    tail_add(&tail, "\x80z", 2);
    text = tail_text(&tail);
    assert_string_equal(text, REPLACEMENT "z");
    free(text);
}

static void test_chunk_tail__of_noise_is_bounded(void **state)
{
    (void)state;
    tail.total = 0;
    for (size_t i = 0; i < TAIL_BYTES + 1; i++)
        tail_add(&tail, "\x80", 1);
    char *text = tail_text(&tail);
    size_t n = strlen(text);
    assert_int_equal(n, (TAIL_BYTES - 3) * 3);
    for (size_t i = 0; i < n; i += 3)
        assert_memory_equal(text + i, REPLACEMENT, 3);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunk_tail__keeps_the_last_bytes),
        cmocka_unit_test(test_chunk_tail__begins_at_a_whole_character),
        cmocka_unit_test(test_chunk_tail__is_a_c_string_of_utf8),
        cmocka_unit_test(test_chunk_tail__of_noise_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
