/* Run folders: what a new one holds, its modes, and what stands in the way of making one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "ids.h"
#include "rundir.h"
#include "tmpdir.h"

#define RUN "2026-11-22T17-08-00-123Z-0a1b2c3d"
#define NOW INT64_C(1795367280123)
#define NOW_TEXT "2026-11-22T17:08:00.123Z"
#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define THREADS 8

struct place {
    char folder[64];
    char root[80], runs[96], out[96], task[8], slug[8];
    struct workspace w;
    mode_t umask;
};

static int setup(void **state)
{
    struct place *p = malloc(sizeof *p);
    assert_non_null(p);
    tmpdir_make(p->folder);
    snprintf(p->root, sizeof p->root, "%s/repo", p->folder);
    snprintf(p->runs, sizeof p->runs, "%s/.runs", p->root);
    snprintf(p->out, sizeof p->out, "%s/out", p->root);
    strcpy(p->task, "t1");
    strcpy(p->slug, "demo");
    p->w = (struct workspace){p->root, p->runs, p->out, p->task, p->slug};
    p->umask = umask(022);
    assert_int_equal(mkdir(p->root, 0700), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    umask(p->umask);
    tmpdir_remove(p->folder);
    free(p);
    return 0;
}

static const char *at(const struct place *p, const char *rest)
{
    return tmpdir_at(p->folder, rest);
}

static void make_folder(const struct place *p, const char *rest)
{
    assert_int_equal(mkdir(at(p, rest), 0755), 0);
}

static void make_file(const struct place *p, const char *rest, const char *text)
{
    FILE *f = fopen(at(p, rest), "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_mode(const struct place *p, const char *rest, mode_t expected)
{
    struct stat st;
    if (lstat(at(p, rest), &st) < 0)
        fail_msg("%s: %s", rest, strerror(errno));
    assert_int_equal(st.st_mode, expected);
}

static void assert_content(const struct place *p, const char *rest, const char *expected)
{
    char text[1024];
    FILE *f = fopen(at(p, rest), "re");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static void assert_created(const struct place *p)
{
    struct rundir d;
    struct err e = {""};
    if (rundir_create(&d, &p->w, RUN, TOKEN, NOW, &e) < 0)
        fail_msg("%s", e.text);
    rundir_release(&d);
}

/* Creating fails, and the message is the path of `rest` followed by `why`. */
static void assert_refused(const struct place *p, const char *rest, const char *why)
{
    struct rundir d;
    struct err e = {""};
    char expected[512];
    snprintf(expected, sizeof expected, "%s: %s", at(p, rest), why);
    assert_int_equal(rundir_create(&d, &p->w, RUN, TOKEN, NOW, &e), -1);
    assert_string_equal(e.text, expected);
    assert_int_equal(d.fd, -1);
    assert_null(d.path);
    assert_null(d.rel);
}

#define IN_THE_WAY "a link or a file is where a folder should be; remove it"

/* ---- rundir ---- */

static void test_rundir__makes_the_folder_with_tight_modes(void **state)
{
    struct place *p = *state;
    umask(0);
    assert_created(p);
    assert_mode(p, "repo/.runs", S_IFDIR | 0777);
    assert_mode(p, "repo/.runs/t1", S_IFDIR | 0777);
    assert_mode(p, "repo/.runs/t1/cli", S_IFDIR | 0777);
    assert_mode(p, "repo/.runs/t1/cli/" RUN, S_IFDIR | 0700);
    assert_mode(p, "repo/.runs/t1/cli/" RUN "/commands", S_IFDIR | 0700);
    assert_mode(p, "repo/.runs/t1/cli/" RUN "/errors", S_IFDIR | 0700);
    assert_mode(p, "repo/.runs/t1/cli/" RUN "/.resume-token", S_IFREG | 0600);
    assert_mode(p, "repo/.runs/t1/cli/" RUN "/.heartbeat", S_IFREG | 0600);
}

static void test_rundir__applies_the_umask_to_parents(void **state)
{
    struct place *p = *state;
    umask(027);
    assert_created(p);
    assert_mode(p, "repo/.runs", S_IFDIR | 0750);
    assert_mode(p, "repo/.runs/t1", S_IFDIR | 0750);
    assert_mode(p, "repo/.runs/t1/cli", S_IFDIR | 0750);
}

static void test_rundir__writes_token_and_heartbeat(void **state)
{
    struct place *p = *state;
    assert_created(p);
    assert_content(p, "repo/.runs/t1/cli/" RUN "/.resume-token", TOKEN "\n");
    assert_content(p, "repo/.runs/t1/cli/" RUN "/.heartbeat", NOW_TEXT "\n");
}

static void test_rundir__names_and_opens_the_folder(void **state)
{
    struct place *p = *state;
    struct rundir d;
    struct stat by_fd, by_path;
    struct err e = {""};
    assert_int_equal(rundir_create(&d, &p->w, RUN, TOKEN, NOW, &e), 0);
    assert_string_equal(d.path, at(p, "repo/.runs/t1/cli/" RUN));
    assert_string_equal(d.rel, ".runs/t1/cli/" RUN);
    assert_int_equal(fstat(d.fd, &by_fd), 0);
    assert_int_equal(stat(d.path, &by_path), 0);
    assert_int_equal(by_fd.st_ino, by_path.st_ino);
    assert_int_equal(fcntl(d.fd, F_GETFD), FD_CLOEXEC);
    int fd = d.fd;
    rundir_release(&d);
    assert_int_equal(d.fd, -1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    rundir_release(&d); /* once more is harmless */
}

static void test_rundir__leaves_pointers_for_older_readers(void **state)
{
    struct place *p = *state;
    char target[256];
    assert_created(p);
    assert_content(p, "repo/.runs/t1/mcp/" RUN "/manifest.json",
                   "{\n"
                   "  \"redirect_to\": \".runs/t1/cli/" RUN "\",\n"
                   "  \"manifest\": \".runs/t1/cli/" RUN "/manifest.json\",\n"
                   "  \"created_at\": \"" NOW_TEXT "\",\n"
                   "  \"note\": \"Generated by codex CLI for backward compatibility.\"\n"
                   "}\n");
    ssize_t n =
        readlink(at(p, "repo/.runs/local-mcp/" RUN "/manifest.json"), target, sizeof target - 1);
    assert_true(n > 0);
    target[n] = '\0';
    assert_string_equal(target, "../../t1/cli/" RUN "/manifest.json");
    make_file(p, "repo/.runs/t1/cli/" RUN "/manifest.json", "the manifest");
    assert_content(p, "repo/.runs/local-mcp/" RUN "/manifest.json", "the manifest");
}

static void test_rundir__points_out_of_the_root_when_runs_are_elsewhere(void **state)
{
    struct place *p = *state;
    struct rundir d;
    struct err e = {""};
    snprintf(p->runs, sizeof p->runs, "%s/a/b", p->folder);
    assert_int_equal(rundir_create(&d, &p->w, RUN, TOKEN, NOW, &e), 0);
    assert_string_equal(d.path, at(p, "a/b/t1/cli/" RUN));
    assert_string_equal(d.rel, "../a/b/t1/cli/" RUN);
    rundir_release(&d);
}

static void test_rundir__refuses_a_run_that_exists(void **state)
{
    struct place *p = *state;
    assert_created(p);
    assert_refused(p, "repo/.runs/t1/cli/" RUN, "File exists");
    assert_content(p, "repo/.runs/t1/cli/" RUN "/.resume-token", TOKEN "\n");
}

static void test_rundir__follows_a_link_in_place_of_the_runs_folder(void **state)
{
    struct place *p = *state;
    make_folder(p, "elsewhere");
    assert_int_equal(symlink("../elsewhere", p->runs), 0);
    assert_created(p);
    assert_mode(p, "elsewhere/t1/cli/" RUN "/commands", S_IFDIR | 0700);
}

static void test_rundir__refuses_a_runs_folder_that_is_none(void **state)
{
    struct place *p = *state;
    make_file(p, "repo/.runs", "");
    assert_refused(p, "repo/.runs", IN_THE_WAY);
    assert_int_equal(unlink(p->runs), 0);
    assert_int_equal(symlink("/nowhere/at/all", p->runs), 0);
    assert_refused(p, "repo/.runs", IN_THE_WAY);
}

static void test_rundir__refuses_links_planted_below_the_runs_folder(void **state)
{
    static const char *const folders[] = {"repo/.runs/t1", "repo/.runs/t1/cli", "repo/.runs/t1/mcp",
                                          "repo/.runs/local-mcp"};
    struct place *p = *state;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        make_folder(p, "victim");
        make_folder(p, "repo/.runs");
        if (strncmp(folders[i], "repo/.runs/t1/", 14) == 0)
            make_folder(p, "repo/.runs/t1");
        assert_int_equal(symlink(at(p, "victim"), at(p, folders[i])), 0);
        assert_refused(p, folders[i], IN_THE_WAY);
        assert_int_equal(rmdir(at(p, "victim")), 0); /* it is empty still */
        tmpdir_remove(p->runs);
    }
}

static void test_rundir__refuses_a_link_planted_as_the_run(void **state)
{
    struct place *p = *state;
    make_folder(p, "victim");
    make_folder(p, "repo/.runs");
    make_folder(p, "repo/.runs/t1");
    make_folder(p, "repo/.runs/t1/cli");
    assert_int_equal(symlink(at(p, "victim"), at(p, "repo/.runs/t1/cli/" RUN)), 0);
    assert_refused(p, "repo/.runs/t1/cli/" RUN, "File exists");
    assert_int_equal(rmdir(at(p, "victim")), 0);
}

static void test_rundir__refuses_planted_pointers(void **state)
{
    struct place *p = *state;
    make_file(p, "victim", "precious");
    assert_int_equal(make_folders(at(p, "repo/.runs/t1/mcp/" RUN)), 0);
    assert_int_equal(symlink(at(p, "victim"), at(p, "repo/.runs/t1/mcp/" RUN "/manifest.json")), 0);
    assert_refused(p, "repo/.runs/t1/mcp/" RUN "/manifest.json", "File exists");
    assert_content(p, "victim", "precious");
    assert_mode(p, "repo/.runs/t1/cli/" RUN, S_IFDIR | 0700); /* stays for whoever looks */
}

static void test_rundir__names_a_file_in_place_of_the_task_folder(void **state)
{
    struct place *p = *state;
    make_folder(p, "repo/.runs");
    make_file(p, "repo/.runs/t1", "");
    assert_refused(p, "repo/.runs/t1", IN_THE_WAY);
}

static void *create_own_run(void *arg)
{
    const struct place *p = arg;
    char run[ID_RUN_LEN + 1];
    struct rundir d;
    id_run(NOW, run);
    intptr_t result = rundir_create(&d, &p->w, run, TOKEN, NOW, NULL);
    rundir_release(&d);
    return (void *)result;
}

static void test_rundir__starts_several_runs_of_a_new_task_at_once(void **state)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, create_own_run, *state), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

/* ---- folders ---- */

static void test_make_folders__makes_missing_parents(void **state)
{
    struct place *p = *state;
    umask(027);
    assert_int_equal(make_folders(at(p, "a/b/c")), 0);
    assert_mode(p, "a", S_IFDIR | 0750);
    assert_mode(p, "a/b", S_IFDIR | 0750);
    assert_mode(p, "a/b/c", S_IFDIR | 0750);
    assert_int_equal(make_folders(at(p, "a/b/c")), 0);
}

static void test_make_folders__passes_through_a_link_but_does_not_end_at_one(void **state)
{
    struct place *p = *state;
    make_folder(p, "real");
    assert_int_equal(symlink("real", at(p, "link")), 0);
    assert_int_equal(make_folders(at(p, "link/a/b")), 0);
    assert_mode(p, "real/a/b", S_IFDIR | 0755);
    assert_int_equal(make_folders(at(p, "link")), -1);
    assert_int_equal(errno, ELOOP);
}

static void test_make_folders__refuses_files_and_dangling_links(void **state)
{
    struct place *p = *state;
    make_file(p, "file", "");
    assert_int_equal(symlink("nowhere", at(p, "link")), 0);
    assert_int_equal(make_folders(at(p, "file")), -1);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(make_folders(at(p, "file/a")), -1);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(make_folders(at(p, "link/a/b")), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(make_folders(""), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(access(at(p, "nowhere"), F_OK), -1);
}

static void test_open_folder__follows_no_link_and_opens_no_file(void **state)
{
    struct place *p = *state;
    struct stat st;
    make_file(p, "file", "");
    assert_int_equal(symlink("repo", at(p, "link")), 0);
    int fd = open_folder(p->root);
    assert_true(fd >= 0);
    assert_int_equal(fstatat(fd, "../file", &st, 0), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
    assert_int_equal(open_folder(at(p, "link")), -1);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(open_folder(at(p, "file")), -1);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(open_folder(at(p, "none")), -1);
    assert_int_equal(errno, ENOENT);
}

static void test_rundir__names_the_files_of_commands(void **state)
{
    char name[128], small[8];
    (void)state;
    rundir_command_file(name, sizeof name, "commands", 1, "hello", "ndjson");
    assert_string_equal(name, "commands/01-hello.ndjson");
    rundir_command_file(name, sizeof name, "errors", 12, "../a b/c", "json");
    assert_string_equal(name, "errors/12-a-b-c.json");
    rundir_command_file(name, sizeof name, "commands", 1234, "///", "ndjson");
    assert_string_equal(name, "commands/1234-command.ndjson");
    rundir_command_file(small, sizeof small, "commands", 1, "hello", "ndjson");
    assert_string_equal(small, "command");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rundir__makes_the_folder_with_tight_modes),
        TEST(test_rundir__applies_the_umask_to_parents),
        TEST(test_rundir__writes_token_and_heartbeat),
        TEST(test_rundir__names_and_opens_the_folder),
        TEST(test_rundir__leaves_pointers_for_older_readers),
        TEST(test_rundir__points_out_of_the_root_when_runs_are_elsewhere),
        TEST(test_rundir__refuses_a_run_that_exists),
        TEST(test_rundir__follows_a_link_in_place_of_the_runs_folder),
        TEST(test_rundir__refuses_a_runs_folder_that_is_none),
        TEST(test_rundir__refuses_links_planted_below_the_runs_folder),
        TEST(test_rundir__refuses_a_link_planted_as_the_run),
        TEST(test_rundir__refuses_planted_pointers),
        TEST(test_rundir__names_a_file_in_place_of_the_task_folder),
        TEST(test_rundir__starts_several_runs_of_a_new_task_at_once),
        TEST(test_make_folders__makes_missing_parents),
        TEST(test_make_folders__passes_through_a_link_but_does_not_end_at_one),
        TEST(test_make_folders__refuses_files_and_dangling_links),
        TEST(test_open_folder__follows_no_link_and_opens_no_file),
        TEST(test_rundir__names_the_files_of_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
