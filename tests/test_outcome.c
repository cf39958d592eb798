/* How a command's end reads. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bounds.h"
#include "buf.h"
#include "outcome.h"

#define ELLIPSIS "\xE2\x80\xA6"
#define EMOJI "\xF0\x9F\x98\x80" /* two UTF-16 units */
#define EURO "\xE2\x82\xAC"      /* one */

static const struct stage plain_stage = {.kind = STAGE_COMMAND};

static void assert_summary(struct outcome o, const char *want)
{
    char *text = outcome_summary(&o, &plain_stage);
    assert_string_equal(text, want);
    free(text);
}

/* `n` times 'a', then `rest`; free() it. */
static char *letters(size_t n, const char *rest)
{
    char *text = malloc(n + strlen(rest) + 1);
    assert_non_null(text);
    memset(text, 'a', n);
    strcpy(text + n, rest);
    return text;
}

static void test_outcome__success_shows_stdout(void **state)
{
    (void)state;
    assert_summary((struct outcome){.out = "\n built 3 files\nall well\n\n", .err = "noise"},
                   "built 3 files\nall well");
}

static void test_outcome__success_without_stdout_shows_stderr(void **state)
{
    (void)state;
    assert_summary((struct outcome){.out = " \n\t", .err = "only a remark\n"}, "only a remark");
}

static void test_outcome__success_without_output_says_so(void **state)
{
    (void)state;
    assert_summary((struct outcome){.out = "", .err = "\n"}, "Command completed with code 0");
}

static void test_outcome__failure_shows_code_and_stderr(void **state)
{
    (void)state;
    assert_summary((struct outcome){.exit_code = 7, .out = "partial\n", .err = "broken\n"},
                   "Exited with code 7 \xE2\x80\x94 broken");
    assert_summary((struct outcome){.exit_code = 255, .out = "partial\n", .err = ""},
                   "Exited with code 255");
}

static void test_outcome__a_signal_is_named(void **state)
{
    (void)state;
    assert_summary((struct outcome){.exit_code = -1, .signal = SIGKILL, .out = "x", .err = " "},
                   "Terminated with signal SIGKILL");
    assert_summary((struct outcome){.exit_code = -1, .signal = SIGTERM, .out = "", .err = "bye\n"},
                   "Terminated with signal SIGTERM \xE2\x80\x94 bye");
}

static void test_outcome__the_hint_comes_before_everything(void **state)
{
    (void)state;
    char hint[] = " Ran the linter ", none[] = "";
    struct stage stage = {.summary_hint = hint};
    const struct outcome ends[] = {{.out = "out", .err = "err"},
                                   {.exit_code = 1, .out = "out", .err = "err"},
                                   {.exit_code = -1, .signal = SIGKILL, .out = "", .err = ""}};
    for (size_t i = 0; i < 3; i++) {
        char *text = outcome_summary(&ends[i], &stage);
        assert_string_equal(text, " Ran the linter ");
        free(text);
    }
    stage.summary_hint = none; /* an empty one is none */
    char *text = outcome_summary(&ends[0], &stage);
    assert_string_equal(text, "out");
    free(text);
}

static void test_outcome__the_code_recorded_for_a_signal_is_128(void **state)
{
    (void)state;
    assert_int_equal(outcome_code(&(struct outcome){.exit_code = 0}), 0);
    assert_int_equal(outcome_code(&(struct outcome){.exit_code = 255}), 255);
    assert_int_equal(outcome_code(&(struct outcome){.exit_code = -1, .signal = SIGKILL}), 128);
    assert_int_equal(outcome_code(&(struct outcome){.exit_code = -1, .signal = SIGTERM}), 128);
}

static void assert_cut(size_t n, const char *rest, size_t kept, const char *kept_rest)
{
    char *text = letters(n, rest), *want = letters(kept, kept_rest);
    assert_summary((struct outcome){.out = text, .err = ""}, want);
    free(text);
    free(want);
}

static void test_outcome__output_is_cut_at_240_utf16_units(void **state)
{
    (void)state;
    assert_cut(240, "", 240, "");
    assert_cut(240, "\n", 240, ""); /* trimmed before it is cut */
    assert_cut(241, "", 240, ELLIPSIS);
    assert_cut(70000, "", 240, ELLIPSIS);
    assert_cut(239, EURO, 239, EURO);
    assert_cut(239, EURO "a", 239, EURO ELLIPSIS);
    assert_cut(240, EURO, 240, ELLIPSIS);
    assert_cut(239, " b", 239, " " ELLIPSIS); /* not trimmed again */
}

static void test_outcome__a_cut_never_halves_an_emoji(void **state)
{
    (void)state;
    assert_cut(238, EMOJI, 238, EMOJI);
    assert_cut(238, EMOJI "a", 238, EMOJI ELLIPSIS);
    assert_cut(239, EMOJI, 239, ELLIPSIS);
    assert_cut(239, EMOJI "a", 239, ELLIPSIS);
    assert_cut(240, EMOJI, 240, ELLIPSIS);
}

static void test_outcome__stderr_of_a_failure_is_cut_by_itself(void **state)
{
    (void)state;
    struct buf want = BUF_INIT;
    char *text = letters(300, "\n"), *kept = letters(240, ELLIPSIS);
    buf_addf(&want, "Exited with code 2 \xE2\x80\x94 %s", kept);
    assert_summary((struct outcome){.exit_code = 2, .out = "", .err = text}, want.data);
    buf_release(&want);
    free(text);
    free(kept);
}

static void test_outcome__cut_text_counts_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t units;
        const char *want;
        bool cut;
    } rows[] = {
        {"", 0, "", false},
        {"a", 0, ELLIPSIS, true},
        {"abc", 3, "abc", false},
        {"abc", 2, "ab" ELLIPSIS, true},
        {EMOJI, 1, ELLIPSIS, true},
        {EMOJI, 2, EMOJI, false},
        {EMOJI EMOJI, 3, EMOJI ELLIPSIS, true},
        {"\xC3\xA9" EURO EMOJI, 4, "\xC3\xA9" EURO EMOJI, false},
        {"\xC3\xA9" EURO EMOJI, 3, "\xC3\xA9" EURO ELLIPSIS, true},
        {"\xC3\xA9" EURO EMOJI, 1, "\xC3\xA9" ELLIPSIS, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool cut = !rows[i].cut;
        char *text = cut_text(rows[i].text, strlen(rows[i].text), rows[i].units, &cut);
        assert_string_equal(text, rows[i].want);
        assert_int_equal(cut, rows[i].cut);
        free(text);
    }
    char *text = cut_text("abcdef", 3, 3, NULL); /* what is behind n does not count */
    assert_string_equal(text, "abc");
    free(text);
}

static void test_outcome__trims_what_javascript_trims(void **state)
{
    (void)state;
    static const char *const blanks[] = {"\t",           "\n",           "\v",
                                         "\f",           "\r",           " ",
                                         "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80",
                                         "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83",
                                         "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
                                         "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89",
                                         "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9",
                                         "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80",
                                         "\xEF\xBB\xBF"};
    struct buf text = BUF_INIT;
    size_t n;
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        buf_clear(&text);
        buf_addf(&text, "%s%s x%sy %s", blanks[i], blanks[i], blanks[i], blanks[i]);
        const char *at = trim_text(text.data, &n);
        assert_ptr_equal(at, text.data + 2 * strlen(blanks[i]) + 1);
        assert_int_equal(n, 2 + strlen(blanks[i]));
        buf_clear(&text);
        buf_addf(&text, "%s", blanks[i]);
        trim_text(text.data, &n);
        assert_int_equal(n, 0);
    }
    buf_release(&text);
    trim_text("", &n);
    assert_int_equal(n, 0);
}

static void test_outcome__trims_nothing_else(void **state)
{
    (void)state;
    /* NEL, Mongolian vowel separator, zero width space, word joiner, U+FFFD, and the like */
    static const char *const kept[] = {
        "\xC2\x85", "\xE1\xA0\x8E", "\xE2\x80\x8B", "\xE2\x81\xA0", "\xEF\xBF\xBD",
        "\x1F",     "\x7F",         "\xC3\xA0",     "\xE2\x80\x90", EMOJI};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        size_t n;
        assert_ptr_equal(trim_text(kept[i], &n), kept[i]);
        assert_int_equal(n, strlen(kept[i]));
    }
}

static void assert_details(struct outcome o, const char *want)
{
    cJSON *details = outcome_details(&o);
    char *text = cJSON_PrintUnformatted(details);
    assert_string_equal(text, want);
    cJSON_free(text);
    cJSON_Delete(details);
}

static void test_outcome__details_are_as_recorded(void **state)
{
    (void)state;
    assert_details((struct outcome){.exit_code = 7, .out = "partial\n", .err = "broken\n"},
                   "{\"exit_code\":7,\"sandbox_state\":\"sandboxed\",\"stderr\":\"broken\"}");
    assert_details(
        (struct outcome){.exit_code = -1, .signal = SIGKILL, .out = "before\n", .err = ""},
        "{\"exit_code\":128,\"sandbox_state\":\"sandboxed\",\"stderr\":\"\",\"signal\":"
        "\"SIGKILL\"}");
}

static void test_outcome__details_say_what_was_cut(void **state)
{
    (void)state;
    assert_details((struct outcome){.exit_code = 1, .out = "o", .err = "e", .out_cut = true},
                   "{\"exit_code\":1,\"sandbox_state\":\"sandboxed\",\"stderr\":\"e\","
                   "\"stdout_truncated\":true}");
    assert_details((struct outcome){.exit_code = 1, .out = "o", .err = "e", .err_cut = true},
                   "{\"exit_code\":1,\"sandbox_state\":\"sandboxed\",\"stderr\":\"e\","
                   "\"stderr_truncated\":true}");
}

static void test_outcome__long_stderr_is_cut_in_details(void **state)
{
    (void)state;
    struct buf want = BUF_INIT;
    for (size_t extra = 0; extra < 2; extra++) {
        char *text = letters(ERROR_DETAIL_UNITS + extra, "\n");
        char *kept = letters(ERROR_DETAIL_UNITS, extra ? ELLIPSIS : "");
        buf_clear(&want);
        buf_addf(&want, "{\"exit_code\":2,\"sandbox_state\":\"sandboxed\",\"stderr\":\"%s\"%s}",
                 kept, extra ? ",\"stderr_truncated\":true" : "");
        assert_details((struct outcome){.exit_code = 2, .out = "", .err = text}, want.data);
        free(text);
        free(kept);
    }
    buf_release(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcome__success_shows_stdout),
        cmocka_unit_test(test_outcome__success_without_stdout_shows_stderr),
        cmocka_unit_test(test_outcome__success_without_output_says_so),
        cmocka_unit_test(test_outcome__failure_shows_code_and_stderr),
        cmocka_unit_test(test_outcome__a_signal_is_named),
        cmocka_unit_test(test_outcome__the_hint_comes_before_everything),
        cmocka_unit_test(test_outcome__the_code_recorded_for_a_signal_is_128),
        cmocka_unit_test(test_outcome__output_is_cut_at_240_utf16_units),
        cmocka_unit_test(test_outcome__a_cut_never_halves_an_emoji),
        cmocka_unit_test(test_outcome__stderr_of_a_failure_is_cut_by_itself),
        cmocka_unit_test(test_outcome__cut_text_counts_units),
        cmocka_unit_test(test_outcome__trims_what_javascript_trims),
        cmocka_unit_test(test_outcome__trims_nothing_else),
        cmocka_unit_test(test_outcome__details_are_as_recorded),
        cmocka_unit_test(test_outcome__details_say_what_was_cut),
        cmocka_unit_test(test_outcome__long_stderr_is_cut_in_details),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
