/* Where a run lives, and the arithmetic of paths. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "tmpdir.h"
#include "workspace.h"

static char folder[64]; /* the test's own; also the current folder */

static int setup(void **state)
{
    static const char *const names[] = {"CODEX_ORCHESTRATOR_ROOT", "CODEX_ORCHESTRATOR_RUNS_DIR",
                                        "CODEX_ORCHESTRATOR_OUT_DIR", "MCP_RUNNER_TASK_ID"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    tmpdir_make(folder);
    return chdir(folder);
}

static int teardown(void **state)
{
    (void)state;
    if (chdir("/") < 0)
        return -1;
    tmpdir_remove(folder);
    return 0;
}

static void write_index(const char *text)
{
    assert_true(mkdir(tmpdir_at(folder, "tasks"), 0700) == 0 || access(tmpdir_at(folder, "tasks"), F_OK) == 0);
    FILE *f = fopen(tmpdir_at(folder, "tasks/index.json"), "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static struct workspace opened(const char *root, const char *task)
{
    struct workspace w;
    struct err e = {""};
    if (workspace_open(&w, root, task, &e) < 0)
        fail_msg("%s", e.text);
    return w;
}

static void assert_refused(const char *root, const char *task, const char *expected)
{
    struct workspace w;
    struct err e = {""};
    assert_int_equal(workspace_open(&w, root, task, &e), -1);
    assert_string_equal(e.text, expected);
    assert_null(w.root);
    assert_null(w.task_id);
}

static void assert_slug(const char *index, const char *task, const char *expected)
{
    write_index(index);
    struct workspace w = opened(NULL, task);
    assert_string_equal(w.task_id, task);
    assert_string_equal(w.task_slug, expected);
    workspace_release(&w);
}

static void assert_bad_index(const char *index, const char *why)
{
    char expected[256];
    write_index(index);
    snprintf(expected, sizeof expected, "%s%s", tmpdir_at(folder, "tasks/index.json"), why);
    assert_refused(NULL, "t1", expected);
}

static void assert_absolute(const char *base, const char *path, const char *expected)
{
    char *text = path_absolute(base, path);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void assert_relative(const char *from, const char *to, const char *expected)
{
    char *text = path_relative(from, to);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void test_path_absolute__is_normal(void **state)
{
    (void)state;
    assert_absolute("/a/b", "c", "/a/b/c");
    assert_absolute("/a/b", "/c/d", "/c/d");
    assert_absolute("/a/b", ".", "/a/b");
    assert_absolute("/a/b", "", "/a/b");
    assert_absolute("/a/b", "..", "/a");
    assert_absolute("/a/b", "../..", "/");
    assert_absolute("/a/b", "../../../..", "/");
    assert_absolute("/a/b", "../../../c", "/c");
    assert_absolute("/a//b/", "./c//d/./e/", "/a/b/c/d/e");
    assert_absolute("/long-name/b", "../../x", "/x");
    assert_absolute("/", "a", "/a");
    assert_absolute("/", "/", "/");
    assert_absolute("/", "..", "/");
    assert_absolute("/a", "...", "/a/...");
    assert_absolute("/a", ".b/..c", "/a/.b/..c");
}

static void test_path_relative__leads_from_one_to_the_other(void **state)
{
    (void)state;
    assert_relative("/a/b", "/a/b/c/d", "c/d");
    assert_relative("/a/b", "/a/b", ".");
    assert_relative("/a/b", "/a", "..");
    assert_relative("/a/b", "/", "../..");
    assert_relative("/a/b", "/a/c", "../c");
    assert_relative("/a/b", "/a/bc", "../bc");
    assert_relative("/a/bc", "/a/b", "../b");
    assert_relative("/a/b/c", "/x/y", "../../../x/y");
    assert_relative("/", "/a/b", "a/b");
    assert_relative("/", "/", ".");
    assert_relative("/repo", "/.runs/t1/cli/r", "../.runs/t1/cli/r");
}

static void test_workspace__is_the_current_folder_by_default(void **state)
{
    (void)state;
    struct workspace w = opened(NULL, NULL);
    assert_string_equal(w.root, folder);
    assert_string_equal(w.runs, tmpdir_at(folder, ".runs"));
    assert_string_equal(w.out, tmpdir_at(folder, "out"));
    assert_string_equal(w.task_id, "0101");
    assert_string_equal(w.task_slug, "0101");
    workspace_release(&w);
    assert_null(w.root);
    assert_int_equal(access(tmpdir_at(folder, ".runs"), F_OK), -1);
    assert_int_equal(access(tmpdir_at(folder, "out"), F_OK), -1);
}

static void test_workspace__follows_the_environment(void **state)
{
    (void)state;
    assert_int_equal(mkdir(tmpdir_at(folder, "repo"), 0700), 0);
    setenv("CODEX_ORCHESTRATOR_ROOT", tmpdir_at(folder, "x/../repo/"), 1);
    setenv("CODEX_ORCHESTRATOR_RUNS_DIR", tmpdir_at(folder, ".runs"), 1);
    setenv("CODEX_ORCHESTRATOR_OUT_DIR", "../out/./here", 1);
    setenv("MCP_RUNNER_TASK_ID", "0042-demo", 1);
    struct workspace w = opened(NULL, NULL);
    assert_string_equal(w.root, tmpdir_at(folder, "repo"));
    assert_string_equal(w.runs, tmpdir_at(folder, ".runs"));
    assert_string_equal(w.out, tmpdir_at(folder, "out/here"));
    assert_string_equal(w.task_id, "0042-demo");
    char *rel = workspace_relative(&w, tmpdir_at(folder, ".runs/0042-demo/cli/r1"));
    assert_string_equal(rel, "../.runs/0042-demo/cli/r1");
    free(rel);
    workspace_release(&w);
}

static void test_workspace__takes_empty_variables_as_unset(void **state)
{
    (void)state;
    setenv("CODEX_ORCHESTRATOR_ROOT", "", 1);
    setenv("CODEX_ORCHESTRATOR_RUNS_DIR", "", 1);
    setenv("CODEX_ORCHESTRATOR_OUT_DIR", "", 1);
    setenv("MCP_RUNNER_TASK_ID", "", 1);
    struct workspace w = opened(NULL, NULL);
    assert_string_equal(w.root, folder);
    assert_string_equal(w.runs, tmpdir_at(folder, ".runs"));
    assert_string_equal(w.out, tmpdir_at(folder, "out"));
    assert_string_equal(w.task_id, "0101");
    workspace_release(&w);
}

static void test_workspace__takes_a_relative_root_from_the_current_folder(void **state)
{
    (void)state;
    assert_int_equal(mkdir(tmpdir_at(folder, "repo"), 0700), 0);
    setenv("CODEX_ORCHESTRATOR_ROOT", "repo", 1);
    struct workspace w = opened(NULL, NULL);
    assert_string_equal(w.root, tmpdir_at(folder, "repo"));
    assert_string_equal(w.runs, tmpdir_at(folder, "repo/.runs"));
    workspace_release(&w);
}

static void test_workspace__keeps_links_in_paths(void **state)
{
    (void)state;
    assert_int_equal(mkdir(tmpdir_at(folder, "repo"), 0700), 0);
    assert_int_equal(symlink("repo", tmpdir_at(folder, "link")), 0);
    struct workspace w = opened(tmpdir_at(folder, "link"), NULL);
    assert_string_equal(w.root, tmpdir_at(folder, "link"));
    workspace_release(&w);
}

static void test_workspace__arguments_override_the_environment(void **state)
{
    (void)state;
    setenv("CODEX_ORCHESTRATOR_ROOT", "/nowhere/at/all", 1);
    setenv("MCP_RUNNER_TASK_ID", "../evil", 1);
    struct workspace w = opened(folder, "t1");
    assert_string_equal(w.root, folder);
    assert_string_equal(w.task_id, "t1");
    workspace_release(&w);
}

static void test_workspace__refuses_a_root_that_is_no_folder(void **state)
{
    char expected[256];
    (void)state;
    write_index("{\"items\":[]}");
    setenv("CODEX_ORCHESTRATOR_ROOT", tmpdir_at(folder, "none"), 1);
    snprintf(expected, sizeof expected, "CODEX_ORCHESTRATOR_ROOT: %s/none: %s", folder,
             "No such file or directory");
    assert_refused(NULL, NULL, expected);
    snprintf(expected, sizeof expected, "repository root: %s/tasks/index.json: %s", folder,
             "Not a directory");
    assert_refused(tmpdir_at(folder, "tasks/index.json"), NULL, expected);
}

static void test_workspace__names_a_current_folder_that_is_gone(void **state)
{
    (void)state;
    assert_int_equal(mkdir(tmpdir_at(folder, "gone"), 0700), 0);
    assert_int_equal(chdir(tmpdir_at(folder, "gone")), 0);
    assert_int_equal(rmdir(tmpdir_at(folder, "gone")), 0);
    assert_refused(NULL, NULL, "current folder: No such file or directory");
}

static void test_workspace__refuses_unsafe_task_ids_and_names_their_source(void **state)
{
    (void)state;
    assert_refused(NULL, "a/b", "--task: Invalid task ID \"a/b\": slashes are not allowed");
    assert_refused(NULL, "", "--task: Invalid task ID: it is empty");
    setenv("MCP_RUNNER_TASK_ID", "../evil", 1);
    assert_refused(NULL, NULL,
                   "MCP_RUNNER_TASK_ID: Invalid task ID \"../evil\": slashes are not allowed");
}

static void test_workspace__finds_the_slug_of_the_task(void **state)
{
    (void)state;
    const char *index = "{\"items\":[{\"id\":\"t0\",\"slug\":\"zero\"},"
                        "{\"id\":\"t1\",\"slug\":\"0042-demo\",\"title\":\"Demo\"},"
                        "{\"id\":\"t1\",\"slug\":\"second\"},{\"id\":\"t2\"},"
                        "{\"id\":\"t3\",\"slug\":null},{\"id\":7}]}";
    assert_slug(index, "t1", "0042-demo");
    assert_slug(index, "t2", "t2");
    assert_slug(index, "t3", "t3");
    assert_slug(index, "t4", "t4");
    assert_slug("{\"items\":[]}", "t1", "t1");
}

static void test_workspace__refuses_a_broken_task_index(void **state)
{
    (void)state;
    assert_bad_index("{\"items\":[\n  tru]}", ":2:3: not valid JSON");
    assert_bad_index("[]", ": expected an object with an array \"items\"");
    assert_bad_index("{}", ": expected an object with an array \"items\"");
    assert_bad_index("{\"items\":{\"id\":1}}", ": expected an object with an array \"items\"");
    assert_bad_index("{\"items\":[{\"id\":\"x\"},4]}", ": items[1] is not an object");
    assert_bad_index("{\"items\":[{\"id\":\"t1\",\"slug\":4}]}",
                     ": items[0]: \"slug\" is not a string");
}

static void test_workspace__names_a_task_index_that_cannot_be_read(void **state)
{
    char expected[256];
    (void)state;
    assert_int_equal(mkdir(tmpdir_at(folder, "tasks"), 0700), 0);
    assert_int_equal(mkdir(tmpdir_at(folder, "tasks/index.json"), 0700), 0);
    snprintf(expected, sizeof expected, "%s/tasks/index.json: Is a directory", folder);
    assert_refused(NULL, "t1", expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_path_absolute__is_normal),
        TEST(test_path_relative__leads_from_one_to_the_other),
        TEST(test_workspace__is_the_current_folder_by_default),
        TEST(test_workspace__follows_the_environment),
        TEST(test_workspace__takes_empty_variables_as_unset),
        TEST(test_workspace__takes_a_relative_root_from_the_current_folder),
        TEST(test_workspace__keeps_links_in_paths),
        TEST(test_workspace__arguments_override_the_environment),
        TEST(test_workspace__refuses_a_root_that_is_no_folder),
        TEST(test_workspace__names_a_current_folder_that_is_gone),
        TEST(test_workspace__refuses_unsafe_task_ids_and_names_their_source),
        TEST(test_workspace__finds_the_slug_of_the_task),
        TEST(test_workspace__refuses_a_broken_task_index),
        TEST(test_workspace__names_a_task_index_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
