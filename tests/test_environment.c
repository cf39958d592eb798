/* Environments as data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "environment.h"

/* Variables as execve takes them. */
static char *const base[] = {(char[]){"HOME=/root"}, (char[]){"PATH=/bin"}, (char[]){"A=1"}, NULL};

static void assert_env(char *const *env, const char *const *want)
{
    size_t n = 0;
    for (; want[n]; n++) {
        assert_non_null(env[n]);
        assert_string_equal(env[n], want[n]);
    }
    assert_null(env[n]);
}

static void test_environment__copies_and_sets(void **state)
{
    (void)state;
    const struct env_var set[] = {{"PATH", "/usr/bin"}, {"NEW", "a=b"}, {"EMPTY", ""}};
    const char *const want[] = {"HOME=/root", "A=1", "PATH=/usr/bin", "NEW=a=b", "EMPTY=", NULL};
    char **env = environment_new(base, set, 3);
    assert_env(env, want);
    assert_ptr_not_equal(env[0], base[0]);
    assert_string_equal(base[1], "PATH=/bin");
    environment_free(env);
}

static void test_environment__of_nothing_is_empty(void **state)
{
    (void)state;
    char *const none[] = {NULL};
    char **env = environment_new(NULL, NULL, 0);
    assert_null(env[0]);
    environment_free(env);
    env = environment_new(none, NULL, 0);
    assert_null(env[0]);
    environment_free(env);
    environment_free(NULL);
}

static void test_environment__a_set_variable_replaces_every_one_of_its_name(void **state)
{
    (void)state;
    char *const twice[] = {(char[]){"A=1"}, (char[]){"AB=2"}, (char[]){"A=3"}, NULL};
    const struct env_var set[] = {{"A", "4"}};
    const char *const want[] = {"AB=2", "A=4", NULL};
    char **env = environment_new(twice, set, 1);
    assert_env(env, want);
    environment_free(env);
}

static void test_environment__merge_replaces_and_follows(void **state)
{
    (void)state;
    char *const extra[] = {(char[]){"PATH=/opt"}, (char[]){"B=2"}, NULL};
    const char *const want[] = {"HOME=/root", "A=1", "PATH=/opt", "B=2", NULL};
    char **env = environment_merge(base, extra);
    assert_env(env, want);
    assert_ptr_equal(env[0], base[0]);
    assert_ptr_equal(env[3], extra[1]);
    free(env);
}

static void test_environment__merge_with_nothing_is_the_same(void **state)
{
    (void)state;
    const char *const want[] = {"HOME=/root", "PATH=/bin", "A=1", NULL};
    char **env = environment_merge(base, NULL);
    assert_env(env, want);
    free(env);
}

static void test_environment__the_last_of_equal_names_wins(void **state)
{
    (void)state;
    char *const twice[] = {(char[]){"A=1"}, (char[]){"B=1"}, (char[]){"A=2"}, NULL};
    char *const extra[] = {(char[]){"A=3"}, (char[]){"C=1"}, (char[]){"A=4"}, NULL};
    const char *const want[] = {"B=1", "C=1", "A=4", NULL};
    char **env = environment_merge(twice, extra);
    assert_env(env, want);
    free(env);
}

static void test_environment__names_are_compared_whole(void **state)
{
    (void)state;
    char *const short_names[] = {(char[]){"A=1"}, (char[]){"ABC=1"}, (char[]){"a=1"}, NULL};
    char *const extra[] = {(char[]){"AB=2"}, NULL};
    const char *const want[] = {"A=1", "ABC=1", "a=1", "AB=2", NULL};
    char **env = environment_merge(short_names, extra);
    assert_env(env, want);
    free(env);
    const struct env_var set[] = {{"AB", "2"}};
    env = environment_new(short_names, set, 1);
    assert_env(env, want);
    environment_free(env);
}

static void test_environment__says_yes_in_four_words(void **state)
{
    (void)state;
    static const char *const yes[] = {"1", "true", "TRUE", "on", "On", "yes", "YeS"};
    static const char *const no[] = {"", "0", "2", "11", "false", "off", "no", "y", "yes ", " 1"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        setenv("CORCH_TEST_FLAG", yes[i], 1);
        assert_true(environment_says_yes("CORCH_TEST_FLAG"));
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        setenv("CORCH_TEST_FLAG", no[i], 1);
        assert_false(environment_says_yes("CORCH_TEST_FLAG"));
    }
    unsetenv("CORCH_TEST_FLAG");
    assert_false(environment_says_yes("CORCH_TEST_FLAG"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment__copies_and_sets),
        cmocka_unit_test(test_environment__of_nothing_is_empty),
        cmocka_unit_test(test_environment__a_set_variable_replaces_every_one_of_its_name),
        cmocka_unit_test(test_environment__merge_replaces_and_follows),
        cmocka_unit_test(test_environment__merge_with_nothing_is_the_same),
        cmocka_unit_test(test_environment__the_last_of_equal_names_wins),
        cmocka_unit_test(test_environment__names_are_compared_whole),
        cmocka_unit_test(test_environment__says_yes_in_four_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
