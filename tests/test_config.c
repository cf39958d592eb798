/* codex.orchestrator.json: what is read, what is refused and where, what is warned of. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bounds.h"
#include "buf.h"
#include "config.h"
#include "tmpdir.h"

/* Each '@' in a test's text marks the place behind it: it is taken out before the text is read. */
static struct {
    unsigned line, column;
} marks[16];

static char *unmarked(const char *text)
{
    char *plain = calloc(strlen(text) + 1, 1), *to = plain;
    unsigned line = 1, column = 1;
    size_t n = 0;
    assert_non_null(plain);
    for (; *text; text++) {
        if (*text == '@') {
            assert_true(n < sizeof marks / sizeof *marks);
            marks[n].line = line;
            marks[n++].column = column;
            continue;
        }
        *to++ = *text;
        column = *text == '\n' ? 1 : column + 1;
        line += *text == '\n';
    }
    return plain;
}

static struct config parsed(const char *marked)
{
    char *text = unmarked(marked);
    struct config c;
    struct err e = {""};
    int result = config_parse(text, strlen(text), "c.json", &c, &e);
    if (result != 0)
        print_error("%s\n", e.text);
    assert_int_equal(result, 0);
    free(text);
    return c;
}

static void assert_message(const char *text, size_t mark, const char *message)
{
    char want[1024];
    snprintf(want, sizeof want, "c.json:%u:%u: %s", marks[mark].line, marks[mark].column, message);
    assert_string_equal(text, want);
}

/* The text is refused with that message, about what is marked. */
static void refused(const char *marked, const char *message)
{
    char *text = unmarked(marked);
    struct config c;
    struct err e = {""};
    errno = 0;
    assert_int_equal(config_parse(text, strlen(text), "c.json", &c, &e), -1);
    assert_message(e.text, 0, message);
    assert_int_equal(errno, EINVAL);
    free(text);
}

/* The warning at `index` is that message, about what the mark of that number marks. */
static void warned(const struct config *c, size_t index, size_t mark, const char *message)
{
    assert_non_null(c->warnings);
    for (size_t i = 0; i <= index; i++)
        assert_non_null(c->warnings[i]);
    assert_message(c->warnings[index], mark, message);
}

/* The text, taken as it is, is refused with exactly that message. */
static void refused_as_is(const char *text, size_t len, const char *message)
{
    struct config c;
    struct err e = {""};
    assert_int_equal(config_parse(text, len, "c.json", &c, &e), -1);
    assert_string_equal(e.text, message);
}

/* A pipeline "p" whose only stage is `stage`; or a command with `more` members. */
#define ONE_STAGE(stage) "{\"pipelines\":[{\"id\":\"p\",\"stages\":[" stage "]}]}"
#define COMMAND(more) ONE_STAGE("{\"kind\":\"command\",\"id\":\"a\",\"command\":\"x\"" more "}")

static void test_config__reads_every_field(void **state)
{
    (void)state;
    struct config c = parsed(
        "{\"$schema\":\"s\",\"runtimeMode\":\"cli\",\"defaultPipeline\":\"p\",\"pipelines\":[{"
        "\"id\":\"p\",\"title\":\"P\",\"description\":\"d\",\"guardrailsRequired\":false,"
        "\"tags\":[1],\"metadata\":{},\"stages\":[{\"kind\":\"command\",\"id\":\"a\","
        "\"title\":\"A\",\"command\":\"make\",\"cwd\":\"sub\",\"env\":{\"B\":\"2\",\"A\":\"1=1\"},"
        "\"allowFailure\":true,\"summaryHint\":\"h\","
        "\"session\":{\"id\":\"s\",\"persist\":true,\"reuse\":false},"
        "\"plan\":{\"aliases\":[\"x\",7,true],\"runnable\":false,\"primary\":true,"
        "\"requiresCloud\":true,\"requires_cloud\":false,\"executionMode\":\"m1\"},"
        "\"requires_cloud\":false,\"requiresCloud\":true,\"executionMode\":\"m2\","
        "\"execution_mode\":\"m3\",\"mode\":\"m4\",\"cloudEnvId\":\"e\",\"cloud_env_id\":\"e\"},"
        "{\"kind\":\"subpipeline\",\"id\":\"b\",\"pipeline\":\"q\",\"optional\":true}]}]}");
    assert_null(c.warnings);
    assert_string_equal(c.default_pipeline, "p");
    assert_int_equal(c.n_pipelines, 1);
    const struct pipeline *p = &c.pipelines[0];
    assert_string_equal(p->id, "p");
    assert_string_equal(p->title, "P");
    assert_string_equal(p->description, "d");
    assert_int_equal(p->guardrails_required, FLAG_FALSE);
    assert_false(p->builtin);
    assert_int_equal(p->n_stages, 2);

    const struct stage *a = &p->stages[0];
    assert_int_equal(a->kind, STAGE_COMMAND);
    assert_string_equal(a->id, "a");
    assert_string_equal(a->title, "A");
    assert_string_equal(a->command, "make");
    assert_string_equal(a->cwd, "sub");
    assert_string_equal(a->env[0], "B=2");
    assert_string_equal(a->env[1], "A=1=1");
    assert_null(a->env[2]);
    assert_true(a->allow_failure);
    assert_string_equal(a->summary_hint, "h");
    assert_string_equal(a->session_id, "s");
    assert_true(a->session_persist);
    assert_int_equal(a->session_reuse, FLAG_FALSE);
    assert_string_equal(a->plan.aliases[0], "x");
    assert_string_equal(a->plan.aliases[1], "7");
    assert_string_equal(a->plan.aliases[2], "true");
    assert_null(a->plan.aliases[3]);
    assert_int_equal(a->plan.runnable, FLAG_FALSE);
    assert_int_equal(a->plan.default_target, FLAG_TRUE);
    assert_int_equal(a->plan.plan_requiresCloud, FLAG_TRUE);
    assert_int_equal(a->plan.plan_requires_cloud, FLAG_FALSE);
    assert_int_equal(a->plan.stage_requires_cloud, FLAG_FALSE);
    assert_int_equal(a->plan.stage_requiresCloud, FLAG_TRUE);
    assert_string_equal(a->plan.plan_executionMode, "m1");
    assert_string_equal(a->plan.stage_executionMode, "m2");
    assert_string_equal(a->plan.stage_execution_mode, "m3");
    assert_string_equal(a->plan.stage_mode, "m4");

    const struct stage *b = &p->stages[1];
    assert_int_equal(b->kind, STAGE_SUBPIPELINE);
    assert_string_equal(b->pipeline, "q");
    assert_true(b->optional);
    assert_null(b->command);
    config_release(&c);
}

static void test_config__absent_and_null_fields_have_defaults(void **state)
{
    (void)state;
    struct config c = parsed("{\"defaultPipeline\":null,\"stageSets\":null,\"pipelines\":[{\"id\":"
                             "\"p\",\"title\":null,\"guardrailsRequired\":null,\"stages\":[{"
                             "\"kind\":\"command\",\"id\":\"a\",\"command\":\"x\",\"title\":\"\","
                             "\"env\":null,\"cwd\":null,\"session\":null,\"plan\":{\"aliases\":"
                             "null,\"defaultTarget\":null},\"requires_cloud\":null}]}]}");
    const struct stage *a = &c.pipelines[0].stages[0];
    assert_null(c.warnings);
    assert_null(c.default_pipeline);
    assert_string_equal(c.pipelines[0].title, "p");
    assert_null(c.pipelines[0].description);
    assert_int_equal(c.pipelines[0].guardrails_required, FLAG_UNSET);
    assert_string_equal(a->title, "a");
    assert_null(a->env);
    assert_null(a->cwd);
    assert_null(a->summary_hint);
    assert_null(a->session_id);
    assert_false(a->session_persist);
    assert_int_equal(a->session_reuse, FLAG_UNSET);
    assert_false(a->allow_failure);
    assert_null(a->plan.aliases);
    assert_int_equal(a->plan.runnable, FLAG_UNSET);
    assert_int_equal(a->plan.default_target, FLAG_UNSET);
    assert_int_equal(a->plan.plan_requiresCloud, FLAG_UNSET);
    assert_int_equal(a->plan.plan_requires_cloud, FLAG_UNSET);
    assert_int_equal(a->plan.stage_requires_cloud, FLAG_UNSET);
    assert_int_equal(a->plan.stage_requiresCloud, FLAG_UNSET);
    assert_null(a->plan.plan_executionMode);
    config_release(&c);
}

static void test_config__first_spelling_of_the_default_target_counts(void **state)
{
    (void)state;
    struct config c =
        parsed(COMMAND(",\"plan\":{\"primary\":true,\"default\":false,\"defaultTarget\":null}"));
    assert_int_equal(c.pipelines[0].stages[0].plan.default_target, FLAG_FALSE);
    config_release(&c);
}

static void test_config__wrong_types_are_refused_with_their_place(void **state)
{
    (void)state;
    refused("@[]", "must be an object");
    refused("{\"pipelines\":@{}}", "pipelines: must be an array");
    refused("{\"pipelines\":[@1]}", "pipelines[0]: must be an object");
    refused("{\"defaultPipeline\":@1}", "defaultPipeline: must be a string");
    refused("{\"defaultPipeline\":@\"\"}", "defaultPipeline: must not be empty");
    refused("{\"pipelines\":[{\"id\":@7}]}", "pipelines[0].id: must be a string");
    refused("{\"pipelines\":[{\"id\":\"p\",\"stages\":@{}}]}",
            "pipelines[0].stages: must be an array");
    refused("{\"pipelines\":[{\"id\":\"p\",\"title\":@1}]}",
            "pipelines[0].title: must be a string");
    refused("{\"pipelines\":[{\"id\":\"p\",\"guardrailsRequired\":@\"yes\"}]}",
            "pipelines[0].guardrailsRequired: must be true or false");
    refused(ONE_STAGE("@null"), "pipelines[0].stages[0]: must be an object");
    refused(COMMAND(",\"cwd\":@[]"), "pipelines[0].stages[0].cwd: must be a string");
    refused(COMMAND(",\"allowFailure\":@1"),
            "pipelines[0].stages[0].allowFailure: must be true or false");
    refused(COMMAND(",\"summaryHint\":@1"), "pipelines[0].stages[0].summaryHint: must be a string");
    refused(COMMAND(",\"session\":@\"s\""), "pipelines[0].stages[0].session: must be an object");
    refused(COMMAND(",\"session\":{\"reuse\":@0}"),
            "pipelines[0].stages[0].session.reuse: must be true or false");
    refused(COMMAND(",\"plan\":@[]"), "pipelines[0].stages[0].plan: must be an object");
    refused(COMMAND(",\"plan\":{\"aliases\":@\"a\"}"),
            "pipelines[0].stages[0].plan.aliases: must be an array");
    refused(COMMAND(",\"plan\":{\"aliases\":[\"a\", @{}]}"),
            "pipelines[0].stages[0].plan.aliases[1]: must be a string");
    refused(COMMAND(",\"plan\":{\"default\":@\"yes\"}"),
            "pipelines[0].stages[0].plan.default: must be true or false");
    refused(COMMAND(",\"plan\":{\"runnable\":@\"no\"}"),
            "pipelines[0].stages[0].plan.runnable: must be true or false");
}

static void test_config__place_counts_lines_and_characters(void **state)
{
    (void)state;
    static const char text[] =
        "\xEF\xBB\xBF{\n \"pipelines\": [\n  {\"id\": \"\xC3\xBC\", \"stages\": [\n"
        "   {\"kind\": \"command\", \"id\": \"a\\\"{[\", \"command\": \"x\"},\n"
        "   {\"id\": \"\xE2\x82\xAC\", \"kind\": \"command\", \"command\": 5}]}]}";
    refused_as_is(text, sizeof text - 1,
                  "c.json:5:46: pipelines[0].stages[1].command: must be a string");
}

static void test_config__missing_and_empty_names_are_refused(void **state)
{
    (void)state;
    refused("{\"pipelines\":[@{\"stages\":[]}]}", "pipelines[0]: id is missing");
    refused("{\"pipelines\":[{\"id\":@\"\"}]}", "pipelines[0].id: must not be empty");
    refused("{\"pipelines\":[@{\"id\":\"p\"}]}", "pipelines[0]: stages is missing");
    refused("{\"pipelines\":[{\"id\":\"p\",\"stages\":@[]}]}",
            "pipelines[0].stages: must hold at least one stage");
    refused(ONE_STAGE("@{\"id\":\"a\"}"), "pipelines[0].stages[0]: kind is missing");
    refused(ONE_STAGE("{\"kind\":@\"job\"}"),
            "pipelines[0].stages[0].kind: must be \"command\", \"subpipeline\" or "
            "\"stage-set\"");
    refused(ONE_STAGE("@{\"kind\":\"command\"}"), "pipelines[0].stages[0]: id is missing");
    refused(ONE_STAGE("{\"kind\":\"command\",\"id\":@\"\"}"),
            "pipelines[0].stages[0].id: must not be empty");
    refused(ONE_STAGE("@{\"kind\":\"command\",\"id\":\"a\"}"),
            "pipelines[0].stages[0]: command is missing");
    refused(ONE_STAGE("{\"kind\":\"command\",\"id\":\"a\",\"command\":@\"\"}"),
            "pipelines[0].stages[0].command: must not be empty");
    refused(ONE_STAGE("@{\"kind\":\"command\",\"id\":\"a\",\"command\":null}"),
            "pipelines[0].stages[0]: command is missing");
    refused(ONE_STAGE("@{\"kind\":\"subpipeline\",\"id\":\"a\"}"),
            "pipelines[0].stages[0]: pipeline is missing");
    refused(ONE_STAGE("{\"kind\":\"subpipeline\",\"id\":\"a\",\"pipeline\":@\"\"}"),
            "pipelines[0].stages[0].pipeline: must not be empty");
}

static void test_config__environment_is_checked(void **state)
{
    (void)state;
    refused(COMMAND(",\"env\":@[]"), "pipelines[0].stages[0].env: must be an object");
    refused(COMMAND(",\"env\":{\"A\":@1}"), "pipelines[0].stages[0].env.A: must be a string");
    refused(COMMAND(",\"env\":{\"A\":@null}"), "pipelines[0].stages[0].env.A: must be a string");
    refused(COMMAND(",\"env\":{\"\":@\"1\"}"),
            "pipelines[0].stages[0].env.: the name of a variable must not be empty");
    refused(COMMAND(",\"env\":{\"A=B\":@\"1\"}"),
            "pipelines[0].stages[0].env.A=B: the name of a variable must not hold "
            "'='");
}

static void test_config__key_given_twice_is_warned_of_and_the_last_counts(void **state)
{
    (void)state;
    struct config c =
        parsed(COMMAND(",\"env\":{\"A\":\"1\",\"B\":\"2\",\"A\":@\"3\"},\"command\":@\"y\""));
    const struct stage *a = &c.pipelines[0].stages[0];
    assert_string_equal(a->command, "y");
    assert_string_equal(a->env[0], "B=2");
    assert_string_equal(a->env[1], "A=3");
    assert_null(a->env[2]);
    warned(&c, 0, 1,
           "pipelines[0].stages[0].command: given twice, only this one "
           "counts");
    warned(&c, 1, 0, "pipelines[0].stages[0].env.A: given twice, only this one counts");
    assert_null(c.warnings[2]);
    config_release(&c);
}

static void test_config__unknown_keys_are_warned_of(void **state)
{
    (void)state;
    struct config c =
        parsed("{\"jobs\":@4,\n\"pools\":@{},\n\"pipelines\":[{\"id\":\"p\",\"jobs\":@2,"
               "\n\"stages\":[{\"kind\":\"command\",\"id\":\"a\",\"command\":\"x\","
               "\n\"needs\":@[],\n\"session\":{\"ttl\":@1},\n\"plan\":{\"jobs\":@1}},"
               "\n{\"kind\":\"subpipeline\",\"id\":\"b\",\"pipeline\":\"q\","
               "\n\"command\":@\"x\"}]}]}");
    warned(&c, 0, 0, "jobs: unknown key, ignored");
    warned(&c, 1, 1, "pools: unknown key, ignored");
    warned(&c, 2, 2, "pipelines[0].jobs: unknown key, ignored");
    warned(&c, 3, 3, "pipelines[0].stages[0].needs: unknown key, ignored");
    warned(&c, 4, 5, "pipelines[0].stages[0].plan.jobs: unknown key, ignored");
    warned(&c, 5, 4, "pipelines[0].stages[0].session.ttl: unknown key, ignored");
    warned(&c, 6, 6, "pipelines[0].stages[1].command: unknown key, ignored");
    assert_null(c.warnings[7]);
    config_release(&c);
}

static void test_config__mode_hints_of_other_types_are_ignored(void **state)
{
    (void)state;
    struct config c = parsed(COMMAND(",\"mode\":1,\"executionMode\":{},\"requires_cloud\":@\"yes\","
                                     "\"plan\":{\"executionMode\":[],\"requiresCloud\":@1}"));
    const struct plan_hints *h = &c.pipelines[0].stages[0].plan;
    assert_null(h->stage_mode);
    assert_null(h->stage_executionMode);
    assert_null(h->plan_executionMode);
    assert_int_equal(h->stage_requires_cloud, FLAG_UNSET);
    assert_int_equal(h->plan_requiresCloud, FLAG_UNSET);
    warned(&c, 0, 0,
           "pipelines[0].stages[0].requires_cloud: neither true nor false, "
           "ignored");
    warned(&c, 1, 1,
           "pipelines[0].stages[0].plan.requiresCloud: neither true nor "
           "false, ignored");
    assert_null(c.warnings[2]);
    config_release(&c);
}

static void test_config__warnings_beyond_the_limit_are_counted(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    char last[64];
    buf_addstr(&text, "{\"key0\":0");
    for (size_t i = 1; i < CONFIG_WARNINGS + 5; i++)
        buf_addf(&text, ",\"key%zu\":%s0", i, i == CONFIG_WARNINGS - 1 ? "@" : "");
    snprintf(last, sizeof last, "key%zu: unknown key, ignored", CONFIG_WARNINGS - 1);
    buf_addstr(&text, "}");
    struct config c = parsed(text.data);
    warned(&c, CONFIG_WARNINGS - 1, 0, last);
    assert_string_equal(c.warnings[CONFIG_WARNINGS], "c.json: 5 more warnings");
    assert_null(c.warnings[CONFIG_WARNINGS + 1]);
    config_release(&c);
    buf_release(&text);
}

#define SET "{\"kind\":\"command\",\"id\":\"s1\",\"command\":\"1\"}"

static void test_config__stage_sets_are_expanded_in_place(void **state)
{
    (void)state;
    struct config c = parsed(
        "{\"stageSets\":{\"empty\":[],\"common\":[" SET ",{\"kind\":\"subpipeline\",\"id\":\"s2\","
        "\"pipeline\":\"z\",\"odd\":@1}]},\"pipelines\":["
        "{\"id\":\"p\",\"stages\":[{\"kind\":\"command\",\"id\":\"a\",\"command\":\"x\"},"
        "{\"kind\":\"stage-set\",\"ref\":\"common\",\"id\":\"i\",\"title\":\"t\"},"
        "{\"kind\":\"stage-set\",\"ref\":\"empty\"},"
        "{\"kind\":\"command\",\"id\":\"b\",\"command\":\"y\"}]},"
        "{\"id\":\"q\",\"stages\":[{\"kind\":\"stage-set\",\"ref\":\"common\"}]}]}");
    assert_int_equal(c.pipelines[0].n_stages, 4);
    assert_string_equal(c.pipelines[0].stages[0].id, "a");
    assert_string_equal(c.pipelines[0].stages[1].id, "s1");
    assert_string_equal(c.pipelines[0].stages[2].pipeline, "z");
    assert_string_equal(c.pipelines[0].stages[3].id, "b");
    assert_int_equal(c.pipelines[1].n_stages, 2);
    assert_string_equal(c.pipelines[1].stages[0].id, "s1");
    warned(&c, 0, 0, "stageSets.common[1].odd: unknown key, ignored");
    assert_null(c.warnings[1]); /* once, however often the set is used */
    config_release(&c);
}

static void test_config__faulty_stage_sets_are_refused(void **state)
{
    (void)state;
    refused("{\"stageSets\":@[]}", "stageSets: must be an object of stage arrays");
    refused("{\"stageSets\":{\"s\":@{}}}", "stageSets.s: must be an array");
    refused("{\"stageSets\":{\"s\":[@{\"kind\":\"stage-set\",\"ref\":\"s\"}]}}",
            "stageSets.s[0]: a stage set can't include stage-set references");
    refused("{\"stageSets\":{\"unused\":[@{\"kind\":\"command\",\"id\":\"a\"}]}}",
            "stageSets.unused[0]: command is missing");
    refused(ONE_STAGE("@{\"kind\":\"stage-set\"}"), "pipelines[0].stages[0]: ref is missing");
    refused(ONE_STAGE("{\"kind\":\"stage-set\",\"ref\":@1}"),
            "pipelines[0].stages[0].ref: must be a string");
    refused(ONE_STAGE("{\"kind\":\"stage-set\",\"ref\":@\"x\"}"),
            "pipelines[0].stages[0].ref: Pipeline \"p\" references unknown stage set "
            "\"x\"");
    refused("{\"stageSets\":{\"s\":[]},\"pipelines\":[{\"id\":\"p\",\"stages\":@[{\"kind\":"
            "\"stage-set\",\"ref\":\"s\"}]}]}",
            "pipelines[0].stages: must hold at least one stage");
}

#define P(id, sub)                                                                              \
    "{\"id\":\"" id "\",\"stages\":[{\"kind\":\"subpipeline\",\"id\":\"s\",\"pipeline\":\"" sub \
    "\"}]}"

static void test_config__ids_given_twice(void **state)
{
    (void)state;
    refused("{\"pipelines\":[" P("p", "x") "," P("o", "x") ","
                                                           "{\"id\":@\"p\",\"stages\":[" SET "]}]}",
            "pipelines[2].id: another pipeline has the id \"p\"");
    struct config c =
        parsed(ONE_STAGE(SET ",{\"kind\":\"command\",\"id\":@\"s1\",\"command\":\"1\"}"));
    warned(&c, 0, 0,
           "pipelines[0].stages[1].id: pipeline \"p\" has another stage "
           "\"s1\"");
    assert_null(c.warnings[1]);
    config_release(&c);
}

static void test_config__subpipeline_cycles_are_refused(void **state)
{
    (void)state;
    refused("{\"pipelines\":[@" P("a", "a") "]}", "pipelines[0]: subpipeline cycle: a -> a");
    refused("{\"pipelines\":[@" P("a", "b") "," P("b", "a") "]}",
            "pipelines[0]: subpipeline cycle: a -> b -> a");
    refused("{\"pipelines\":[" P("x", "b") "," P("a", "c") ",@" P("b", "a") "," P("c", "b") "]}",
            "pipelines[2]: subpipeline cycle: b -> a -> c -> b");
}

static void test_config__pipeline_used_twice_is_no_cycle(void **state)
{
    (void)state;
    struct config c = parsed("{\"pipelines\":[{\"id\":\"a\",\"stages\":["
                             "{\"kind\":\"subpipeline\",\"id\":\"1\",\"pipeline\":\"b\"},"
                             "{\"kind\":\"subpipeline\",\"id\":\"2\",\"pipeline\":\"c\"},"
                             "{\"kind\":\"subpipeline\",\"id\":\"3\",\"pipeline\":\"b\"}]}," P(
                                 "b", "c") "," P("c", "nowhere") "]}");
    assert_int_equal(c.n_pipelines, 3);
    config_release(&c);
}

static void test_config__long_chain_of_subpipelines_loads(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    buf_addstr(&text, "{\"pipelines\":[");
    for (int i = 0; i < 100000; i++)
        buf_addf(&text, P("p%d", "p%d") ",", i, i + 1);
    buf_addstr(&text, P("p100000", "end") "]}");
    struct config c = parsed(text.data);
    assert_int_equal(c.n_pipelines, 100001);
    config_release(&c);
    buf_release(&text);
}

static void test_config__many_stages_load(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    buf_addstr(&text, "{\"pipelines\":[{\"id\":\"p\",\"stages\":[");
    for (int i = 0; i < 10000; i++)
        buf_addf(&text, "%s{\"kind\":\"command\",\"id\":\"s%d\",\"command\":\"x\",\"odd\":1}",
                 i ? "," : "", i);
    buf_addstr(&text, "]}]}");
    struct config c = parsed(text.data);
    assert_int_equal(c.pipelines[0].n_stages, 10000);
    assert_string_equal(c.pipelines[0].stages[9999].id, "s9999");
    assert_string_equal(c.warnings[CONFIG_WARNINGS], "c.json: 9980 more warnings");
    config_release(&c);
    buf_release(&text);
}

static void test_config__deep_nesting_is_refused(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    struct config c;
    struct err e = {""};
    for (int i = 0; i < 100000; i++)
        buf_addch(&text, '[');
    assert_int_equal(config_parse(text.data, text.len, "c.json", &c, &e), -1);
    assert_string_equal(e.text, "c.json:1:1001: not valid JSON");
    buf_release(&text);
}

static void test_config__text_that_would_be_corrupted_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len; /* 0: strlen */
        const char *message;
    } cases[] = {
        {"{\n \"a\\\\u0000\": \"\\u0000\"}", 0, "c.json:2:15: a string can't hold \\u0000"},
        {"{\"a\\u0000b\":1}", 0, "c.json:1:4: a string can't hold \\u0000"},
        {"{\"a\":\"\xC3\xA9\xFF\"}", 0, "c.json:1:8: not UTF-8"},
        {"{\"a\":\"\xC0\xAF\"}", 0, "c.json:1:7: not UTF-8"},
        {"{\"a\":\"\xE0\x9F\xBF\"}", 0, "c.json:1:7: not UTF-8"},
        {"{\"a\":\"\xED\xA0\x80\"}", 0, "c.json:1:7: not UTF-8"},
        {"{\"a\":\"\xF0\x8F\xBF\xBF\"}", 0, "c.json:1:7: not UTF-8"},
        {"{\"a\":\"\xF4\x90\x80\x80\"}", 0, "c.json:1:7: not UTF-8"},
        {"{\"a\":\"\xE2\x82\"}", 0, "c.json:1:7: not UTF-8"},
        {"{\"a\":\"x\ny\"}", 0, "c.json:1:8: a control character that is not escaped"},
        {"{\"a\":\"x\0y\"}", 11, "c.json:1:8: a control character that is not escaped"},
        {"{\"a\":\0 1}", 9, "c.json:1:6: a control character that is not escaped"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused_as_is(cases[i].text, cases[i].len ? cases[i].len : strlen(cases[i].text),
                      cases[i].message);
}

static void test_config__escaped_backslash_before_u0000_is_text(void **state)
{
    (void)state;
    struct config c = parsed(COMMAND(",\"cwd\":\"\\\\u0000 \\u0001 \xF0\x9F\x8E\x89\""));
    assert_string_equal(c.pipelines[0].stages[0].cwd, "\\u0000 \x01 \xF0\x9F\x8E\x89");
    config_release(&c);
}

static void test_config__messages_stay_on_one_line(void **state)
{
    (void)state;
    refused(COMMAND(",\"env\":{\"A\\n\\u001b[31m\":@1}"),
            "pipelines[0].stages[0].env.A??[31m: must be a string");
}

static void test_config__syntax_errors_have_a_place(void **state)
{
    (void)state;
    refused("{\"pipelines\":\n [@,]}", "not valid JSON");
    refused("@", "not valid JSON");
    refused("{} @{}", "not valid JSON (more text after the document)");
}

static void test_config__builtin_pipeline_is_diagnostics(void **state)
{
    (void)state;
    static const char *const want[][3] = {
        {"build", "npm run build", "npm run build"},
        {"lint", "npm run lint", "npm run lint"},
        {"test", "npm run test", "npm run test"},
        {"spec-guard", "Run spec guard", "node scripts/spec-guard.mjs --dry-run"}};
    struct config c = parsed("{}");
    const struct pipeline *p = config_pipeline(&c, NULL);
    assert_ptr_equal(p, config_pipeline(&c, "diagnostics"));
    assert_ptr_equal(p, &c.builtin);
    assert_true(p->builtin);
    assert_string_equal(p->title, "Diagnostics Pipeline");
    assert_null(p->description);
    assert_int_equal(p->guardrails_required, FLAG_UNSET);
    assert_true(pipeline_guardrails_required(p));
    assert_int_equal(p->n_stages, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(p->stages[i].kind, STAGE_COMMAND);
        assert_string_equal(p->stages[i].id, want[i][0]);
        assert_string_equal(p->stages[i].title, want[i][1]);
        assert_string_equal(p->stages[i].command, want[i][2]);
    }
    config_release(&c);
}

static void test_config__pipeline_is_found_by_id_or_default(void **state)
{
    (void)state;
    struct config c = parsed("{\"defaultPipeline\":\"b\",\"pipelines\":[" P("a", "x") "," P(
        "b", "x") "," P("diagnostics", "x") "]}");
    assert_ptr_equal(config_pipeline(&c, NULL), &c.pipelines[1]);
    assert_ptr_equal(config_pipeline(&c, "a"), &c.pipelines[0]);
    assert_ptr_equal(config_pipeline(&c, "diagnostics"), &c.pipelines[2]);
    assert_null(config_pipeline(&c, "A"));
    config_release(&c);
    c = parsed("{\"defaultPipeline\":\"nowhere\"}");
    assert_null(config_pipeline(&c, NULL));
    config_release(&c);
}

static void test_config__guardrails_are_required_unless_switched_off(void **state)
{
    (void)state;
    struct config c = parsed("{\"pipelines\":[{\"id\":\"off\",\"guardrailsRequired\":false,"
                             "\"stages\":[{\"kind\":\"command\",\"id\":\"spec-guard\","
                             "\"command\":\"x\"}]},"
                             "{\"id\":\"on\",\"guardrailsRequired\":true,\"stages\":[" SET "]},"
                             "{\"id\":\"unsaid\",\"stages\":[" SET "]}]}");
    assert_false(pipeline_guardrails_required(&c.pipelines[0]));
    assert_true(pipeline_guardrails_required(&c.pipelines[1]));
    assert_true(pipeline_guardrails_required(&c.pipelines[2]));
    config_release(&c);
}

static void test_config__guardrail_is_mentioned_in_any_text_and_case(void **state)
{
    (void)state;
    assert_true(mentions_guardrail("a-SPEC-Guard-b", NULL, NULL));
    assert_true(mentions_guardrail("a", "the SpecGuardRunner", NULL));
    assert_true(mentions_guardrail("a", NULL, "node spec-guard.mjs"));
    assert_false(mentions_guardrail("spec", "-guard", "spec guard"));
    assert_false(mentions_guardrail(NULL, NULL, NULL));
}

static void test_config__load_reads_the_file_and_accepts_its_absence(void **state)
{
    (void)state;
    char dir[64], path[128], want[256];
    struct config c;
    struct err e = {""};
    tmpdir_make(dir);
    snprintf(path, sizeof path, "%s/codex.orchestrator.json", dir);
    assert_int_equal(config_load(path, &c, &e), 0);
    assert_int_equal(c.n_pipelines, 0);
    assert_non_null(config_pipeline(&c, "diagnostics"));
    config_release(&c);

    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("{\"pipelines\":\n5}", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(config_load(path, &c, &e), -1);
    snprintf(want, sizeof want, "%s:2:1: pipelines: must be an array", path);
    assert_string_equal(e.text, want);

    assert_int_equal(config_load(dir, &c, &e), -1);
    assert_int_equal(errno, EISDIR);
    snprintf(want, sizeof want, "%s: can't be read: Is a directory", dir);
    assert_string_equal(e.text, want);
    tmpdir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__reads_every_field),
        cmocka_unit_test(test_config__absent_and_null_fields_have_defaults),
        cmocka_unit_test(test_config__first_spelling_of_the_default_target_counts),
        cmocka_unit_test(test_config__wrong_types_are_refused_with_their_place),
        cmocka_unit_test(test_config__place_counts_lines_and_characters),
        cmocka_unit_test(test_config__missing_and_empty_names_are_refused),
        cmocka_unit_test(test_config__environment_is_checked),
        cmocka_unit_test(test_config__key_given_twice_is_warned_of_and_the_last_counts),
        cmocka_unit_test(test_config__unknown_keys_are_warned_of),
        cmocka_unit_test(test_config__mode_hints_of_other_types_are_ignored),
        cmocka_unit_test(test_config__warnings_beyond_the_limit_are_counted),
        cmocka_unit_test(test_config__stage_sets_are_expanded_in_place),
        cmocka_unit_test(test_config__faulty_stage_sets_are_refused),
        cmocka_unit_test(test_config__ids_given_twice),
        cmocka_unit_test(test_config__subpipeline_cycles_are_refused),
        cmocka_unit_test(test_config__pipeline_used_twice_is_no_cycle),
        cmocka_unit_test(test_config__long_chain_of_subpipelines_loads),
        cmocka_unit_test(test_config__many_stages_load),
        cmocka_unit_test(test_config__deep_nesting_is_refused),
        cmocka_unit_test(test_config__text_that_would_be_corrupted_is_refused),
        cmocka_unit_test(test_config__escaped_backslash_before_u0000_is_text),
        cmocka_unit_test(test_config__messages_stay_on_one_line),
        cmocka_unit_test(test_config__syntax_errors_have_a_place),
        cmocka_unit_test(test_config__builtin_pipeline_is_diagnostics),
        cmocka_unit_test(test_config__pipeline_is_found_by_id_or_default),
        cmocka_unit_test(test_config__guardrails_are_required_unless_switched_off),
        cmocka_unit_test(test_config__guardrail_is_mentioned_in_any_text_and_case),
        cmocka_unit_test(test_config__load_reads_the_file_and_accepts_its_absence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
