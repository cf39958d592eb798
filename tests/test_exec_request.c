/* The request to run a single command. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "exec_request.h"

#define NAME "CODEX_ORCHESTRATOR_EXEC_EVENT_MAX_CHUNKS"

static struct exec_request *request(const char *cwd, const char *const *argv)
{
    struct err e = {""};
    struct exec_request *x = exec_request_new(argv, cwd, 0, &e);
    if (!x)
        fail_msg("%s", e.text);
    return x;
}

static void test_exec_request__is_a_pipeline_of_one_quoted_command(void **state)
{
    (void)state;
    struct exec_request *x = request("sub", (const char *const[]){"sh", "-c", "exit 3", NULL});
    assert_string_equal(x->pipeline.id, "exec");
    assert_string_equal(x->pipeline.title, "CLI Exec Command");
    assert_int_equal(x->pipeline.n_stages, 1);
    assert_ptr_equal(x->pipeline.stages, &x->stage);
    assert_false(pipeline_guardrails_required(&x->pipeline));
    assert_string_equal(x->stage.id, "exec");
    assert_string_equal(x->stage.title, "Execute sh -c 'exit 3'");
    assert_string_equal(x->stage.command, "sh -c 'exit 3'");
    assert_string_equal(x->stage.cwd, "sub");
    assert_string_equal(x->argv[2], "exit 3");
    assert_null(x->argv[3]);
    assert_int_equal(x->max_chunks, 0);
    exec_request_free(x);
}

static void assert_refused(const char *cwd, const char *const *argv, const char *expected)
{
    struct err e = {""};
    assert_null(exec_request_new(argv, cwd, 0, &e));
    assert_string_equal(e.text, expected);
}

static void test_exec_request__refuses_what_could_not_be_recorded_as_it_is(void **state)
{
    (void)state;
    assert_refused(NULL, (const char *const[]){NULL}, "exec requires a command to run");
    assert_refused(NULL, (const char *const[]){"cat", "gr\xFC\xDF", NULL},
                   "exec: word 2 of the command is not UTF-8");
    assert_refused("\xFF", (const char *const[]){"ls", NULL},
                   "exec: the name of the folder is not UTF-8");
    char long_word[2000];
    memset(long_word, '"', sizeof long_word);
    memcpy(long_word + sizeof long_word - 3, "\xC3\xBC", 3); /* and its NUL */
    exec_request_free(request(NULL, (const char *const[]){long_word, NULL}));
}

static void test_exec_request__reads_how_many_chunks_the_record_keeps(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned long max;
    } good[] = {{"", 0}, {"0", 0}, {"2", 2}, {"4000000000", 4000000000}};
    const char *const argv[] = {"ls", NULL};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        setenv(NAME, good[i].text, 1);
        struct exec_request *x = request(NULL, argv);
        assert_int_equal(x->max_chunks, good[i].max);
        exec_request_free(x);
    }
    setenv(NAME, "-1", 1);
    assert_refused(NULL, argv, NAME " is \"-1\": not a number from 0");
    setenv(NAME, "2x", 1);
    assert_refused(NULL, argv, NAME " is \"2x\": not a number from 0");
    unsetenv(NAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exec_request__is_a_pipeline_of_one_quoted_command),
        cmocka_unit_test(test_exec_request__refuses_what_could_not_be_recorded_as_it_is),
        cmocka_unit_test(test_exec_request__reads_how_many_chunks_the_record_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
