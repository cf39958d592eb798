/* run-summary.json, as the original writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "summary.h"

#define NOW INT64_C(1767225600000) /* 2026-01-01T00:00:00.000Z */

static char build[] = "build", built[] = "echo built";
static char guard[] = "guard", guard_title[] = "Run the guard", guard_command[] = "echo spec-guard";
static char sub[] = "sub", sub_title[] = "Child", child[] = "child";
static char pipeline_id[] = "p", pipeline_title[] = "p pipeline";

static struct stage stages[] = {
    {.kind = STAGE_COMMAND, .id = build, .title = build, .command = built},
    {.kind = STAGE_COMMAND, .id = guard, .title = guard_title, .command = guard_command},
    {.kind = STAGE_SUBPIPELINE, .id = sub, .title = sub_title, .pipeline = child},
};

struct fixture {
    struct pipeline pipeline;
    struct plan plan;
    struct manifest m;
};

static void set(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
    assert_non_null(*field);
}

/* A pipeline of the first `n` stages, none of which has begun. */
static void make(struct fixture *f, size_t n)
{
    static const enum flag unset = FLAG_UNSET;
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        struct plan_hints *hints = &stages[i].plan;
        hints->runnable = hints->default_target = unset;
        hints->plan_requiresCloud = hints->plan_requires_cloud = unset;
        hints->stage_requires_cloud = hints->stage_requiresCloud = unset;
    }
    f->pipeline = (struct pipeline){.id = pipeline_id,
                                    .title = pipeline_title,
                                    .stages = stages,
                                    .n_stages = n,
                                    .guardrails_required = FLAG_FALSE};
    assert_int_equal(plan_build(&f->pipeline, NULL, &f->plan), 0);
    assert_int_equal(manifest_init(&f->m, &f->pipeline, NOW), 0);
    set(&f->m.task_id, "0042-demo");
    set(&f->m.run_id, "r1");
    set(&f->m.artifact_root, "root/r1");
    set(&f->m.log_path, "root/r1/runner.ndjson");
    f->m.status = RUN_SUCCEEDED;
}

static void release(struct fixture *f)
{
    plan_release(&f->plan);
    manifest_release(&f->m);
}

static void end(struct fixture *f, size_t index, enum stage_event event, const char *summary)
{
    struct manifest_command *c = &f->m.commands[index];
    assert_int_equal(manifest_stage_event(&f->m, index, STAGE_EV_START, NOW), 0);
    assert_int_equal(manifest_stage_event(&f->m, index, event, NOW), 0);
    assert_int_equal(manifest_set(c, &c->summary, summary), 0);
}

/* The summary. Each of its lines begins a member or an element, or is the end. */
static cJSON *summary(struct fixture *f, int64_t now_ms)
{
    struct buf text = BUF_INIT;
    assert_int_equal(summary_print(&f->m, &f->plan, now_ms, &text), 0);
    for (const char *at = text.data; (at = strchr(at, '\n')); at++)
        assert_true(at[1] == '"' || at[1] == '{' || strcmp(at, "\n}\n") == 0 || strcmp(at, "\n") == 0);
    cJSON *doc = cJSON_Parse(text.data);
    assert_non_null(doc);
    buf_release(&text);
    return doc;
}

/* The text of the summary's member `key`, or "absent". free() it. */
static char *member(struct fixture *f, const char *key)
{
    struct buf text = BUF_INIT;
    cJSON *doc = summary(f, NOW + 5);
    assert_non_null(doc);
    const cJSON *item = key ? cJSON_GetObjectItemCaseSensitive(doc, key) : doc;
    if (item)
        assert_int_equal(json_print(item, false, &text), 0);
    else
        buf_addstr(&text, "absent");
    cJSON_Delete(doc);
    return buf_detach(&text);
}

static void assert_member(struct fixture *f, const char *key, const char *want)
{
    char *got = member(f, key);
    assert_string_equal(got, want);
    free(got);
}

#define ARTIFACTS                                                                               \
    "\"artifacts\":[{\"path\":\"root/r1/manifest.json\",\"description\":\"CLI run manifest\"}," \
    "{\"path\":\"root/r1/runner.ndjson\",\"description\":\"Runner log (ndjson)\"}],"            \
    "\"mode\":\"mcp\",\"runId\":\"r1\","

static void test_summary__tells_a_run_that_passed_its_guardrail(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 2);
    end(&f, 0, STAGE_EV_SUCCEED, "built");
    end(&f, 1, STAGE_EV_SUCCEED, "spec-guard passed");
    assert_member(&f, "build",
                  "{\"subtaskId\":\"p:build\"," ARTIFACTS "\"success\":true,"
                  "\"notes\":\"build: built\\nRun the guard: spec-guard passed\"}");
    assert_member(&f, "test",
                  "{\"subtaskId\":\"p:build\",\"success\":true,\"reports\":[{\"name\":"
                  "\"guardrails\",\"status\":\"passed\",\"details\":\"Guardrails: spec-guard "
                  "succeeded (1 passed).\"}],\"runId\":\"r1\"}");
    assert_member(&f, "review",
                  "{\"summary\":\"Diagnostics pipeline succeeded.\\nManifest: "
                  "root/r1/manifest.json\\nRunner log: root/r1/runner.ndjson\",\"decision\":{"
                  "\"approved\":true,\"feedback\":\"build: built\\nRun the guard: spec-guard "
                  "passed\"}}");
    release(&f);
}

static void test_summary__has_its_members_in_order(void **state)
{
    (void)state;
    static const char *const keys[] = {"taskId", "runId",  "mode",      "plan",    "build",
                                       "test",   "review", "timestamp", "handles", "privacy"};
    struct fixture f;
    size_t i = 0;
    make(&f, 1);
    end(&f, 0, STAGE_EV_SUCCEED, "built");
    manifest_add_handle(&f.m, "h", "c", "build", 3, NOW);
    cJSON *doc = summary(&f, NOW + 5);
    const cJSON *item;
    cJSON_ArrayForEach(item, doc)
    {
        assert_true(i < sizeof keys / sizeof *keys);
        assert_string_equal(item->string, keys[i++]);
    }
    assert_int_equal(i, sizeof keys / sizeof *keys);
    assert_string_equal(json_get_str(doc, "taskId"), "0042-demo");
    assert_string_equal(json_get_str(doc, "mode"), "mcp");
    assert_string_equal(json_get_str(doc, "timestamp"), "2026-01-01T00:00:00.005Z");
    assert_string_equal(json_get_str(cJSON_GetObjectItemCaseSensitive(doc, "plan"), "targetId"),
                        "p:build");
    cJSON_Delete(doc);
    release(&f);
}

static void test_summary__skips_tests_and_review_of_a_failed_build(void **state)
{
    (void)state;
    static const enum run_status failures[] = {RUN_FAILED, RUN_CANCELLED};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        make(&f, 2);
        end(&f, 0, STAGE_EV_FAIL, "Exited with code 1");
        f.m.status = failures[i];
        assert_member(&f, "build",
                      "{\"subtaskId\":\"p:build\"," ARTIFACTS "\"success\":false,"
                      "\"notes\":\"build: Exited with code 1\"}");
        assert_member(&f, "test",
                      "{\"subtaskId\":\"p:build\",\"success\":false,\"reports\":[{\"name\":"
                      "\"tests\",\"status\":\"failed\",\"details\":\"Skipped because the build "
                      "stage failed.\"}],\"runId\":\"r1\"}");
        assert_member(&f, "review",
                      "{\"summary\":\"Review skipped: build stage failed.\",\"decision\":{"
                      "\"approved\":false,\"feedback\":\"Build stage failed; review skipped.\"}}");
        release(&f);
    }
}

static void test_summary__calls_tests_failed_without_a_guardrail(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 1);
    end(&f, 0, STAGE_EV_SUCCEED, "built");
    assert_member(&f, "test",
                  "{\"subtaskId\":\"p:build\",\"success\":false,\"reports\":[{\"name\":"
                  "\"guardrails\",\"status\":\"failed\",\"details\":\"Guardrails: spec-guard "
                  "command not found.\"}],\"runId\":\"r1\"}");
    assert_member(&f, "review",
                  "{\"summary\":\"Review skipped: tests failed.\",\"decision\":{\"approved\":false,"
                  "\"feedback\":\"Tests failed; review skipped.\"}}");
    release(&f);
}

static void test_summary__recommends_a_guardrail_that_is_required_and_missing(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 1);
    f.m.guardrails_required = true;
    end(&f, 0, STAGE_EV_SUCCEED, "built");
    assert_member(&f, "test",
                  "{\"subtaskId\":\"p:build\",\"success\":false,\"reports\":[{\"name\":"
                  "\"guardrails\",\"status\":\"failed\",\"details\":\"Guardrail command missing; "
                  "run \\\"codex-orchestrator start diagnostics\\\" to capture reviewer "
                  "diagnostics.\"}],\"runId\":\"r1\"}");
    release(&f);
}

static void assert_notes(struct fixture *f, const char *want)
{
    cJSON *doc = summary(f, NOW);
    const char *notes = json_get_str(cJSON_GetObjectItemCaseSensitive(doc, "build"), "notes");
    if (want)
        assert_string_equal(notes, want);
    else
        assert_null(notes);
    cJSON_Delete(doc);
}

static void test_summary__notes_summaries_of_commands_and_states_of_subpipelines(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 3);
    end(&f, 0, STAGE_EV_EXCUSE, "Exited with code 9");
    end(&f, 2, STAGE_EV_FAIL, "Review skipped: build stage failed.");
    assert_notes(&f, "build: Exited with code 9\nChild: failed");
    release(&f);
}

static void test_summary__notes_only_the_state_of_what_an_earlier_session_ended(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 3);
    end(&f, 0, STAGE_EV_SUCCEED, "built");
    f.m.commands[0].ran = false; /* as after a resume */
    end(&f, 1, STAGE_EV_SUCCEED, "go");
    assert_notes(&f, "build: succeeded\nRun the guard: go");
    release(&f);
}

static void test_summary__has_no_notes_where_nothing_could_be_run(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 3);
    f.m.status = RUN_FAILED;
    assert_notes(&f, NULL);
    end(&f, 0, STAGE_EV_FAIL, "Execution error: no such folder");
    f.m.commands[0].spawn_error = true;
    assert_notes(&f, NULL);
    release(&f);
}

static void test_summary__spells_handles_and_privacy_in_camel_case(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 2);
    f.m.privacy_enforce = true;
    manifest_add_handle(&f.m, "h1", "c1", "build", 4, NOW);
    manifest_add_handle(&f.m, "h2", "c2", "guard", INT64_C(1) << 33, NOW);
    f.m.frames_redacted = 1;
    f.m.frames_blocked = 2;
    assert_member(&f, "handles",
                  "[{\"handleId\":\"h1\",\"correlationId\":\"c1\",\"stageId\":\"build\",\"status\":"
                  "\"closed\",\"frameCount\":4,\"latestSequence\":4},{\"handleId\":\"h2\","
                  "\"correlationId\":\"c2\",\"stageId\":\"guard\",\"status\":\"closed\","
                  "\"frameCount\":8589934592,\"latestSequence\":8589934592}]");
    assert_member(&f, "privacy",
                  "{\"mode\":\"enforce\",\"totalFrames\":8589934596,\"redactedFrames\":1,"
                  "\"blockedFrames\":2,\"allowedFrames\":8589934593}");
    release(&f);
}

static void test_summary__leaves_out_what_a_run_without_commands_lacks(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 1);
    assert_member(&f, "handles", "absent");
    assert_member(&f, "privacy", "absent");
    release(&f);
}

static void test_summary__takes_the_mode_from_the_target(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 2);
    stages[0].plan.stage_requires_cloud = FLAG_TRUE;
    assert_member(&f, "mode", "\"cloud\"");
    stages[0].plan.stage_requires_cloud = FLAG_UNSET;
    release(&f);
}

static void test_summary__computes_the_guardrail_status_once(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 1);
    free(member(&f, NULL));
    assert_true(f.m.guardrail.computed);
    assert_int_equal(f.m.guardrail.computed_ms, NOW + 5);
    assert_string_equal(f.m.summary, "Guardrails: spec-guard command not found.");
    f.m.guardrail.computed_ms = 7;
    free(member(&f, NULL));
    assert_int_equal(f.m.guardrail.computed_ms, 7);
    release(&f);
}

static void test_summary__shows_its_review(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 1);
    cJSON_Delete(summary(&f, NOW));
    char *review = summary_review(&f.m);
    assert_string_equal(review, "Review skipped: tests failed.");
    free(review);
    release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary__tells_a_run_that_passed_its_guardrail),
        cmocka_unit_test(test_summary__has_its_members_in_order),
        cmocka_unit_test(test_summary__skips_tests_and_review_of_a_failed_build),
        cmocka_unit_test(test_summary__calls_tests_failed_without_a_guardrail),
        cmocka_unit_test(test_summary__recommends_a_guardrail_that_is_required_and_missing),
        cmocka_unit_test(test_summary__notes_summaries_of_commands_and_states_of_subpipelines),
        cmocka_unit_test(test_summary__notes_only_the_state_of_what_an_earlier_session_ended),
        cmocka_unit_test(test_summary__has_no_notes_where_nothing_could_be_run),
        cmocka_unit_test(test_summary__spells_handles_and_privacy_in_camel_case),
        cmocka_unit_test(test_summary__leaves_out_what_a_run_without_commands_lacks),
        cmocka_unit_test(test_summary__takes_the_mode_from_the_target),
        cmocka_unit_test(test_summary__computes_the_guardrail_status_once),
        cmocka_unit_test(test_summary__shows_its_review),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
