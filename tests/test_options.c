/* Command-line options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../src/options.c"

#define MAX_WORDS 2
#define MAX_ARGS 8

/* What a command "start" has understood. */
struct parsed {
    char args[MAX_ARGS][200]; /* its words; the other strings are parts of them */
    int result;
    struct err e;
    const char *task, *format, *words[MAX_WORDS];
    size_t n_words;
    bool help;
};

#define PARSE(p, ...) parse(p, (const char *const[]){__VA_ARGS__, NULL})

static void parse(struct parsed *p, const char *const *args)
{
    char *argv[MAX_ARGS];
    int argc = 0;
    memset(p, 0, sizeof *p);
    for (; args[argc]; argc++) {
        assert_true(argc < MAX_ARGS && strlen(args[argc]) < sizeof p->args[0]);
        argv[argc] = strcpy(p->args[argc], args[argc]);
    }
    const struct option_spec specs[] = {{"--task", &p->task, NULL},
                                        {"--format", &p->format, NULL},
                                        {"--help", NULL, &p->help},
                                        {"-h", NULL, &p->help}};
    struct options o = {.command = "start",
                        .specs = specs,
                        .n_specs = sizeof specs / sizeof *specs,
                        .positional = p->words,
                        .max_positional = MAX_WORDS};
    p->result = options_parse(&o, argc, argv, &p->e);
    p->n_words = o.n_positional;
}

static void assert_refused(const struct parsed *p, const char *message)
{
    assert_int_equal(p->result, -1);
    assert_string_equal(p->e.text, message);
}

static void test_options__nothing_is_fine(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, (const char *const[]){NULL});
    assert_int_equal(p.result, 0);
    assert_null(p.task);
    assert_false(p.help);
    assert_int_equal(p.n_words, 0);
}

static void test_options__values_follow_or_are_joined(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "--task", "0042-demo", "--format=json");
    assert_int_equal(p.result, 0);
    assert_string_equal(p.task, "0042-demo");
    assert_string_equal(p.format, "json");
    assert_int_equal(p.n_words, 0);
    assert_string_equal(p.e.text, "");
}

static void test_options__a_value_is_taken_as_it_is(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "--task=", "--format=a=b");
    assert_int_equal(p.result, 0);
    assert_string_equal(p.task, "");
    assert_string_equal(p.format, "a=b");
    PARSE(&p, "--task", "--format", "--format", "--");
    assert_int_equal(p.result, 0);
    assert_string_equal(p.task, "--format");
    assert_string_equal(p.format, "--");
}

static void test_options__the_last_of_a_repeated_option_wins(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "--task", "a", "--task=b", "--help", "-h");
    assert_int_equal(p.result, 0);
    assert_string_equal(p.task, "b");
    assert_true(p.help);
}

static void test_options__words_may_stand_anywhere(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "one", "--task", "t", "", "-h");
    assert_int_equal(p.result, 0);
    assert_int_equal(p.n_words, 2);
    assert_string_equal(p.words[0], "one");
    assert_string_equal(p.words[1], "");
    assert_true(p.help);
    PARSE(&p, "-");
    assert_int_equal(p.result, 0);
    assert_string_equal(p.words[0], "-");
}

static void test_options__behind_two_dashes_all_are_words(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "--help", "--", "--task", "--");
    assert_int_equal(p.result, 0);
    assert_true(p.help);
    assert_null(p.task);
    assert_int_equal(p.n_words, 2);
    assert_string_equal(p.words[0], "--task");
    assert_string_equal(p.words[1], "--");
}

static void test_options__unknown_ones_are_refused_with_the_nearest(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "--tsak", "x");
    assert_refused(&p, "Unknown start option: --tsak; did you mean --task?");
    PARSE(&p, "--formt=json");
    assert_refused(&p, "Unknown start option: --formt; did you mean --format?");
    PARSE(&p, "--Task=1");
    assert_refused(&p, "Unknown start option: --Task; did you mean --task?");
    PARSE(&p, "--verbose");
    assert_refused(&p, "Unknown start option: --verbose. See: codex-orchestrator help");
}

static void test_options__an_abbreviation_is_no_option(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "--tas=x");
    assert_refused(&p, "Unknown start option: --tas; did you mean --task?");
    PARSE(&p, "--taskx", "x");
    assert_refused(&p, "Unknown start option: --taskx; did you mean --task?");
    assert_null(p.task);
}

static void test_options__an_endless_unknown_option_is_shown_whole(void **state)
{
    (void)state;
    struct parsed p;
    char word[200], want[300];
    memset(word, 'x', sizeof word - 1);
    memcpy(word, "--", 2);
    word[sizeof word - 1] = '\0';
    PARSE(&p, word);
    snprintf(want, sizeof want, "Unknown start option: %s. See: codex-orchestrator help", word);
    assert_refused(&p, want);
}

static void test_options__a_missing_value_is_named(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "word", "--task");
    assert_refused(&p, "start: option --task needs a value");
}

static void test_options__a_flag_takes_no_value(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "--help=yes");
    assert_refused(&p, "start: option --help takes no value");
    PARSE(&p, "--help=");
    assert_refused(&p, "start: option --help takes no value");
}

static void test_options__a_word_too_many_is_named(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "one", "two", "three");
    assert_refused(&p, "start: unexpected argument 'three'");
    PARSE(&p, "one", "two", "--", "--three");
    assert_refused(&p, "start: unexpected argument '--three'");
}

static void test_options__nearest_word_is_a_slip_and_not_another_word(void **state)
{
    (void)state;
    const char *const names[] = {"start", "status", "resume", "plan", "exec", NULL};
    const char *const none[] = {NULL};
    static const char *const slips[][2] = {
        {"start", "start"}, {"strat", "start"}, {"statsu", "status"},  {"resum", "resume"},
        {"pln", "plan"},    {"exce", "exec"},   {"resuming", "resume"}};
    for (size_t i = 0; i < sizeof slips / sizeof *slips; i++)
        assert_string_equal(nearest_word(slips[i][0], names), slips[i][1]);
    assert_null(nearest_word("diagnostics", names));
    assert_null(nearest_word("xyz", names));
    assert_null(nearest_word("", names));
    assert_null(nearest_word("start", none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options__nothing_is_fine),
        cmocka_unit_test(test_options__values_follow_or_are_joined),
        cmocka_unit_test(test_options__a_value_is_taken_as_it_is),
        cmocka_unit_test(test_options__the_last_of_a_repeated_option_wins),
        cmocka_unit_test(test_options__words_may_stand_anywhere),
        cmocka_unit_test(test_options__behind_two_dashes_all_are_words),
        cmocka_unit_test(test_options__unknown_ones_are_refused_with_the_nearest),
        cmocka_unit_test(test_options__an_abbreviation_is_no_option),
        cmocka_unit_test(test_options__an_endless_unknown_option_is_shown_whole),
        cmocka_unit_test(test_options__a_missing_value_is_named),
        cmocka_unit_test(test_options__a_flag_takes_no_value),
        cmocka_unit_test(test_options__a_word_too_many_is_named),
        cmocka_unit_test(test_options__nearest_word_is_a_slip_and_not_another_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
