/* Who asks for the cloud: every cell of the table in docs/execution-mode.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "mode.h"

#define U FLAG_UNSET
#define F FLAG_FALSE
#define T FLAG_TRUE

enum verdict { MCP, CLOUD, PASSED_OVER };

/* What the site makes of `execution_mode` and `mode`, without flags. */
static enum verdict judge(enum mode_site site, const char *execution_mode, const char *mode)
{
    struct mode_input in = {.flags = {U, U, U}, .execution_mode = execution_mode, .mode = mode};
    bool without = mode_requires_cloud(site, &in);
    in.parallel = true;
    bool with = mode_requires_cloud(site, &in);
    return without ? CLOUD : with ? PASSED_OVER : MCP;
}

static void test_mode__first_flag_that_is_set_decides_everywhere(void **state)
{
    (void)state;
    static const struct {
        enum flag flags[3];
        bool cloud;
    } cases[] = {{{T, F, F}, true},  {{F, T, T}, false}, {{U, T, F}, true},
                 {{U, F, T}, false}, {{U, U, T}, true},  {{U, U, F}, false}};
    for (int site = MODE_CLI_POLICY; site <= MODE_PLANNER; site++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct mode_input in = {.parallel = !cases[i].cloud};
            in.execution_mode = in.mode = cases[i].cloud ? "mcp" : "cloud";
            memcpy(in.flags, cases[i].flags, sizeof in.flags);
            assert_int_equal(mode_requires_cloud((enum mode_site)site, &in), cases[i].cloud);
        }
    }
}

struct spelling {
    const char *text;
    enum verdict cli, manager, planner;
};

static const struct spelling spellings[] = {
    {"cloud", CLOUD, CLOUD, CLOUD},
    {"mcp", MCP, MCP, MCP},
    {"CLOUD", CLOUD, CLOUD, CLOUD},
    {"Mcp", MCP, MCP, MCP},
    {" cloud ", PASSED_OVER, CLOUD, PASSED_OVER},
    {"\tmcp\n", PASSED_OVER, MCP, PASSED_OVER},
    {"true", PASSED_OVER, CLOUD, PASSED_OVER},
    {"1", PASSED_OVER, CLOUD, PASSED_OVER},
    {"yes", PASSED_OVER, CLOUD, PASSED_OVER},
    {" Yes", PASSED_OVER, CLOUD, PASSED_OVER},
    {"false", PASSED_OVER, MCP, PASSED_OVER},
    {"0", PASSED_OVER, MCP, PASSED_OVER},
    {"no", PASSED_OVER, MCP, PASSED_OVER},
    {"NO ", PASSED_OVER, MCP, PASSED_OVER},
    {"", PASSED_OVER, PASSED_OVER, PASSED_OVER},
    {"  ", PASSED_OVER, PASSED_OVER, PASSED_OVER},
    {"on", PASSED_OVER, PASSED_OVER, PASSED_OVER},
    {"clouds", PASSED_OVER, PASSED_OVER, PASSED_OVER},
    {"clou", PASSED_OVER, PASSED_OVER, PASSED_OVER},
    {"mcp cloud", PASSED_OVER, PASSED_OVER, PASSED_OVER},
};
#define N_SPELLINGS (sizeof spellings / sizeof *spellings)

static void test_mode__cli_policy_spellings(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SPELLINGS; i++) {
        assert_int_equal(judge(MODE_CLI_POLICY, spellings[i].text, NULL), spellings[i].cli);
        assert_int_equal(judge(MODE_CLI_POLICY, NULL, spellings[i].text), spellings[i].cli);
    }
}

static void test_mode__manager_spellings(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SPELLINGS; i++) {
        assert_int_equal(judge(MODE_MANAGER, spellings[i].text, NULL), spellings[i].manager);
        assert_int_equal(judge(MODE_MANAGER, NULL, spellings[i].text), spellings[i].manager);
    }
}

static void test_mode__planner_spellings(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SPELLINGS; i++)
        assert_int_equal(judge(MODE_PLANNER, spellings[i].text, NULL), spellings[i].planner);
}

static void test_mode__cli_policy_reads_execution_mode_before_mode(void **state)
{
    (void)state;
    assert_int_equal(judge(MODE_CLI_POLICY, "cloud", "mcp"), CLOUD);
    assert_int_equal(judge(MODE_CLI_POLICY, "mcp", "cloud"), MCP);
    assert_int_equal(judge(MODE_CLI_POLICY, "yes", "cloud"), CLOUD);
    assert_int_equal(judge(MODE_CLI_POLICY, "", "mcp"), MCP);
}

static void test_mode__manager_reads_mode_before_execution_mode(void **state)
{
    (void)state;
    assert_int_equal(judge(MODE_MANAGER, "cloud", "mcp"), MCP);
    assert_int_equal(judge(MODE_MANAGER, "mcp", "cloud"), CLOUD);
    assert_int_equal(judge(MODE_MANAGER, "no", "maybe"), MCP);
    assert_int_equal(judge(MODE_MANAGER, "1", " "), CLOUD);
}

static void test_mode__planner_reads_no_mode(void **state)
{
    (void)state;
    assert_int_equal(judge(MODE_PLANNER, NULL, "cloud"), PASSED_OVER);
    assert_int_equal(judge(MODE_PLANNER, "other", "mcp"), PASSED_OVER);
}

static void test_mode__parallel_decides_where_nothing_else_does(void **state)
{
    (void)state;
    struct mode_input in = {.flags = {U, U, U}};
    for (int site = MODE_CLI_POLICY; site <= MODE_PLANNER; site++) {
        in.parallel = false;
        assert_false(mode_requires_cloud((enum mode_site)site, &in));
        in.parallel = true;
        assert_true(mode_requires_cloud((enum mode_site)site, &in));
    }
}

static struct plan_hints no_hints(void)
{
    struct plan_hints h = {.runnable = U, .default_target = U};
    h.plan_requiresCloud = h.plan_requires_cloud = U;
    h.stage_requires_cloud = h.stage_requiresCloud = U;
    return h;
}

/* From here on the hints' texts are arrays: struct plan_hints has no const members. */
static char cloud_text[] = "cloud", mcp_text[] = "mcp", padded[] = " \r\n CLoud\t\v\f",
            blank[] = " \t", truthy[] = "TRUE";

static void test_mode__stage_flags_in_the_planners_order(void **state)
{
    (void)state;
    static const struct {
        enum flag plan_camel, plan_snake, stage_snake, stage_camel;
        bool cloud;
    } cases[] = {
        {T, F, F, F, true}, {F, T, T, T, false}, {U, T, F, F, true}, {U, F, T, T, false},
        {U, U, T, F, true}, {U, U, F, T, false}, {U, U, U, T, true}, {U, U, U, F, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_hints h = no_hints();
        h.plan_requiresCloud = cases[i].plan_camel;
        h.plan_requires_cloud = cases[i].plan_snake;
        h.stage_requires_cloud = cases[i].stage_snake;
        h.stage_requiresCloud = cases[i].stage_camel;
        h.plan_executionMode = cases[i].cloud ? mcp_text : cloud_text;
        assert_int_equal(mode_stage_requires_cloud(&h), cases[i].cloud);
    }
}

static void test_mode__stage_hint_in_the_planners_order(void **state)
{
    (void)state;
    char hint[16];
    struct plan_hints h = no_hints();
    assert_false(mode_stage_requires_cloud(&h));
    mode_stage_hint(&h, hint, sizeof hint);
    assert_string_equal(hint, "");
    h.stage_mode = cloud_text;
    assert_true(mode_stage_requires_cloud(&h));
    h.stage_execution_mode = mcp_text;
    assert_false(mode_stage_requires_cloud(&h));
    h.stage_executionMode = cloud_text;
    assert_true(mode_stage_requires_cloud(&h));
    h.plan_executionMode = mcp_text;
    assert_false(mode_stage_requires_cloud(&h));
}

static void test_mode__stage_hint_that_decides_nothing_hides_later_ones(void **state)
{
    (void)state;
    char hint[16];
    struct plan_hints h = no_hints();
    h.stage_mode = cloud_text;
    h.stage_executionMode = truthy;
    assert_false(mode_stage_requires_cloud(&h));
    mode_stage_hint(&h, hint, sizeof hint);
    assert_string_equal(hint, "true");
    h.plan_executionMode = blank;
    assert_false(mode_stage_requires_cloud(&h));
    mode_stage_hint(&h, hint, sizeof hint);
    assert_string_equal(hint, "");
}

static void test_mode__stage_hint_is_trimmed_and_lower_cased(void **state)
{
    (void)state;
    char hint[16];
    struct plan_hints h = no_hints();
    h.stage_mode = padded;
    assert_true(mode_stage_requires_cloud(&h));
    mode_stage_hint(&h, hint, sizeof hint);
    assert_string_equal(hint, "cloud");
}

static void test_mode__long_hint_is_cut_between_characters(void **state)
{
    (void)state;
    static char accents[] = "  A\xC3\xA9\xE2\x82\xAC"; /* A, e acute, euro */
    static char long_cloud[] = "cloudcloudcloudcloud";
    char hint[8];
    struct plan_hints h = no_hints();
    h.stage_mode = accents;
    mode_stage_hint(&h, hint, 7);
    assert_string_equal(hint, "a\xC3\xA9\xE2\x82\xAC");
    mode_stage_hint(&h, hint, 6);
    assert_string_equal(hint, "a\xC3\xA9");
    mode_stage_hint(&h, hint, 3);
    assert_string_equal(hint, "a");
    mode_stage_hint(&h, hint, 1);
    assert_string_equal(hint, "");
    h.stage_mode = long_cloud;
    assert_false(mode_stage_requires_cloud(&h));
}

static void test_mode__names(void **state)
{
    (void)state;
    assert_string_equal(mode_name(true), "cloud");
    assert_string_equal(mode_name(false), "mcp");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode__first_flag_that_is_set_decides_everywhere),
        cmocka_unit_test(test_mode__cli_policy_spellings),
        cmocka_unit_test(test_mode__manager_spellings),
        cmocka_unit_test(test_mode__planner_spellings),
        cmocka_unit_test(test_mode__cli_policy_reads_execution_mode_before_mode),
        cmocka_unit_test(test_mode__manager_reads_mode_before_execution_mode),
        cmocka_unit_test(test_mode__planner_reads_no_mode),
        cmocka_unit_test(test_mode__parallel_decides_where_nothing_else_does),
        cmocka_unit_test(test_mode__stage_flags_in_the_planners_order),
        cmocka_unit_test(test_mode__stage_hint_in_the_planners_order),
        cmocka_unit_test(test_mode__stage_hint_that_decides_nothing_hides_later_ones),
        cmocka_unit_test(test_mode__stage_hint_is_trimmed_and_lower_cased),
        cmocka_unit_test(test_mode__long_hint_is_cut_between_characters),
        cmocka_unit_test(test_mode__names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
