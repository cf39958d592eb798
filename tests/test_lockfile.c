/* Lock files between processes: ours, and those the original leaves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "clock.h"
#include "lockfile.h"
#include "tmpdir.h"

#define PROCESSES 8
#define ROUNDS 100
#define PATIENCE_MS 120000LL
#define FOREIGN "0b0e7a5e-65c3-4f0c-9d51-1f0e6a4a8a11" /* as the original writes it */

struct place {
    char folder[64];
    char lock[96], counter[96];
};

static int setup(void **state)
{
    struct place *p = malloc(sizeof *p);
    assert_non_null(p);
    tmpdir_make(p->folder);
    snprintf(p->lock, sizeof p->lock, "%s/t1.lock", p->folder);
    snprintf(p->counter, sizeof p->counter, "%s/counter", p->folder);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    clock_inject(NULL, NULL);
    tmpdir_remove(p->folder);
    free(p);
    return 0;
}

static void plant(const char *path, const char *text, time_t age_s)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct timespec times[2] = {{time(NULL) - age_s, 0}, {time(NULL) - age_s, 0}};
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void read_text(const char *path, char out[128])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, out, 127);
    assert_true(n >= 0);
    out[n] = '\0';
    close(fd);
}

static void assert_content(const char *path, const char *expected)
{
    char text[128];
    read_text(path, text);
    assert_string_equal(text, expected);
}

static void assert_absent(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), -1);
    assert_int_equal(errno, ENOENT);
}

/* A take that must end at once with `expected`. */
static struct err assert_take(struct lockfile *l, const char *path, int expected)
{
    struct err e = {""};
    assert_int_equal(lockfile_take(l, path, 0, &e), expected);
    assert_int_equal(l->fd >= 0, expected == 1);
    assert_int_equal(e.text[0] != '\0', expected < 0);
    return e;
}

static void assert_refused(const struct place *p, const char *why)
{
    struct lockfile l;
    char expected[256];
    snprintf(expected, sizeof expected, "lock file %s: %s", p->lock, why);
    assert_string_equal(assert_take(&l, p->lock, -1).text, expected);
}

/* ---- children: exit 0 if all went well ---- */

static int counted(const char *path)
{
    int value = 0;
    FILE *f = fopen(path, "re");
    if (!f || fscanf(f, "%d", &value) != 1)
        value = 0;
    if (f)
        fclose(f);
    return value;
}

/* Adds one in steps that others would break if the lock let them in. */
static int add_one(const char *path)
{
    int value = counted(path);
    sched_yield();
    FILE *f = fopen(path, "we");
    if (!f)
        return -1;
    fprintf(f, "%d", value + 1);
    return fclose(f);
}

static int count_under_lock(const struct place *p, int rounds)
{
    struct err e;
    for (int i = 0; i < rounds; i++) {
        struct lockfile l;
        if (lockfile_take(&l, p->lock, PATIENCE_MS, &e) != 1)
            return 1;
        int result = add_one(p->counter);
        lockfile_drop(&l);
        if (result < 0)
            return 2;
    }
    return 0;
}

/* Starts children that all wait for one pipe to close, lets them go, and waits for them. */
static void count_in_processes(const struct place *p, int rounds)
{
    int gate[2];
    pid_t children[PROCESSES];
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            char c;
            close(gate[1]);
            _exit(read(gate[0], &c, 1) == 0 ? count_under_lock(p, rounds) : 3);
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
}

/* A child that has taken the lock and waits to be killed. */
static pid_t start_holder(const struct place *p)
{
    int ready[2];
    char c = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct lockfile l;
        struct err e;
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failing test leaves no child behind */
        if (lockfile_take(&l, p->lock, 0, &e) == 1 && write(ready[1], "y", 1) == 1) {
            for (;;)
                pause();
        }
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return child;
}

static void kill_holder(pid_t child)
{
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

/* ---- tests ---- */

static void test_lockfile__holds_a_marked_token_with_tight_mode(void **state)
{
    struct place *p = *state;
    struct lockfile l;
    struct stat st;
    char text[128];
    assert_take(&l, p->lock, 1);
    read_text(p->lock, text);
    assert_int_equal(strlen(text), 6 + 36);
    assert_memory_equal(text, "corch:", 6);
    assert_int_equal(lstat(p->lock, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    lockfile_drop(&l);
}

static void test_lockfile__is_gone_after_drop(void **state)
{
    struct place *p = *state;
    struct lockfile l;
    assert_take(&l, p->lock, 1);
    lockfile_drop(&l);
    assert_absent(p->lock);
    assert_int_equal(l.fd, -1);
    lockfile_drop(&l); /* nothing to drop */
    assert_take(&l, p->lock, 1);
    lockfile_drop(&l);
}

static void test_lockfile__is_not_given_twice(void **state)
{
    struct place *p = *state;
    struct lockfile first, second;
    assert_take(&first, p->lock, 1);
    assert_take(&second, p->lock, 0);
    lockfile_drop(&second); /* not held: must not remove the first one's file */
    assert_take(&second, p->lock, 0);
    lockfile_drop(&first);
    assert_take(&second, p->lock, 1);
    lockfile_drop(&second);
}

static void test_lockfile__excludes_other_processes(void **state)
{
    struct place *p = *state;
    count_in_processes(p, ROUNDS);
    assert_int_equal(counted(p->counter), PROCESSES * ROUNDS);
    assert_absent(p->lock);
}

static void test_lockfile__gives_a_stale_lock_to_one_of_many_at_a_time(void **state)
{
    struct place *p = *state;
    for (int i = 0; i < 40; i++) {
        plant(p->lock, i % 2 ? FOREIGN : "corch:" FOREIGN, 3600);
        count_in_processes(p, 2);
        assert_int_equal(counted(p->counter), (i + 1) * PROCESSES * 2);
        assert_absent(p->lock);
    }
}

static int64_t in_a_year(void)
{
    return (int64_t)time(NULL) * 1000 + INT64_C(365) * 86400 * 1000;
}

/* To that clock a file created but not locked yet is old, so it may be removed as stale: its
 * creator has to notice. */
static void test_lockfile__notices_that_its_new_file_was_taken_for_stale(void **state)
{
    struct place *p = *state;
    clock_inject(in_a_year, NULL);
    count_in_processes(p, ROUNDS);
    assert_int_equal(counted(p->counter), PROCESSES * ROUNDS);
    assert_absent(p->lock);
}

static void test_lockfile__of_a_living_process_is_respected_however_old(void **state)
{
    struct place *p = *state;
    struct lockfile l;
    struct timespec old[2] = {{1, 0}, {1, 0}};
    pid_t child = start_holder(p);
    assert_int_equal(utimensat(AT_FDCWD, p->lock, old, 0), 0);
    assert_take(&l, p->lock, 0);
    kill_holder(child);
}

static void test_lockfile__of_a_killed_process_is_taken_over_at_once(void **state)
{
    struct place *p = *state;
    struct lockfile l;
    kill_holder(start_holder(p));
    assert_int_equal(access(p->lock, F_OK), 0);
    assert_take(&l, p->lock, 1);
    lockfile_drop(&l);
    assert_absent(p->lock);
}

static void test_lockfile__respects_a_foreign_fresh_lock_for_the_whole_wait(void **state)
{
    struct place *p = *state;
    struct lockfile l;
    struct err e = {""};
    plant(p->lock, FOREIGN, 0);
    int64_t begin = clock_mono_ns();
    assert_int_equal(lockfile_take(&l, p->lock, 30, &e), 0);
    assert_true(clock_mono_ns() - begin >= 30 * 1000000);
    assert_string_equal(e.text, "");
    assert_content(p->lock, FOREIGN);
}

static void test_lockfile__judges_a_foreign_lock_by_its_age(void **state)
{
    struct place *p = *state;
    struct lockfile l;
    plant(p->lock, FOREIGN, LOCK_STALE_MS / 1000 - 60);
    assert_take(&l, p->lock, 0);
    plant(p->lock, FOREIGN, LOCK_STALE_MS / 1000 + 1);
    assert_take(&l, p->lock, 1);
    lockfile_drop(&l);
}

static void test_lockfile__heals_a_foreign_old_lock(void **state)
{
    struct place *p = *state;
    struct lockfile l;
    plant(p->lock, FOREIGN, 3600);
    assert_take(&l, p->lock, 1);
    lockfile_drop(&l);
    assert_absent(p->lock);
}

static void test_lockfile__judges_what_only_resembles_ours_by_its_age(void **state)
{
    static const char *const texts[] = {"", "corch:", "corch:0b0e7a5e-65c3-4f0c-9d51-1f0e6a4a8a1",
                                        "corch:0b0e7a5e-65c3-4f0c-9d51-1f0e6a4a8a1x",
                                        "corch:0b0e7a5e+65c3-4f0c-9d51-1f0e6a4a8a11"};
    struct place *p = *state;
    struct lockfile l;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        plant(p->lock, texts[i], 0);
        assert_take(&l, p->lock, 0);
        assert_content(p->lock, texts[i]);
        plant(p->lock, texts[i], 3600);
        assert_take(&l, p->lock, 1);
        lockfile_drop(&l);
    }
}

static void test_lockfile__keeps_an_old_lock_that_somebody_is_looking_at(void **state)
{
    struct place *p = *state;
    struct lockfile l;
    plant(p->lock, FOREIGN, 3600);
    int fd = open(p->lock, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_take(&l, p->lock, 0);
    close(fd);
    assert_take(&l, p->lock, 1);
    lockfile_drop(&l);
}

static void test_lockfile__drop_leaves_the_lock_of_somebody_else(void **state)
{
    struct place *p = *state;
    struct lockfile l;
    assert_take(&l, p->lock, 1);
    assert_int_equal(unlink(p->lock), 0);
    plant(p->lock, FOREIGN, 0);
    lockfile_drop(&l);
    assert_content(p->lock, FOREIGN);
}

static void test_lockfile__refuses_a_planted_link(void **state)
{
    struct place *p = *state;
    plant(p->counter, "precious", 3600);
    assert_int_equal(symlink(p->counter, p->lock), 0);
    assert_refused(p, "is a link; remove it");
    assert_content(p->counter, "precious");
    assert_int_equal(unlink(p->counter), 0);
    assert_refused(p, "is a link; remove it"); /* also when it leads nowhere */
    assert_absent(p->counter);
}

static void test_lockfile__refuses_what_is_not_a_regular_file(void **state)
{
    struct place *p = *state;
    assert_int_equal(mkfifo(p->lock, 0600), 0);
    assert_refused(p, "not a regular file; remove it");
    assert_int_equal(unlink(p->lock), 0);
    assert_int_equal(mkdir(p->lock, 0700), 0);
    assert_refused(p, "Is a directory");
}

static void test_lockfile__names_a_missing_folder(void **state)
{
    struct place *p = *state;
    snprintf(p->lock, sizeof p->lock, "%s/none/t1.lock", p->folder);
    assert_refused(p, "No such file or directory");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lockfile__holds_a_marked_token_with_tight_mode),
        TEST(test_lockfile__is_gone_after_drop),
        TEST(test_lockfile__is_not_given_twice),
        TEST(test_lockfile__excludes_other_processes),
        TEST(test_lockfile__gives_a_stale_lock_to_one_of_many_at_a_time),
        TEST(test_lockfile__notices_that_its_new_file_was_taken_for_stale),
        TEST(test_lockfile__of_a_living_process_is_respected_however_old),
        TEST(test_lockfile__of_a_killed_process_is_taken_over_at_once),
        TEST(test_lockfile__respects_a_foreign_fresh_lock_for_the_whole_wait),
        TEST(test_lockfile__judges_a_foreign_lock_by_its_age),
        TEST(test_lockfile__heals_a_foreign_old_lock),
        TEST(test_lockfile__judges_what_only_resembles_ours_by_its_age),
        TEST(test_lockfile__keeps_an_old_lock_that_somebody_is_looking_at),
        TEST(test_lockfile__drop_leaves_the_lock_of_somebody_else),
        TEST(test_lockfile__refuses_a_planted_link),
        TEST(test_lockfile__refuses_what_is_not_a_regular_file),
        TEST(test_lockfile__names_a_missing_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
