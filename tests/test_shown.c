/* What a command prints, as it is shown. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../src/output.c"
#include "../src/shown.c"

static const struct shown_style tagged = {.prefix = "[a] "},
                                screen = {.prefix = "[a] ", .terminal = true, .colours = true},
                                dull = {.prefix = "[a] ", .terminal = true}, raw = {.prefix = NULL},
                                raw_screen = {.terminal = true, .colours = true};

/* What is shown of a stream that comes in pieces of `step` bytes. */
static char *shown_in_steps(const struct shown_style *style, const char *bytes, size_t n,
                            size_t step)
{
    struct shown s = {.open = false};
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < n; i += step) {
        char *piece = malloc(n - i < step ? n - i : step); /* of its own, for the sanitizer */
        assert_non_null(piece);
        memcpy(piece, bytes + i, n - i < step ? n - i : step);
        shown_add(&s, style, piece, n - i < step ? n - i : step, &out);
        free(piece);
    }
    shown_end(&s, style, &out);
    assert_null(s.rest.data);
    buf_addstr(&out, "");
    return buf_detach(&out);
}

/* However the bytes are cut. */
static void assert_shown(const struct shown_style *style, const char *bytes, size_t n,
                         const char *expected)
{
    for (size_t step = 1; step <= n + 1; step++) {
        char *text = shown_in_steps(style, bytes, n, step);
        assert_string_equal(text, expected);
        free(text);
    }
}

#define ASSERT_SHOWN(style, bytes, expected) assert_shown(style, bytes, sizeof bytes - 1, expected)

static void test_shown__each_line_gets_the_prefix(void **state)
{
    (void)state;
    ASSERT_SHOWN(&tagged, "one\ntwo\n", "[a] one\n[a] two\n");
    ASSERT_SHOWN(&tagged, "\n\n", "[a] \n[a] \n");
    ASSERT_SHOWN(&tagged, "", "");
}

static void test_shown__an_unfinished_last_line_is_ended(void **state)
{
    (void)state;
    ASSERT_SHOWN(&tagged, "one\ntw", "[a] one\n[a] tw\n");
    ASSERT_SHOWN(&raw, "one\ntw", "one\ntw\n");
    ASSERT_SHOWN(&raw_screen, "one\ntw", "one\ntw\n");
}

static void test_shown__nothing_of_a_line_is_shown_before_its_end(void **state)
{
    (void)state;
    struct shown s = {.open = false};
    struct buf out = BUF_INIT;
    shown_add(&s, &tagged, "on", 2, &out);
    assert_int_equal(out.len, 0);
    shown_add(&s, &tagged, "e\ntwo", 5, &out);
    assert_string_equal(out.data, "[a] one\n");
    shown_end(&s, &tagged, &out);
    assert_string_equal(out.data, "[a] one\n[a] two\n");
    buf_release(&out);
}

/* A stage that is tried again begins a line of its own. */
static void test_shown__goes_on_after_an_end(void **state)
{
    (void)state;
    struct shown s = {.open = false};
    struct buf out = BUF_INIT;
    for (int i = 0; i < 2; i++) {
        shown_add(&s, &tagged, "half", 4, &out);
        shown_end(&s, &tagged, &out);
        shown_end(&s, &tagged, &out);
    }
    assert_string_equal(out.data, "[a] half\n[a] half\n");
    buf_release(&out);
}

static void test_shown__elsewhere_than_on_a_terminal_bytes_stay_as_they_are(void **state)
{
    (void)state;
    ASSERT_SHOWN(&tagged, "\x1b[2J\x07 \xff\xc3 \r\n", "[a] \x1b[2J\x07 \xff\xc3 \r\n");
    ASSERT_SHOWN(&raw, "\x1b[2J\x07 \xff\xc3 \r\n", "\x1b[2J\x07 \xff\xc3 \r\n");
}

static void test_shown__on_a_terminal_control_characters_are_shown(void **state)
{
    (void)state;
    ASSERT_SHOWN(&screen, "a\tb\x1b[2J\x07\x7f\n", "[a] a\tb\\x1b[2J\\x07\\x7f\n");
    ASSERT_SHOWN(&screen, "nul\0!\n", "[a] nul\\x00!\n");
    ASSERT_SHOWN(&screen, "10%\r20%\r\n", "[a] 10%\\x0d20%\n");
    ASSERT_SHOWN(&screen, "\r", "[a] \n");
    ASSERT_SHOWN(&raw_screen, "\x1b]0;title\x07\n", "\\x1b]0;title\\x07\n");
}

static void test_shown__on_a_terminal_only_utf8_passes(void **state)
{
    (void)state;
    ASSERT_SHOWN(&screen, "grün 日本 \xf0\x9f\x99\x82\n", "[a] grün 日本 \xf0\x9f\x99\x82\n");
    ASSERT_SHOWN(&screen,
                 "\xc2\x9b"
                 "2J\n",
                 "[a] \\x9b2J\n");
    ASSERT_SHOWN(&screen, "\x9b\xff\xe6\x97\n", "[a] \\x9b\\xff\\xe6\\x97\n");
    ASSERT_SHOWN(&screen, "\xc2", "[a] \\xc2\n");
}

static void test_shown__colours_may_pass_and_end_with_the_line(void **state)
{
    (void)state;
    ASSERT_SHOWN(&screen, "\x1b[1;31mred\nplain\n", "[a] \x1b[1;31mred\x1b[0m\n[a] plain\n");
    ASSERT_SHOWN(&screen, "\x1b[mx\n", "[a] \x1b[mx\x1b[0m\n");
    ASSERT_SHOWN(&screen, "\x1b[31;\n\x1b[3x\x1b", "[a] \\x1b[31;\n[a] \\x1b[3x\\x1b\n");
    ASSERT_SHOWN(&dull, "\x1b[31mred\n", "[a] \\x1b[31mred\n");
}

/* A line of `n` times 'x', and "y". */
static char *long_line(size_t n)
{
    char *text = malloc(n + 2);
    assert_non_null(text);
    memset(text, 'x', n);
    memcpy(text + n, "y", 2);
    return text;
}

static void assert_pieces(const struct shown_style *style, size_t n, const char *between)
{
    char *line = long_line(n), *x = long_line(SHOWN_LINE_BYTES);
    struct buf expected = BUF_INIT;
    buf_addstr(&expected, style->prefix ? style->prefix : "");
    for (size_t left = n; left + 1 > SHOWN_LINE_BYTES; left -= SHOWN_LINE_BYTES) {
        buf_add(&expected, x, SHOWN_LINE_BYTES);
        buf_addstr(&expected, between);
    }
    buf_addstr(&expected, line + n / SHOWN_LINE_BYTES * SHOWN_LINE_BYTES);
    buf_addch(&expected, '\n');
    for (size_t step = 1000; step <= n + 1; step += 50001) {
        char *text = shown_in_steps(style, line, n + 1, step);
        assert_true(strcmp(text, expected.data) == 0);
        free(text);
    }
    buf_release(&expected);
    free(line);
    free(x);
}

static void test_shown__a_long_line_is_shown_in_pieces(void **state)
{
    (void)state;
    assert_pieces(&tagged, SHOWN_LINE_BYTES - 1, "");
    assert_pieces(&tagged, SHOWN_LINE_BYTES, "\n[a] ");
    assert_pieces(&tagged, 3 * SHOWN_LINE_BYTES + 7, "\n[a] ");
    assert_pieces(&screen, 3 * SHOWN_LINE_BYTES + 7, "\n[a] ");
}

static void test_shown__without_a_prefix_a_long_line_stays_one(void **state)
{
    (void)state;
    assert_pieces(&raw, 3 * SHOWN_LINE_BYTES + 7, "");
    assert_pieces(&raw_screen, 3 * SHOWN_LINE_BYTES + 7, "");
}

static void test_shown__a_line_as_long_as_a_piece_is_one(void **state)
{
    (void)state;
    char *line = long_line(SHOWN_LINE_BYTES - 1);
    struct shown s = {.open = false};
    struct buf out = BUF_INIT;
    shown_add(&s, &tagged, line, SHOWN_LINE_BYTES, &out);
    shown_add(&s, &tagged, "\n", 1, &out);
    assert_int_equal(out.len, strlen("[a] \n") + SHOWN_LINE_BYTES);
    shown_end(&s, &tagged, &out);
    assert_int_equal(out.len, strlen("[a] \n") + SHOWN_LINE_BYTES);
    buf_release(&out);
    free(line);
}

static void test_shown__a_character_is_not_torn_apart(void **state)
{
    (void)state;
    struct shown s = {.open = false};
    struct buf out = BUF_INIT;
    char *line = long_line(SHOWN_LINE_BYTES - 2);
    shown_add(&s, &screen, line, SHOWN_LINE_BYTES - 1, &out);
    shown_add(&s, &screen, "ü!\n", 4, &out);
    assert_string_equal(out.data + out.len - strlen("y\n[a] ü!\n"), "y\n[a] ü!\n");
    shown_end(&s, &screen, &out);
    buf_release(&out);
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown__each_line_gets_the_prefix),
        cmocka_unit_test(test_shown__an_unfinished_last_line_is_ended),
        cmocka_unit_test(test_shown__nothing_of_a_line_is_shown_before_its_end),
        cmocka_unit_test(test_shown__goes_on_after_an_end),
        cmocka_unit_test(test_shown__elsewhere_than_on_a_terminal_bytes_stay_as_they_are),
        cmocka_unit_test(test_shown__on_a_terminal_control_characters_are_shown),
        cmocka_unit_test(test_shown__on_a_terminal_only_utf8_passes),
        cmocka_unit_test(test_shown__colours_may_pass_and_end_with_the_line),
        cmocka_unit_test(test_shown__a_long_line_is_shown_in_pieces),
        cmocka_unit_test(test_shown__without_a_prefix_a_long_line_stays_one),
        cmocka_unit_test(test_shown__a_line_as_long_as_a_piece_is_one),
        cmocka_unit_test(test_shown__a_character_is_not_torn_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
