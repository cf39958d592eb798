/* codex.orchestrator.json: what is refused, what is warned of, and which place is named. */
#include "config_text.h"

#include "bounds.h"
#include "buf.h"

static void test_config_faults__wrong_types_are_refused_with_their_place(void **state)
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

static void test_config_faults__place_counts_lines_and_characters(void **state)
{
    (void)state;
    static const char text[] =
        "\xEF\xBB\xBF{\n \"pipelines\": [\n  {\"id\": \"\xC3\xBC\", \"stages\": [\n"
        "   {\"kind\": \"command\", \"id\": \"a\\\"{[\", \"command\": \"x\"},\n"
        "   {\"id\": \"\xE2\x82\xAC\", \"kind\": \"command\", \"command\": 5}]}]}";
    refused_as_is(text, sizeof text - 1,
                  "c.json:5:46: pipelines[0].stages[1].command: must be a string");
}

static void test_config_faults__missing_and_empty_names_are_refused(void **state)
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

static void test_config_faults__environment_is_checked(void **state)
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

static void test_config_faults__unknown_keys_are_warned_of(void **state)
{
    (void)state;
    struct config c =
        parsed("{\"jobs\":@4,\n\"pool\":@{},\n\"pipelines\":[{\"id\":\"p\",\"job\":@2,"
               "\n\"stages\":[{\"kind\":\"command\",\"id\":\"a\",\"command\":\"x\","
               "\n\"need\":@[],\n\"session\":{\"ttl\":@1},\n\"plan\":{\"jobs\":@1}},"
               "\n{\"kind\":\"subpipeline\",\"id\":\"b\",\"pipeline\":\"q\","
               "\n\"command\":@\"x\"}]}]}");
    warned(&c, 0, 0, "jobs: unknown key, ignored");
    warned(&c, 1, 1, "pool: unknown key, ignored");
    warned(&c, 2, 2, "pipelines[0].job: unknown key, ignored");
    warned(&c, 3, 3, "pipelines[0].stages[0].need: unknown key, ignored");
    warned(&c, 4, 5, "pipelines[0].stages[0].plan.jobs: unknown key, ignored");
    warned(&c, 5, 4, "pipelines[0].stages[0].session.ttl: unknown key, ignored");
    warned(&c, 6, 6, "pipelines[0].stages[1].command: unknown key, ignored");
    assert_null(c.warnings[7]);
    config_release(&c);
}

static void test_config_faults__mode_hints_of_other_types_are_ignored(void **state)
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

static void test_config_faults__warnings_beyond_the_limit_are_counted(void **state)
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

static void test_config_faults__faulty_stage_sets_are_refused(void **state)
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

static void test_config_faults__ids_given_twice(void **state)
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

static void test_config_faults__subpipeline_cycles_are_refused(void **state)
{
    (void)state;
    refused("{\"pipelines\":[@" P("a", "a") "]}", "pipelines[0]: subpipeline cycle: a -> a");
    refused("{\"pipelines\":[@" P("a", "b") "," P("b", "a") "]}",
            "pipelines[0]: subpipeline cycle: a -> b -> a");
    refused("{\"pipelines\":[" P("x", "b") "," P("a", "c") ",@" P("b", "a") "," P("c", "b") "]}",
            "pipelines[2]: subpipeline cycle: b -> a -> c -> b");
}

static void test_config_faults__deep_nesting_is_refused(void **state)
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

static void test_config_faults__text_that_would_be_corrupted_is_refused(void **state)
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

static void test_config_faults__messages_stay_on_one_line(void **state)
{
    (void)state;
    refused(COMMAND(",\"env\":{\"A\\n\\u001b[31m\":@1}"),
            "pipelines[0].stages[0].env.A??[31m: must be a string");
}

#define TWO(a, b)                                                                              \
    "{\"pools\":{\"db\":1},\"pipelines\":[{\"id\":\"p\",\"stages\":[{\"kind\":\"command\",\"id\":\"a\","  \
    "\"command\":\"x\"" a "},{\"kind\":\"command\",\"id\":\"b\",\"command\":\"x\"" b "}]}]}"

static void test_config_faults__links_that_lead_nowhere_are_refused(void **state)
{
    (void)state;
    refused(TWO("", ",\"needs\":[\"a\",@\"c\"]"),
            "pipelines[0].stages[1].needs[1]: pipeline \"p\" has no stage \"c\"");
    refused(TWO("", ",\"needs\":[@1]"), "pipelines[0].stages[1].needs[0]: must be a string");
    refused(TWO("", ",\"needs\":@\"a\""),
            "pipelines[0].stages[1].needs: must be an array of stage ids");
    refused(TWO("", ",\"pool\":@\"dc\""), "pipelines[0].stages[1].pool: no pool \"dc\" is defined in "
                                          "the \"pools\" of this file");
    refused("{\"pools\":{\"db\":@0}}", "pools.db: must be a whole number from 1 to 1024");
    refused("{\"pools\":{\"\":@1}}", "pools.: the name of a pool must not be empty");
    refused("{\"pools\":@[]}", "pools: must be an object of numbers");
}

static void test_config_faults__a_need_must_be_one_stage(void **state)
{
    (void)state;
    refused("{\"pipelines\":[{\"id\":\"p\",\"stages\":["
            "{\"kind\":\"command\",\"id\":\"a\",\"command\":\"x\"},"
            "{\"kind\":\"command\",\"id\":\"a\",\"command\":\"x\"},"
            "{\"kind\":\"command\",\"id\":\"b\",\"command\":\"x\",\"needs\":[@\"a\"]}]}]}",
            "pipelines[0].stages[2].needs[0]: pipeline \"p\" has more than one stage \"a\"");
}

static void test_config_faults__stages_that_need_each_other_are_named_in_order(void **state)
{
    (void)state;
    refused(TWO(",\"needs\":@[\"b\"]", ",\"needs\":[\"a\"]"),
            "pipelines[0].stages[0].needs: stages of pipeline \"p\" need each other: a -> b -> a");
    refused(TWO("", ",\"needs\":@[\"b\"]"),
            "pipelines[0].stages[1].needs: stages of pipeline \"p\" need each other: b -> b");
}

static void test_config_faults__limits_have_limits(void **state)
{
    (void)state;
    refused(COMMAND(",\"timeoutSeconds\":@0"), "pipelines[0].stages[0].timeoutSeconds: must be a number "
                                              "of seconds from 0.001 to 10000000");
    refused(COMMAND(",\"timeoutSeconds\":@\"1\""),
            "pipelines[0].stages[0].timeoutSeconds: must be a number of seconds from 0.001 to "
            "10000000");
    refused(COMMAND(",\"retries\":@-1"),
            "pipelines[0].stages[0].retries: must be a whole number from 0 to 1000");
    refused(COMMAND(",\"retries\":@1.5"),
            "pipelines[0].stages[0].retries: must be a whole number from 0 to 1000");
    refused(COMMAND(",\"retryDelayMs\":@1e9"),
            "pipelines[0].stages[0].retryDelayMs: must be a whole number from 0 to 3600000");
    refused("{\"pipelines\":[{\"id\":\"p\",\"jobs\":@1025,\"stages\":[{\"kind\":\"command\","
            "\"id\":\"a\",\"command\":\"x\"}]}]}",
            "pipelines[0].jobs: must be a whole number from 0 to 1024");
    refused("{\"pipelines\":[{\"id\":\"p\",\"stages\":[{\"kind\":\"subpipeline\",\"id\":\"a\","
            "\"pipeline\":\"q\",\"retries\":@1}]}]}",
            "pipelines[0].stages[0].retries: a subpipeline can't have it: give it to its stages");
}

static void test_config_faults__syntax_errors_have_a_place(void **state)
{
    (void)state;
    refused("{\"pipelines\":\n [@,]}", "not valid JSON");
    refused("@", "not valid JSON");
    refused("{} @{}", "not valid JSON (more text after the document)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_faults__wrong_types_are_refused_with_their_place),
        cmocka_unit_test(test_config_faults__place_counts_lines_and_characters),
        cmocka_unit_test(test_config_faults__missing_and_empty_names_are_refused),
        cmocka_unit_test(test_config_faults__environment_is_checked),
        cmocka_unit_test(test_config_faults__unknown_keys_are_warned_of),
        cmocka_unit_test(test_config_faults__mode_hints_of_other_types_are_ignored),
        cmocka_unit_test(test_config_faults__warnings_beyond_the_limit_are_counted),
        cmocka_unit_test(test_config_faults__faulty_stage_sets_are_refused),
        cmocka_unit_test(test_config_faults__ids_given_twice),
        cmocka_unit_test(test_config_faults__subpipeline_cycles_are_refused),
        cmocka_unit_test(test_config_faults__deep_nesting_is_refused),
        cmocka_unit_test(test_config_faults__text_that_would_be_corrupted_is_refused),
        cmocka_unit_test(test_config_faults__messages_stay_on_one_line),
        cmocka_unit_test(test_config_faults__links_that_lead_nowhere_are_refused),
        cmocka_unit_test(test_config_faults__a_need_must_be_one_stage),
        cmocka_unit_test(test_config_faults__stages_that_need_each_other_are_named_in_order),
        cmocka_unit_test(test_config_faults__limits_have_limits),
        cmocka_unit_test(test_config_faults__syntax_errors_have_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
