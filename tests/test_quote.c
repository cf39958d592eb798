/* Words quoted for the shell. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quote.h"

static void assert_quoted(const char *word, const char *expected)
{
    struct buf b = BUF_INIT;
    quote_word(&b, word);
    assert_false(b.failed);
    assert_string_equal(b.data, expected);
    buf_release(&b);
}

static void test_quote__leaves_plain_words_alone(void **state)
{
    (void)state;
    assert_quoted("ls", "ls");
    assert_quoted("AZaz09_/.:=-", "AZaz09_/.:=-");
    assert_quoted("--opt=/a/b.c:d", "--opt=/a/b.c:d");
}

static void test_quote__puts_everything_else_into_single_quotes(void **state)
{
    (void)state;
    assert_quoted("", "''");
    assert_quoted("hello world", "'hello world'");
    assert_quoted("$HOME", "'$HOME'");
    assert_quoted("a+b", "'a+b'");
    assert_quoted("~", "'~'");
    assert_quoted("*", "'*'");
    assert_quoted("a\nb", "'a\nb'");
    assert_quoted("gr\xC3\xBC\xC3\x9F", "'gr\xC3\xBC\xC3\x9F'");
}

static void test_quote__takes_single_quotes_out_of_the_quotes(void **state)
{
    (void)state;
    assert_quoted("it's", "'it'\\''s'");
    assert_quoted("'", "''\\'''");
    assert_quoted("''x", "''\\'''\\''x'");
}

static void test_quote__joins_words_with_blanks(void **state)
{
    (void)state;
    char *text = quote_words((const char *const[]){"sh", "-c", "echo $1; exit 3", "", NULL});
    assert_string_equal(text, "sh -c 'echo $1; exit 3' ''");
    free(text);
}

/* What a shell makes of the word `c` with its neighbours. */
static void assert_survives(const char *word)
{
    char *text = quote_words((const char *const[]){"printf", "%s.", word, NULL});
    char got[64] = "", expected[64];
    FILE *shell = popen(text, "re");
    assert_non_null(shell);
    size_t n = fread(got, 1, sizeof got - 1, shell);
    got[n] = '\0';
    assert_int_equal(pclose(shell), 0);
    snprintf(expected, sizeof expected, "%s.", word);
    assert_string_equal(got, expected);
    free(text);
}

static void test_quote__survives_a_real_shell(void **state)
{
    (void)state;
    assert_survives("a'b\"c\\d");
    assert_survives("$(exit 3)`exit 3`${HOME}");
    assert_survives(" \t\n; & | < > ( ) # ! * ? [ ] { } ~ = % ^");
    assert_survives("");
    assert_survives("\x01\x7F\xFF");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quote__leaves_plain_words_alone),
        cmocka_unit_test(test_quote__puts_everything_else_into_single_quotes),
        cmocka_unit_test(test_quote__takes_single_quotes_out_of_the_quotes),
        cmocka_unit_test(test_quote__joins_words_with_blanks),
        cmocka_unit_test(test_quote__survives_a_real_shell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
