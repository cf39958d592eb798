/* Finding a run's folder by its id: where it is looked for, and what links may not do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "find_run.h"
#include "tmpdir.h"

#define RUN "2026-11-22T17-08-00-123Z-0a1b2c3d"
#define OTHER "2026-11-22T17-08-00-123Z-ffffffff"
#define POINTER ".runs/local-mcp/" RUN "/manifest.json"

struct place {
    char root[64];
    char runs[96], out[96], task[8], slug[8];
    struct workspace w;
    struct rundir dir;
    struct buf manifest;
    struct err e;
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    tmpdir_make(p->root);
    snprintf(p->runs, sizeof p->runs, "%s/.runs", p->root);
    snprintf(p->out, sizeof p->out, "%s/out", p->root);
    strcpy(p->task, "t1");
    strcpy(p->slug, "t1");
    p->w = (struct workspace){p->root, p->runs, p->out, p->task, p->slug};
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    buf_release(&p->manifest);
    tmpdir_remove(p->root);
    free(p);
    return 0;
}

static const char *at(const struct place *p, const char *rest)
{
    return tmpdir_at(p->root, rest);
}

static void make_file(const struct place *p, const char *rest, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s", at(p, rest));
    *strrchr(path, '/') = '\0';
    assert_int_equal(make_folders(path), 0);
    FILE *f = fopen(at(p, rest), "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void make_link(const struct place *p, const char *rest, const char *target)
{
    make_file(p, rest, "");
    assert_int_equal(unlink(at(p, rest)), 0);
    assert_int_equal(symlink(target, at(p, rest)), 0);
}

static int find(struct place *p, const char *id)
{
    return find_run(&p->w, id, &p->dir, &p->manifest, &p->e);
}

/* The run is found in the folder `rel`, and its manifest holds `text`. */
static void expect_found(struct place *p, const char *rel, const char *text)
{
    struct stat by_fd, by_path;
    if (find(p, RUN) != 0)
        fail_msg("%s", p->e.text);
    assert_string_equal(p->dir.rel, rel);
    assert_string_equal(p->dir.path, at(p, rel));
    assert_string_equal(p->manifest.data, text);
    assert_int_equal(fstat(p->dir.fd, &by_fd), 0);
    assert_int_equal(stat(at(p, rel), &by_path), 0);
    assert_true(by_fd.st_ino == by_path.st_ino && by_fd.st_dev == by_path.st_dev);
    assert_int_equal(fcntl(p->dir.fd, F_GETFD), FD_CLOEXEC);
    rundir_release(&p->dir);
}

static void expect_refused(struct place *p, const char *id, const char *why)
{
    assert_int_equal(find(p, id), -1);
    if (!strstr(p->e.text, why))
        fail_msg("'%s' lacks '%s'", p->e.text, why);
    assert_int_equal(p->dir.fd, -1);
    assert_null(p->dir.path);
    assert_int_equal(p->manifest.len, 0);
}

static void test_find_run__looks_into_the_task_first(void **state)
{
    struct place *p = *state;
    make_file(p, ".runs/t1/cli/" RUN "/manifest.json", "ours");
    make_file(p, ".runs/a/cli/" RUN "/manifest.json", "another's");
    make_link(p, POINTER, "../../a/cli/" RUN "/manifest.json");
    expect_found(p, ".runs/t1/cli/" RUN, "ours");
}

static void test_find_run__follows_a_pointer_that_is_a_link(void **state)
{
    struct place *p = *state;
    make_file(p, ".runs/a/elsewhere/" RUN "/manifest.json", "pointed to");
    make_link(p, POINTER, "../../a/elsewhere/" RUN "/manifest.json");
    expect_found(p, ".runs/a/elsewhere/" RUN, "pointed to");
}

static void test_find_run__follows_a_pointer_that_names_a_manifest(void **state)
{
    struct place *p = *state;
    make_file(p, ".runs/a/elsewhere/" RUN "/manifest.json", "pointed to");
    make_file(p, POINTER, "{\"manifest\":\".runs/a/elsewhere/" RUN "/manifest.json\"}");
    expect_found(p, ".runs/a/elsewhere/" RUN, "pointed to");
}

static void test_find_run__follows_a_pointer_that_names_a_folder(void **state)
{
    struct place *p = *state;
    char text[512];
    make_file(p, ".runs/a/elsewhere/" RUN "/manifest.json", "pointed to");
    snprintf(text, sizeof text, "{\"redirect_to\":\"%s\"}", at(p, ".runs/a/elsewhere/" RUN));
    make_file(p, POINTER, text);
    expect_found(p, ".runs/a/elsewhere/" RUN, "pointed to");
}

static void test_find_run__looks_into_every_task_last(void **state)
{
    struct place *p = *state;
    make_file(p, ".runs/a/cli/" OTHER "/manifest.json", "another run");
    make_file(p, ".runs/b.lock", "a file");
    make_file(p, ".runs/z/cli/" RUN "/manifest.json", "found");
    expect_found(p, ".runs/z/cli/" RUN, "found");
}

static void test_find_run__passes_over_pointers_that_lead_nowhere(void **state)
{
    struct place *p = *state;
    make_file(p, ".runs/z/cli/" RUN "/manifest.json", "found");
    make_link(p, POINTER, "../../gone/cli/" RUN "/manifest.json");
    expect_found(p, ".runs/z/cli/" RUN, "found");
    buf_clear(&p->manifest);
    assert_int_equal(unlink(at(p, POINTER)), 0);
    make_file(p, POINTER, "{ not JSON");
    expect_found(p, ".runs/z/cli/" RUN, "found");
    buf_clear(&p->manifest);
    assert_int_equal(unlink(at(p, POINTER)), 0);
    assert_int_equal(mkfifo(at(p, POINTER), 0600), 0);
    expect_found(p, ".runs/z/cli/" RUN, "found");
}

static void test_find_run__takes_a_runs_folder_that_is_a_link(void **state)
{
    struct place *p = *state;
    make_file(p, "disk/a/elsewhere/" RUN "/manifest.json", "pointed to");
    make_file(p, "disk/local-mcp/" RUN "/manifest.json",
              "{\"manifest\":\".runs/a/elsewhere/" RUN "/manifest.json\"}");
    assert_int_equal(symlink("disk", at(p, ".runs")), 0);
    expect_found(p, ".runs/a/elsewhere/" RUN, "pointed to");
}

static void test_find_run__reads_no_manifest_unless_asked(void **state)
{
    struct place *p = *state;
    assert_int_equal(make_folders(at(p, ".runs/t1/cli/" RUN)), 0);
    assert_int_equal(find_run(&p->w, RUN, &p->dir, NULL, &p->e), 0);
    rundir_release(&p->dir);
    expect_refused(p, RUN, "/.runs/t1/cli/" RUN "/manifest.json: No such file");
}

static void test_find_run__says_where_it_looked_in_vain(void **state)
{
    struct place *p = *state;
    char want[160];
    snprintf(want, sizeof want, "Run '" RUN "' not found in %s.", p->runs);
    expect_refused(p, RUN, want);
    make_file(p, ".runs/t1/cli/" OTHER "/manifest.json", "another run");
    expect_refused(p, RUN, want);
}

static void test_find_run__refuses_ids_that_are_no_names(void **state)
{
    struct place *p = *state;
    make_file(p, ".runs/t1/cli/x/manifest.json", "{}");
    expect_refused(p, "../cli/x", "Invalid run ID \"../cli/x\": slashes are not allowed");
    expect_refused(p, "..", "Invalid run ID \"..\": leading dots are not allowed");
    expect_refused(p, "", "Invalid run ID: it is empty");
    expect_refused(p, NULL, "Invalid run ID: it is empty");
}

static void test_find_run__follows_no_link_on_the_way(void **state)
{
    struct place *p = *state;
    make_file(p, "evil/" RUN "/manifest.json", "planted");
    make_link(p, ".runs/t1/cli/" RUN, "../../../evil/" RUN);
    expect_refused(p, RUN, "/.runs/t1/cli/" RUN ": a link or a file is where a folder should be");
    tmpdir_remove(p->runs);
    make_link(p, ".runs/t1/cli", "../../evil");
    expect_refused(p, RUN, "/.runs/t1/cli/" RUN ": a link or a file is where a folder should be");
    tmpdir_remove(p->runs);
    make_file(p, "evil/cli/" RUN "/manifest.json", "planted");
    make_link(p, ".runs/another", "../evil");
    expect_refused(p, RUN, "not found");
    make_link(p, ".runs/local-mcp/" RUN, "../../evil/" RUN);
    expect_refused(p, RUN, "not found");
}

static void test_find_run__reads_no_manifest_through_a_link(void **state)
{
    struct place *p = *state;
    make_file(p, "evil/manifest.json", "planted");
    make_link(p, ".runs/t1/cli/" RUN "/manifest.json", "../../../../evil/manifest.json");
    expect_refused(p, RUN, "manifest.json: Too many levels of symbolic links");
}

static void test_find_run__refuses_pointers_out_of_the_runs_folder(void **state)
{
    struct place *p = *state;
    make_file(p, "evil/" RUN "/manifest.json", "planted");
    make_link(p, POINTER, "../../../evil/" RUN "/manifest.json");
    expect_refused(p, RUN, "/.runs/local-mcp/" RUN "/manifest.json does not lead to a run");
    assert_int_equal(unlink(at(p, POINTER)), 0);
    make_file(p, POINTER, "{\"manifest\":\".runs/../evil/" RUN "/manifest.json\"}");
    expect_refused(p, RUN, "does not lead to a run");
    /* A name that only begins like the runs folder's. */
    make_file(p, ".runs2/" RUN "/manifest.json", "planted");
    make_file(p, POINTER, "{\"redirect_to\":\".runs2/" RUN "\"}");
    expect_refused(p, RUN, "does not lead to a run");
    /* Out of it by a link within it. */
    make_link(p, ".runs/a", "../evil");
    make_file(p, POINTER, "{\"redirect_to\":\".runs/a/" RUN "\"}");
    expect_refused(p, RUN, "does not lead to a run");
}

static void test_find_run__refuses_pointers_to_another_run(void **state)
{
    struct place *p = *state;
    make_file(p, ".runs/a/cli/" OTHER "/manifest.json", "another run");
    make_link(p, POINTER, "../../a/cli/" OTHER "/manifest.json");
    expect_refused(p, RUN, "does not lead to a run " RUN);
    assert_int_equal(unlink(at(p, POINTER)), 0);
    make_file(p, ".runs/a/cli/" RUN "/other.json", "no manifest");
    make_link(p, POINTER, "../../a/cli/" RUN "/other.json");
    expect_refused(p, RUN, "does not lead to a run");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find_run__looks_into_the_task_first),
        TEST(test_find_run__follows_a_pointer_that_is_a_link),
        TEST(test_find_run__follows_a_pointer_that_names_a_manifest),
        TEST(test_find_run__follows_a_pointer_that_names_a_folder),
        TEST(test_find_run__looks_into_every_task_last),
        TEST(test_find_run__passes_over_pointers_that_lead_nowhere),
        TEST(test_find_run__takes_a_runs_folder_that_is_a_link),
        TEST(test_find_run__reads_no_manifest_unless_asked),
        TEST(test_find_run__says_where_it_looked_in_vain),
        TEST(test_find_run__refuses_ids_that_are_no_names),
        TEST(test_find_run__follows_no_link_on_the_way),
        TEST(test_find_run__reads_no_manifest_through_a_link),
        TEST(test_find_run__refuses_pointers_out_of_the_runs_folder),
        TEST(test_find_run__refuses_pointers_to_another_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
