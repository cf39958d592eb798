/* What a start would do: its items as JSON, and the stage that is its target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "config.h"
#include "json.h"
#include "plan.h"

#define STAGE(id, more) "{\"kind\":\"command\",\"id\":\"" id "\",\"command\":\"x\"" more "}"

static struct config with_stages(const char *stages)
{
    struct buf text = BUF_INIT;
    struct config c;
    buf_addf(&text, "{\"pipelines\":[{\"id\":\"p\",\"stages\":[%s]}]}", stages);
    assert_int_equal(config_parse(text.data, text.len, "c.json", &c, NULL), 0);
    buf_release(&text);
    return c;
}

/* The stage that is the target, as an index; `unknown` is what the plan must say about it. */
static size_t target_of(const char *stages, const char *asked, bool unknown)
{
    struct config c = with_stages(stages);
    struct plan plan;
    char id[64];
    assert_int_equal(plan_build(&c.pipelines[0], asked, &plan), 0);
    assert_int_equal(plan.target_unknown, unknown);
    assert_true(plan.target < c.pipelines[0].n_stages);
    snprintf(id, sizeof id, "p:%s", c.pipelines[0].stages[plan.target].id);
    assert_string_equal(plan.target_id, id);
    size_t target = plan.target;
    plan_release(&plan);
    config_release(&c);
    return target;
}

#define THREE STAGE("one", "") "," STAGE("two", "") "," STAGE("three", "")

static void test_plan__first_stage_is_the_target(void **state)
{
    (void)state;
    assert_int_equal(target_of(THREE, NULL, false), 0);
    assert_int_equal(target_of(THREE, "", false), 0);
}

static void test_plan__flagged_stage_comes_before_runnable_ones(void **state)
{
    (void)state;
    assert_int_equal(
        target_of(
            STAGE("a", "") "," STAGE("b", ",\"plan\":{\"default\":false}") "," STAGE(
                "c",
                ",\"plan\":{\"primary\":true,\"runnable\":false}") "," STAGE("d",
                                                                             ",\"plan\":{"
                                                                             "\"default\":true}"),
            NULL, false),
        2);
}

static void test_plan__first_runnable_stage_else_the_first(void **state)
{
    (void)state;
    assert_int_equal(target_of(STAGE("a", ",\"plan\":{\"runnable\":false}") "," STAGE(
                                   "b", ",\"plan\":{\"runnable\":true}"),
                               NULL, false),
                     1);
    assert_int_equal(target_of(STAGE("a", ",\"plan\":{\"runnable\":false}") "," STAGE(
                                   "b", ",\"plan\":{\"runnable\":false}"),
                               NULL, false),
                     0);
}

static void test_plan__target_by_full_id_stage_id_or_alias(void **state)
{
    (void)state;
    static const char stages[] = STAGE("one", "") "," STAGE(
        "two", ",\"plan\":{\"aliases\":[\"second\",\"zwei\",22]}") "," STAGE("three", "");
    assert_int_equal(target_of(stages, "p:three", false), 2);
    assert_int_equal(target_of(stages, "three", false), 2);
    assert_int_equal(target_of(stages, "THREE", false), 2);
    assert_int_equal(target_of(stages, "P:Three", false), 2);
    assert_int_equal(target_of(stages, "other:x:Three", false), 2);
    assert_int_equal(target_of(stages, "ZWEI", false), 1);
    assert_int_equal(target_of(stages, "p:second", false), 1);
    assert_int_equal(target_of(stages, "22", false), 1);
}

static void test_plan__exact_id_comes_before_earlier_matches(void **state)
{
    (void)state;
    static const char stages[] = STAGE("A", "") "," STAGE(
        "b", ",\"plan\":{\"aliases\":[\"c\"]}") "," STAGE("a", "") "," STAGE("c", "");
    assert_int_equal(target_of(stages, "p:a", false), 2);
    assert_int_equal(target_of(stages, "a", false), 0);
    assert_int_equal(target_of(stages, "p:c", false), 3);
    assert_int_equal(target_of(stages, "c", false), 1);
}

static void test_plan__unknown_target_is_told_and_the_default_taken(void **state)
{
    (void)state;
    static const char stages[] =
        STAGE("one", "") "," STAGE("two", ",\"plan\":{\"defaultTarget\":true}");
    assert_int_equal(target_of(stages, "three", true), 1);
    assert_int_equal(target_of(stages, "p:", true), 1);
    assert_int_equal(target_of(stages, "on", true), 1);
    assert_int_equal(target_of(stages, "p:onex", true), 1);
}

static void assert_json(const struct plan *plan, const char *want)
{
    struct buf out = BUF_INIT;
    plan_print(plan, NULL, &out);
    assert_false(out.failed);
    for (char *at = out.data; (at = strchr(at, '\n'));)
        memmove(at, at + 1, strlen(at)); /* only for people */
    assert_string_equal(out.data, want);
    buf_release(&out);
}

static void test_plan__json_has_every_hint(void **state)
{
    (void)state;
    static const char text[] =
        "{\"pipelines\":[{\"id\":\"p\",\"description\":\"why\",\"stages\":["
        "{\"kind\":\"command\",\"id\":\"a\",\"title\":\"A\",\"command\":\"x\",\"mode\":\" CLOUD \","
        "\"plan\":{\"aliases\":[\"x\",\"y\"],\"runnable\":false,\"defaultTarget\":true}},"
        "{\"kind\":\"subpipeline\",\"id\":\"b\",\"pipeline\":\"q\",\"requiresCloud\":false,"
        "\"executionMode\":\"true\",\"plan\":{\"aliases\":[],\"default\":false}}]}]}";
    struct config c;
    struct plan plan;
    assert_int_equal(config_parse(text, sizeof text - 1, "c.json", &c, NULL), 0);
    assert_int_equal(plan_build(&c.pipelines[0], NULL, &plan), 0);
    assert_json(&plan,
                "{\"items\":[{\"id\":\"p:a\",\"description\":\"A\",\"requires_cloud\":true,"
                "\"requiresCloud\":true,\"runnable\":false,\"metadata\":{\"pipelineId\":\"p\","
                "\"stageId\":\"a\",\"stageKind\":\"command\",\"index\":0,\"aliases\":[\"x\",\"y\"],"
                "\"defaultTarget\":true,\"executionMode\":\"cloud\",\"requiresCloud\":true},"
                "\"selected\":true},"
                "{\"id\":\"p:b\",\"description\":\"b\",\"requires_cloud\":false,"
                "\"requiresCloud\":false,\"runnable\":true,\"metadata\":{\"pipelineId\":\"p\","
                "\"stageId\":\"b\",\"stageKind\":\"subpipeline\",\"index\":1,"
                "\"executionMode\":\"true\",\"requiresCloud\":false},\"selected\":false}],"
                "\"notes\":\"why\",\"targetId\":\"p:a\"}");
    assert_true(plan_target_requires_cloud(&plan));
    plan_release(&plan);
    assert_int_equal(plan_build(&c.pipelines[0], "b", &plan), 0);
    assert_false(plan_target_requires_cloud(&plan));
    plan_release(&plan);
    config_release(&c);
}

static void test_plan__stages_of_one_id_are_selected_together(void **state)
{
    (void)state;
    struct config c = with_stages(STAGE("a", "") "," STAGE("b", "") "," STAGE("a", ""));
    struct plan plan;
    assert_int_equal(plan_build(&c.pipelines[0], "a", &plan), 0);
    assert_int_equal(plan.target, 0);
    struct buf out = BUF_INIT;
    plan_print(&plan, NULL, &out);
    cJSON *doc = cJSON_Parse(out.data);
    buf_release(&out);
    const cJSON *items = cJSON_GetObjectItem(doc, "items");
    for (int i = 0; i < 3; i++)
        assert_int_equal(json_get_bool(cJSON_GetArrayItem(items, i), "selected", i == 1), i != 1);
    cJSON_Delete(doc);
    plan_release(&plan);
    config_release(&c);
}

static void test_plan__json_without_description_has_no_notes(void **state)
{
    (void)state;
    struct config c = with_stages(STAGE("a", ""));
    struct plan plan;
    assert_int_equal(plan_build(&c.pipelines[0], NULL, &plan), 0);
    assert_json(&plan,
                "{\"items\":[{\"id\":\"p:a\",\"description\":\"a\",\"requires_cloud\":false,"
                "\"requiresCloud\":false,\"runnable\":true,\"metadata\":{\"pipelineId\":\"p\","
                "\"stageId\":\"a\",\"stageKind\":\"command\",\"index\":0,\"requiresCloud\":false},"
                "\"selected\":true}],\"targetId\":\"p:a\"}");
    assert_false(plan_target_requires_cloud(&plan));
    plan_release(&plan);
    config_release(&c);
}

static void test_plan__pipeline_without_stages_has_no_target(void **state)
{
    (void)state;
    char id[] = "none";
    const struct pipeline empty = {.id = id, .title = id};
    struct plan plan;
    assert_int_equal(plan_build(&empty, NULL, &plan), 0);
    assert_int_equal(plan.target, 0);
    assert_null(plan.target_id);
    assert_false(plan_target_requires_cloud(&plan));
    assert_json(&plan, "{\"items\":[],\"targetId\":null}");
    plan_release(&plan);
    assert_int_equal(plan_build(&empty, "x", &plan), 0);
    assert_true(plan.target_unknown);
    plan_release(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan__first_stage_is_the_target),
        cmocka_unit_test(test_plan__flagged_stage_comes_before_runnable_ones),
        cmocka_unit_test(test_plan__first_runnable_stage_else_the_first),
        cmocka_unit_test(test_plan__target_by_full_id_stage_id_or_alias),
        cmocka_unit_test(test_plan__exact_id_comes_before_earlier_matches),
        cmocka_unit_test(test_plan__unknown_target_is_told_and_the_default_taken),
        cmocka_unit_test(test_plan__json_has_every_hint),
        cmocka_unit_test(test_plan__stages_of_one_id_are_selected_together),
        cmocka_unit_test(test_plan__json_without_description_has_no_notes),
        cmocka_unit_test(test_plan__pipeline_without_stages_has_no_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
