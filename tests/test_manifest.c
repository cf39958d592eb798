/* The manifest: its transitions, its JSON form, and reading it back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "manifest.h"

#define NOW INT64_C(1767225600000) /* 2026-01-01T00:00:00.000Z */

static char id_a[] = "a", title_a[] = "Say a", command_a[] = "echo a";
static char id_s[] = "s", child[] = "child";
static char pipeline_id[] = "p", pipeline_title[] = "p pipeline";

static struct stage stages[] = {
    {.kind = STAGE_COMMAND, .id = id_a, .title = title_a, .command = command_a},
    {.kind = STAGE_SUBPIPELINE, .id = id_s, .title = id_s, .pipeline = child},
};
static const struct pipeline pipeline = {.id = pipeline_id,
                                         .title = pipeline_title,
                                         .stages = stages,
                                         .n_stages = 2,
                                         .guardrails_required = FLAG_FALSE};

static void set(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
    assert_non_null(*field);
}

static void make(struct manifest *m)
{
    assert_int_equal(manifest_init(m, &pipeline, NOW), 0);
    set(&m->task_id, "0042-demo");
    set(&m->run_id, "r1");
    set(&m->artifact_root, ".runs/0042-demo/cli/r1");
    set(&m->compat_path, ".runs/0042-demo/mcp/r1");
    set(&m->log_path, ".runs/0042-demo/cli/r1/runner.ndjson");
    set(&m->resume_token, "token");
}

static char *print(struct manifest *m)
{
    struct buf text = BUF_INIT;
    assert_int_equal(manifest_print(m, &text), 0);
    return buf_detach(&text);
}

static int parse(const char *text, struct manifest *m, struct err *e)
{
    cJSON *doc = json_parse(text, strlen(text), "manifest.json", e);
    assert_non_null(doc);
    int result = manifest_parse(doc, m, e);
    cJSON_Delete(doc);
    return result;
}

static void assert_round_trip(struct manifest *m)
{
    struct err e = {""};
    struct manifest again;
    char *first = print(m);
    assert_int_equal(parse(first, &again, &e), 0);
    char *second = print(&again);
    assert_string_equal(first, second);
    free(first);
    free(second);
    manifest_release(&again);
}

static void has(struct manifest *m, const char *part)
{
    char *text = print(m);
    if (!strstr(text, part))
        fail_msg("%s lacks %s", text, part);
    free(text);
}

static const char new_manifest[] =
    "{\n"
    "\"version\":1,\n"
    "\"task_id\":\"0042-demo\",\n"
    "\"task_slug\":null,\n"
    "\"run_id\":\"r1\",\n"
    "\"parent_run_id\":null,\n"
    "\"pipeline_id\":\"p\",\n"
    "\"pipeline_title\":\"p pipeline\",\n"
    "\"runner\":\"codex-cli\",\n"
    "\"approval_policy\":null,\n"
    "\"status\":\"queued\",\n"
    "\"status_detail\":null,\n"
    "\"started_at\":\"2026-01-01T00:00:00.000Z\",\n"
    "\"completed_at\":null,\n"
    "\"updated_at\":\"2026-01-01T00:00:00.000Z\",\n"
    "\"heartbeat_at\":\"2026-01-01T00:00:00.000Z\",\n"
    "\"heartbeat_interval_seconds\":5,\n"
    "\"heartbeat_stale_after_seconds\":30,\n"
    "\"artifact_root\":\".runs/0042-demo/cli/r1\",\n"
    "\"compat_path\":\".runs/0042-demo/mcp/r1\",\n"
    "\"log_path\":\".runs/0042-demo/cli/r1/runner.ndjson\",\n"
    "\"summary\":null,\n"
    "\"metrics_recorded\":false,\n"
    "\"resume_token\":\"token\",\n"
    "\"resume_events\":[],\n"
    "\"approvals\":[],\n"
    "\"commands\":[\n"
    "{\"index\":1,\"id\":\"a\",\"title\":\"Say a\",\"command\":\"echo a\",\"kind\":\"command\","
    "\"status\":\"pending\",\"started_at\":null,\"completed_at\":null,\"exit_code\":null,"
    "\"summary\":null,\"log_path\":null,\"error_file\":null,\"sub_run_id\":null},\n"
    "{\"index\":2,\"id\":\"s\",\"title\":\"s\",\"command\":null,\"kind\":\"subpipeline\","
    "\"status\":\"pending\",\"started_at\":null,\"completed_at\":null,\"exit_code\":null,"
    "\"summary\":null,\"log_path\":null,\"error_file\":null,\"sub_run_id\":null}\n"
    "],\n"
    "\"child_runs\":[],\n"
    "\"run_summary_path\":null,\n"
    "\"plan_target_id\":null,\n"
    "\"instructions_hash\":null,\n"
    "\"instructions_sources\":[],\n"
    "\"prompt_packs\":[],\n"
    "\"guardrails_required\":false\n"
    "}\n";

static void test_manifest__prints_a_new_run_exactly(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    char *text = print(&m);
    assert_string_equal(text, new_manifest);
    free(text);
    manifest_release(&m);
}

static void test_manifest__follows_the_stage_table(void **state)
{
    (void)state;
    for (int s = 0; s < STAGE_STATES; s++) {
        for (int ev = 0; ev < STAGE_EVENTS; ev++) {
            struct manifest m;
            make(&m);
            enum stage_state want = (enum stage_state)s;
            m.commands[1].state = want;
            char *before = print(&m);
            int expected = stage_next(&want, (enum stage_event)ev);
            errno = 0;
            assert_int_equal(manifest_stage_event(&m, 1, (enum stage_event)ev, NOW + 1), expected);
            assert_int_equal(m.commands[1].state, want);
            if (expected < 0) {
                assert_int_equal(errno, EINVAL);
                char *after = print(&m);
                assert_string_equal(before, after);
                free(after);
            }
            free(before);
            manifest_release(&m);
        }
    }
}

static void test_manifest__refuses_an_entry_that_is_not_there(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    assert_int_equal(manifest_stage_event(&m, 2, STAGE_EV_START, NOW), -1);
    assert_int_equal(errno, EINVAL);
    manifest_release(&m);
}

static void test_manifest__sets_times_with_transitions(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    struct manifest_command *c = &m.commands[0];
    assert_int_equal(manifest_stage_event(&m, 0, STAGE_EV_START, NOW + 5), 0);
    assert_int_equal(c->started_ms, NOW + 5);
    assert_int_equal(c->completed_ms, CLOCK_NEVER);
    assert_false(c->ran);
    assert_int_equal(manifest_stage_event(&m, 0, STAGE_EV_SUCCEED, NOW + 9), 0);
    assert_int_equal(c->started_ms, NOW + 5);
    assert_int_equal(c->completed_ms, NOW + 9);
    assert_true(c->ran);
    manifest_release(&m);
}

static void test_manifest__keeps_every_update_of_a_stage_that_fails_half_way(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    struct manifest_command *c = &m.commands[0];
    assert_int_equal(manifest_stage_event(&m, 0, STAGE_EV_START, NOW + 1), 0);
    assert_int_equal(manifest_set(c, &c->log_path, "log"), 0);
    free(print(&m)); /* a checkpoint while it runs */
    c->exit_code = 7;
    c->has_exit_code = true;
    assert_int_equal(manifest_stage_event(&m, 0, STAGE_EV_FAIL, NOW + 2), 0);
    assert_int_equal(manifest_set(c, &c->summary, "Exited with code 7"), 0);
    assert_int_equal(manifest_set(c, &c->error_file, "err"), 0);
    static const char failed[] =
        "{\"index\":1,\"id\":\"a\",\"title\":\"Say a\",\"command\":\"echo a\",\"kind\":\"command\","
        "\"status\":\"failed\",\"started_at\":\"2026-01-01T00:00:00.001Z\","
        "\"completed_at\":\"2026-01-01T00:00:00.002Z\",\"exit_code\":7,"
        "\"summary\":\"Exited with code 7\",\"log_path\":\"log\",\"error_file\":\"err\","
        "\"sub_run_id\":null},\n";
    has(&m, failed);
    /* What comes too late changes nothing. */
    assert_int_equal(manifest_stage_event(&m, 0, STAGE_EV_SUCCEED, NOW + 3), -1);
    assert_int_equal(manifest_stage_event(&m, 0, STAGE_EV_START, NOW + 3), -1);
    has(&m, failed);
    manifest_release(&m);
}

static void test_manifest__clears_what_a_resumed_stage_will_set_again(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    struct manifest_command *c = &m.commands[0];
    c->exit_code = 1;
    c->has_exit_code = true;
    manifest_stage_event(&m, 0, STAGE_EV_START, NOW);
    manifest_stage_event(&m, 0, STAGE_EV_FAIL, NOW);
    manifest_set(c, &c->summary, "failed");
    manifest_set(c, &c->error_file, "errors/01-a.json");
    assert_int_equal(manifest_stage_event(&m, 0, STAGE_EV_RESUME, NOW), 0);
    has(&m, "\"status\":\"pending\",\"started_at\":null,\"completed_at\":null,\"exit_code\":null,"
            "\"summary\":null,\"log_path\":null,\"error_file\":\"errors/01-a.json\"");
    manifest_release(&m);
}

static void test_manifest__keeps_a_succeeded_stage_on_resume(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    struct manifest_command *c = &m.commands[0];
    manifest_stage_event(&m, 0, STAGE_EV_START, NOW);
    manifest_stage_event(&m, 0, STAGE_EV_SUCCEED, NOW);
    manifest_set(c, &c->summary, "done");
    char *before = print(&m);
    assert_int_equal(manifest_stage_event(&m, 0, STAGE_EV_RESUME, NOW + 1), 0);
    char *after = print(&m);
    assert_string_equal(before, after);
    free(before);
    free(after);
    manifest_release(&m);
}

static void test_manifest__prints_only_changed_entries_again(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    free(print(&m));
    const char *kept = m.commands[1].json;
    manifest_stage_event(&m, 0, STAGE_EV_START, NOW);
    assert_null(m.commands[0].json);
    assert_ptr_equal(m.commands[1].json, kept);
    free(print(&m));
    assert_non_null(m.commands[0].json);
    assert_ptr_equal(m.commands[1].json, kept);
    manifest_release(&m);
}

static void test_manifest__set_replaces_and_clears_a_text(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    struct manifest_command *c = &m.commands[1];
    assert_int_equal(manifest_set(c, &c->sub_run_id, "r2"), 0);
    has(&m, "\"sub_run_id\":\"r2\"}\n]");
    assert_int_equal(manifest_set(c, &c->sub_run_id, NULL), 0);
    has(&m, "\"sub_run_id\":null}\n]");
    manifest_release(&m);
}

static void test_manifest__adds_a_summary_line_once(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    assert_int_equal(manifest_add_summary(&m, "Stage 'a' failed with exit code 12."), 0);
    assert_int_equal(manifest_add_summary(&m, "code 1"), 0); /* within a line, but not a line */
    assert_int_equal(manifest_add_summary(&m, "Stage 'a' failed with exit code 12."), 0);
    assert_int_equal(manifest_add_summary(&m, "code 1"), 0);
    assert_int_equal(manifest_add_summary(&m, ""), 0);
    assert_string_equal(m.summary, "Stage 'a' failed with exit code 12.\ncode 1");
    manifest_release(&m);
}

static void test_manifest__writes_handles_and_privacy_after_the_first_command(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    set(&m.privacy_log_path, "pd");
    m.frames_redacted = 2;
    m.frames_blocked = 1;
    assert_int_equal(manifest_add_handle(&m, "h1", "c1", "a", 4, NOW), 0);
    assert_int_equal(manifest_add_handle(&m, "h2", "c2", "a", 3, NOW), 0);
    has(&m, ",\n\"handles\":["
            "{\"handle_id\":\"h1\",\"correlation_id\":\"c1\",\"stage_id\":\"a\","
            "\"pipeline_id\":\"p\",\"status\":\"closed\",\"frame_count\":4,\"latest_sequence\":4,"
            "\"created_at\":\"2026-01-01T00:00:00.000Z\",\"metadata\":{\"run_id\":\"r1\"}},"
            "{\"handle_id\":\"h2\",\"correlation_id\":\"c2\",\"stage_id\":\"a\","
            "\"pipeline_id\":\"p\",\"status\":\"closed\",\"frame_count\":3,\"latest_sequence\":3,"
            "\"created_at\":\"2026-01-01T00:00:00.000Z\",\"metadata\":{\"run_id\":\"r1\"}}],\n"
            "\"privacy\":{\"mode\":\"shadow\",\"decisions\":[],\"totals\":{\"total_frames\":7,"
            "\"redacted_frames\":2,\"blocked_frames\":1,\"allowed_frames\":4},"
            "\"log_path\":\"pd\"}\n}\n");
    assert_int_equal(m.n_handles, 2);
    manifest_release(&m);
}

static void test_manifest__counts_frames_exactly(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    m.has_privacy = true;
    m.frames = UINT64_MAX;
    m.frames_redacted = 1;
    has(&m, "\"total_frames\":18446744073709551615,\"redacted_frames\":1,\"blocked_frames\":0,"
            "\"allowed_frames\":18446744073709551614}");
    manifest_release(&m);
}

static void test_manifest__lists_child_runs(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    assert_int_equal(manifest_add_child(&m, "r2", "child", RUN_FAILED, "r2/manifest.json"), 0);
    assert_int_equal(m.n_child_runs, 1);
    has(&m, "\"child_runs\":[{\"run_id\":\"r2\",\"pipeline_id\":\"child\",\"status\":\"failed\","
            "\"manifest\":\"r2/manifest.json\"}],\n");
    manifest_release(&m);
}

#define MISSING                                                                                    \
    "Guardrail command missing; run \"codex-orchestrator start diagnostics\" to capture reviewer " \
    "diagnostics."
#define FAILED                                                                                     \
    "Guardrail command failed; re-run \"codex-orchestrator start diagnostics\" to gather failure " \
    "artifacts."

static void test_manifest__words_guardrails(void **state)
{
    (void)state;
    static char guard[] = "spec-guard";
    static const struct {
        unsigned n; /* guardrail entries */
        enum stage_state states[3];
        const char *summary; /* of the first entry */
        bool required, present;
        const char *advice, *words;
    } cases[] = {
        {0, {0}, NULL, false, false, NULL, "Guardrails: spec-guard command not found."},
        {0, {0}, NULL, true, false, MISSING, "Guardrails: spec-guard command not found."},
        {1,
         {STAGE_SUCCEEDED},
         NULL,
         true,
         true,
         NULL,
         "Guardrails: spec-guard succeeded (1 passed)."},
        {2,
         {STAGE_SUCCEEDED, STAGE_FAILED},
         NULL,
         false,
         true,
         FAILED,
         "Guardrails: spec-guard failed (1/2 failed)."},
        {1,
         {STAGE_SKIPPED},
         NULL,
         true,
         false,
         NULL,
         "Guardrails: spec-guard skipped (all 1 skipped)."},
        {1,
         {STAGE_SUCCEEDED},
         "x [Spec-Guard] SKIPPED: y",
         true,
         false,
         NULL,
         "Guardrails: spec-guard skipped (all 1 skipped)."},
        {1,
         {STAGE_SUCCEEDED},
         "Spec-guard skipped",
         true,
         false,
         NULL,
         "Guardrails: spec-guard skipped (all 1 skipped)."},
        {1,
         {STAGE_SUCCEEDED},
         "spec guard skipped",
         true,
         false,
         NULL,
         "Guardrails: spec-guard skipped (all 1 skipped)."},
        {3,
         {STAGE_SUCCEEDED, STAGE_SKIPPED, STAGE_PENDING},
         NULL,
         true,
         true,
         NULL,
         "Guardrails: spec-guard partial (1 passed, 1 skipped, 1 pending of 3)."},
        {2,
         {STAGE_SKIPPED, STAGE_RUNNING},
         NULL,
         true,
         false,
         NULL,
         "Guardrails: spec-guard partial (1 skipped, 1 pending of 2)."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage guards[3] = {{0}};
        for (size_t k = 0; k < 3; k++)
            guards[k] = (struct stage){.id = guard, .title = guard, .command = command_a};
        struct pipeline p = {.id = pipeline_id, .title = pipeline_title, .stages = guards};
        p.n_stages = cases[i].n;
        struct manifest m;
        assert_int_equal(manifest_init(&m, &p, NOW), 0);
        m.guardrails_required = cases[i].required;
        for (size_t k = 0; k < cases[i].n; k++)
            m.commands[k].state = cases[i].states[k];
        if (cases[i].summary)
            manifest_set(&m.commands[0], &m.commands[0].summary, cases[i].summary);
        assert_int_equal(manifest_guardrails(&m, NOW), 0);
        assert_string_equal(m.guardrail.summary, cases[i].words);
        assert_int_equal(m.guardrail.present, cases[i].present);
        assert_int_equal(m.guardrail.total, cases[i].n);
        if (cases[i].advice)
            assert_string_equal(m.guardrail.recommendation, cases[i].advice);
        else
            assert_null(m.guardrail.recommendation);
        manifest_release(&m);
    }
}

static void test_manifest__replaces_guardrail_lines_of_the_summary(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    m.guardrails_required = true;
    set(&m.summary, "GUARDRAILS: old\nfirst\n" FAILED "\nsecond: Guardrails: stay\n"
                    "Guardrail command missing; run \"something else\"");
    assert_int_equal(manifest_guardrails(&m, NOW), 0);
    assert_string_equal(m.summary, "first\nsecond: Guardrails: stay\n" MISSING
                                   "\nGuardrails: spec-guard command not found.");
    char *once = strdup(m.summary);
    assert_int_equal(manifest_guardrails(&m, NOW), 0);
    assert_string_equal(m.summary, once);
    free(once);
    has(&m, "\"guardrail_status\":{\"present\":false,\"recommendation\":\"Guardrail command "
            "missing; run \\\"codex-orchestrator start diagnostics\\\" to capture reviewer "
            "diagnostics.\",\"summary\":\"Guardrails: spec-guard command not found.\","
            "\"computed_at\":\"2026-01-01T00:00:00.000Z\",\"counts\":{\"total\":0,\"succeeded\":0,"
            "\"failed\":0,\"skipped\":0,\"other\":0}}");
    manifest_release(&m);
}

static void test_manifest__reads_back_what_it_printed(void **state)
{
    (void)state;
    struct manifest m;
    make(&m);
    assert_round_trip(&m);
    struct manifest_command *c = &m.commands[0];
    m.status = RUN_CANCELLED;
    m.completed_ms = NOW + 1234567;
    m.metrics_recorded = m.guardrails_required = m.privacy_enforce = true;
    set(&m.status_detail, "stage:a:failed");
    set(&m.task_slug, "größe — 測試 🎉 \"quoted\" \\ \t\n\x01");
    set(&m.parent_run_id, "r0");
    c->exit_code = -1;
    c->has_exit_code = true;
    manifest_stage_event(&m, 0, STAGE_EV_START, NOW);
    manifest_stage_event(&m, 0, STAGE_EV_FAIL, NOW + 1);
    manifest_set(c, &c->summary, "line\nline");
    manifest_add_handle(&m, "h", "c", "a", 1234567890, NOW);
    manifest_add_child(&m, "r2", "child", RUN_SUCCEEDED, "x");
    m.frames += 3;
    m.frames_blocked = 2;
    buf_addstr(&m.decisions, "{\"handle_id\":\"h\",\"sequence\":2,\"action\":\"block\"}");
    buf_addstr(&m.resume_events, "{\"actor\":\"ops\"},{\"actor\":\"cli\"}");
    buf_addstr(&m.approvals, "{\"actor\":\"ops\"}");
    m.n_decisions = 1;
    manifest_guardrails(&m, NOW);
    assert_round_trip(&m);
    manifest_release(&m);
}

static void test_manifest__reads_fields_back(void **state)
{
    (void)state;
    struct err e = {""};
    struct manifest m, again;
    make(&m);
    m.status = RUN_FAILED;
    m.privacy_enforce = true;
    manifest_stage_event(&m, 1, STAGE_EV_START, NOW + 7);
    manifest_add_handle(&m, "h", "c", "a", 12, NOW);
    manifest_add_child(&m, "r2", "child", RUN_SUCCEEDED, "x");
    char *text = print(&m);
    assert_int_equal(parse(text, &again, &e), 0);
    assert_int_equal(again.status, RUN_FAILED);
    assert_true(again.has_privacy && again.privacy_enforce);
    assert_int_equal(again.frames, 12);
    assert_int_equal(again.n_handles, 1);
    assert_int_equal(again.n_child_runs, 1);
    assert_int_equal(again.n_commands, 2);
    assert_int_equal(again.commands[1].kind, STAGE_SUBPIPELINE);
    assert_int_equal(again.commands[1].state, STAGE_RUNNING);
    assert_int_equal(again.commands[1].started_ms, NOW + 7);
    assert_false(again.commands[1].ran);
    assert_null(again.commands[1].command);
    assert_string_equal(again.commands[0].command, "echo a");
    free(text);
    manifest_release(&again);
    manifest_release(&m);
}

/* `new_manifest` with its first `from` replaced. */
static char *changed(const char *from, const char *to)
{
    const char *at = strstr(new_manifest, from);
    assert_non_null(at);
    struct buf text = BUF_INIT;
    buf_add(&text, new_manifest, (size_t)(at - new_manifest));
    buf_addstr(&text, to);
    buf_addstr(&text, at + strlen(from));
    return buf_detach(&text);
}

static void test_manifest__writes_foreign_members_back(void **state)
{
    (void)state;
    struct err e = {""};
    struct manifest m;
    char *text =
        changed("\"guardrails_required\":false\n", "\"guardrails_required\":false,\n"
                                                   "\"control_plane\":{\"schema_id\":\"s\"},\n"
                                                   "\"learn\\\"ing\":[1,null]\n");
    assert_int_equal(parse(text, &m, &e), 0);
    char *again = print(&m);
    assert_string_equal(again, text);
    free(again);
    free(text);
    manifest_release(&m);
}

static void test_manifest__keeps_instructions_and_prompt_packs_of_others(void **state)
{
    (void)state;
    struct err e = {""};
    struct manifest m;
    char *text =
        changed("\"instructions_hash\":null,\n\"instructions_sources\":[]",
                "\"instructions_hash\":\"abc\",\n\"instructions_sources\":[\"AGENTS.md\"]");
    assert_int_equal(parse(text, &m, &e), 0);
    char *again = print(&m);
    assert_string_equal(again, text);
    free(again);
    free(text);
    manifest_release(&m);
}

static void test_manifest__words_the_guardrail_advice_of_others_anew(void **state)
{
    (void)state;
    struct err e = {""};
    struct manifest m;
    char *text = changed(
        "\"guardrails_required\":false\n",
        "\"guardrails_required\":true,\"guardrail_status\":{\"present\":false,\"recommendation\":"
        "\"run other.sh\",\"summary\":\"?\",\"computed_at\":\"2026-01-01T00:00:00.000Z\","
        "\"counts\":{\"total\":0,\"succeeded\":0,\"failed\":0,\"skipped\":0,\"other\":0}}\n");
    assert_int_equal(parse(text, &m, &e), 0);
    assert_true(m.guardrail.computed);
    assert_string_equal(m.guardrail.recommendation, MISSING);
    assert_string_equal(m.guardrail.summary, "Guardrails: spec-guard command not found.");
    free(text);
    manifest_release(&m);
}

/* The original writes no title for what has none in the configuration. */
static void test_manifest__takes_the_id_for_a_title_that_is_missing(void **state)
{
    (void)state;
    static const char *const titles[] = {"\"pipeline_title\":\"p pipeline\",\n",
                                         "\"title\":\"Say a\","};
    struct err e = {""};
    struct manifest m;
    for (size_t i = 0; i < 2; i++) {
        char *text = changed(titles[i], "");
        assert_int_equal(parse(text, &m, &e), 0);
        assert_string_equal(m.pipeline_title, i == 0 ? "p" : "p pipeline");
        assert_string_equal(m.commands[0].title, i == 1 ? "a" : "Say a");
        free(text);
        manifest_release(&m);
    }
}

static void test_manifest__names_the_member_that_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"\"version\":1", "\"version\":2",
         "manifest: \"version\" is not 1, the version this program reads"},
        {"\"task_id\":\"0042-demo\"", "\"task_id\":7", "manifest: \"task_id\" is not a string"},
        {"\"task_id\":\"0042-demo\"", "\"task\":7", "manifest: \"task_id\" is missing"},
        {"\"status\":\"queued\"", "\"status\":\"lost\"",
         "manifest: \"status\" is not a status of a run"},
        {"\"started_at\":\"2026-01-01T00:00:00.000Z\"", "\"started_at\":\"today\"",
         "manifest: \"started_at\" is not a time like 2026-01-31T12:00:00.000Z"},
        {"\"completed_at\":null", "\"completed_at\":5",
         "manifest: \"completed_at\" is not a string"},
        {"\"metrics_recorded\":false", "\"metrics_recorded\":0",
         "manifest: \"metrics_recorded\" is not a boolean"},
        {"\"resume_events\":[]", "\"resume_events\":{}",
         "manifest: \"resume_events\" is not an array"},
        {"\"approvals\":[]", "\"approvals\":[1]",
         "manifest: \"approvals\" has an element that is not an object"},
        {"\"commands\":[", "\"commandos\":[", "manifest: \"commands\" is missing"},
        {"\"index\":2", "\"index\":3",
         "manifest: \"commands[1].index\" is not the entry's place, counted from 1"},
        {"\"title\":\"s\"", "\"title\":null", "manifest: \"commands[1].title\" is not a string"},
        {"\"kind\":\"command\"", "\"kind\":\"kommando\"",
         "manifest: \"commands[0].kind\" is neither \"command\" nor \"subpipeline\""},
        {"\"status\":\"pending\"", "\"status\":\"done\"",
         "manifest: \"commands[0].status\" is not a state of a stage"},
        {"\"exit_code\":null", "\"exit_code\":1.5",
         "manifest: \"commands[0].exit_code\" is not a whole number, or out of range"},
        {"\"guardrails_required\":false", "\"guardrail_status\":{\"counts\":{\"total\":-1}}",
         "manifest: \"guardrail_status.counts.total\" is not a whole number, or out of range"},
        {"\"guardrails_required\":false", "\"guardrail_status\":[]",
         "manifest: \"guardrail_status\" is not an object with counts"},
        {"\"guardrails_required\":false", "\"privacy\":{\"mode\":\"off\"}",
         "manifest: \"privacy\" has no mode \"shadow\" or \"enforce\""},
        {"\"guardrails_required\":false",
         "\"privacy\":{\"mode\":\"shadow\",\"totals\":{\"total_frames\":1,\"redacted_frames\":2}}",
         "manifest: \"privacy.totals.redacted_frames\" is not a whole number, or out of range"},
        {"\"guardrails_required\":false", "\"handles\":7", "manifest: \"handles\" is not an array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {""};
        struct manifest m;
        char *text = changed(cases[i].from, cases[i].to);
        errno = 0;
        assert_int_equal(parse(text, &m, &e), -1);
        assert_int_equal(errno, EINVAL);
        assert_string_equal(e.text, cases[i].message);
        free(text);
    }
}

static void test_manifest__refuses_what_is_no_object(void **state)
{
    (void)state;
    struct err e = {""};
    struct manifest m;
    assert_int_equal(parse("[]", &m, &e), -1);
    assert_string_equal(e.text, "manifest: not an object");
    assert_int_equal(manifest_parse(NULL, &m, &e), -1);
}

static void test_manifest__knows_the_names_of_run_states(void **state)
{
    (void)state;
    for (int s = RUN_QUEUED; s <= RUN_CANCELLED; s++) {
        enum run_status back = RUN_QUEUED;
        assert_true(run_status_parse(run_status_name((enum run_status)s), &back));
        assert_int_equal(back, s);
    }
    enum run_status kept = RUN_FAILED;
    assert_string_equal(run_status_name(RUN_IN_PROGRESS), "in_progress");
    assert_false(run_status_parse("running", &kept));
    assert_false(run_status_parse(NULL, &kept));
    assert_int_equal(kept, RUN_FAILED);
}

static void *no_memory(size_t n)
{
    (void)n;
    return NULL;
}

static void test_manifest__reports_lack_of_memory_and_recovers(void **state)
{
    (void)state;
    cJSON_Hooks none = {no_memory, free};
    struct buf text = BUF_INIT;
    struct manifest m;
    make(&m);
    cJSON_InitHooks(&none);
    assert_int_equal(manifest_add_child(&m, "r", "p", RUN_SUCCEEDED, "m.json"), -1);
    assert_int_equal(errno, ENOMEM);
    cJSON_InitHooks(NULL);
    assert_int_equal(m.n_child_runs, 0);
    assert_int_equal(m.child_runs.len, 0);
    assert_int_equal(manifest_print(&m, &text), 0);
    assert_string_equal(text.data, new_manifest);
    buf_release(&text);
    manifest_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest__prints_a_new_run_exactly),
        cmocka_unit_test(test_manifest__follows_the_stage_table),
        cmocka_unit_test(test_manifest__refuses_an_entry_that_is_not_there),
        cmocka_unit_test(test_manifest__sets_times_with_transitions),
        cmocka_unit_test(test_manifest__keeps_every_update_of_a_stage_that_fails_half_way),
        cmocka_unit_test(test_manifest__clears_what_a_resumed_stage_will_set_again),
        cmocka_unit_test(test_manifest__keeps_a_succeeded_stage_on_resume),
        cmocka_unit_test(test_manifest__prints_only_changed_entries_again),
        cmocka_unit_test(test_manifest__set_replaces_and_clears_a_text),
        cmocka_unit_test(test_manifest__adds_a_summary_line_once),
        cmocka_unit_test(test_manifest__writes_handles_and_privacy_after_the_first_command),
        cmocka_unit_test(test_manifest__counts_frames_exactly),
        cmocka_unit_test(test_manifest__lists_child_runs),
        cmocka_unit_test(test_manifest__words_guardrails),
        cmocka_unit_test(test_manifest__replaces_guardrail_lines_of_the_summary),
        cmocka_unit_test(test_manifest__reads_back_what_it_printed),
        cmocka_unit_test(test_manifest__reads_fields_back),
        cmocka_unit_test(test_manifest__writes_foreign_members_back),
        cmocka_unit_test(test_manifest__keeps_instructions_and_prompt_packs_of_others),
        cmocka_unit_test(test_manifest__words_the_guardrail_advice_of_others_anew),
        cmocka_unit_test(test_manifest__takes_the_id_for_a_title_that_is_missing),
        cmocka_unit_test(test_manifest__names_the_member_that_is_wrong),
        cmocka_unit_test(test_manifest__refuses_what_is_no_object),
        cmocka_unit_test(test_manifest__knows_the_names_of_run_states),
        cmocka_unit_test(test_manifest__reports_lack_of_memory_and_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
