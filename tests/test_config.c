/* codex.orchestrator.json: what is read from it. */
#include "config_text.h"

#include "bounds.h"
#include "buf.h"
#include "tmpdir.h"

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

static void test_config__escaped_backslash_before_u0000_is_text(void **state)
{
    (void)state;
    struct config c = parsed(COMMAND(",\"cwd\":\"\\\\u0000 \\u0001 \xF0\x9F\x8E\x89\""));
    assert_string_equal(c.pipelines[0].stages[0].cwd, "\\u0000 \x01 \xF0\x9F\x8E\x89");
    config_release(&c);
}

static void test_config__builtin_pipeline_is_diagnostics(void **state)
{
    (void)state;
    static const char *const want[][3] = {{"build", "npm run build", "npm run build"},
                                          {"lint", "npm run lint", "npm run lint"},
                                          {"test", "npm run test", "npm run test"},
                                          {"spec-guard", "node scripts/spec-guard.mjs --dry-run",
                                           "node scripts/spec-guard.mjs --dry-run"}};
    struct config c = parsed("{}");
    const struct pipeline *p = config_pipeline(&c, NULL);
    assert_ptr_equal(p, config_pipeline(&c, "diagnostics"));
    assert_ptr_equal(p, &c.builtin);
    assert_true(p->builtin);
    assert_string_equal(p->title, "Diagnostics Pipeline");
    assert_string_equal(p->description, "Build, lint, test, and spec-guard the repository.");
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
        cmocka_unit_test(test_config__key_given_twice_is_warned_of_and_the_last_counts),
        cmocka_unit_test(test_config__stage_sets_are_expanded_in_place),
        cmocka_unit_test(test_config__pipeline_used_twice_is_no_cycle),
        cmocka_unit_test(test_config__long_chain_of_subpipelines_loads),
        cmocka_unit_test(test_config__many_stages_load),
        cmocka_unit_test(test_config__escaped_backslash_before_u0000_is_text),
        cmocka_unit_test(test_config__builtin_pipeline_is_diagnostics),
        cmocka_unit_test(test_config__pipeline_is_found_by_id_or_default),
        cmocka_unit_test(test_config__guardrails_are_required_unless_switched_off),
        cmocka_unit_test(test_config__guardrail_is_mentioned_in_any_text_and_case),
        cmocka_unit_test(test_config__load_reads_the_file_and_accepts_its_absence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
