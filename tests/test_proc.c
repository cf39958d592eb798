/* Child processes: how they end, what they inherit, and that nothing holds their pipes open. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "buf.h"
#include "proc.h"

#define PATIENCE_MS 60000 /* what has not come by then never will */

static int spawn(struct proc *p, const char *command, const char *cwd, const char **failed)
{
    const struct proc_request request = {command, cwd, environ, proc_signals()};
    return proc_spawn(p, &request, failed);
}

static struct proc started(const char *command)
{
    struct proc p;
    const char *failed;
    if (spawn(&p, command, NULL, &failed) != 0)
        fail_msg("can't %s: %s", failed, strerror(errno));
    return p;
}

/* Waits until `fd` has something to read or is at its end; false: never. */
static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1;
}

/* Reads to the end of file; false if that does not come. */
static bool read_to_end(int fd, struct buf *out)
{
    for (;;) {
        char bytes[4096];
        if (!readable(fd))
            return false;
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n == 0)
            return true;
        if (n > 0)
            buf_add(out, bytes, (size_t)n);
    }
}

static void reap(struct proc *p, int *exit_code, int *signal_number)
{
    assert_true(readable(p->pidfd));
    assert_int_equal(proc_reap(p, exit_code, signal_number), 0);
    proc_close(p, 0);
    proc_close(p, 1);
    proc_close(p, 1); /* again: nothing */
    assert_int_equal(p->pidfd, -1);
    assert_int_equal(p->out[0], -1);
    assert_int_equal(p->out[1], -1);
}

static void assert_end(const char *command, int exit_code, int signal_number)
{
    int code = -2, number = -2;
    struct proc p = started(command);
    reap(&p, &code, &number);
    assert_int_equal(code, exit_code);
    assert_int_equal(number, signal_number);
}

/* The command succeeds and prints that. */
static void assert_prints(const char *command, const char *out, const char *err)
{
    int code, number;
    struct buf got[2] = {BUF_INIT, BUF_INIT};
    struct proc p = started(command);
    for (int i = 0; i < 2; i++) {
        buf_addstr(&got[i], "");
        assert_true(read_to_end(p.out[i], &got[i]));
    }
    reap(&p, &code, &number);
    assert_string_equal(got[0].data, out);
    assert_string_equal(got[1].data, err);
    assert_int_equal(code, 0);
    buf_release(&got[0]);
    buf_release(&got[1]);
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void test_proc__tells_exit_codes(void **state)
{
    (void)state;
    assert_end(MISBEHAVE " exit 0", 0, 0);
    assert_end(MISBEHAVE " exit 7", 7, 0);
    assert_end("exit 255", 255, 0);
    assert_end("no-such-command-anywhere", 127, 0);
}

static void test_proc__tells_signals(void **state)
{
    (void)state;
    assert_end("exec " MISBEHAVE " kill 9", -1, SIGKILL);
    assert_end("exec " MISBEHAVE " kill 13", -1, SIGPIPE);
}

static void test_proc__names_signals(void **state)
{
    (void)state;
    char name[16];
    assert_string_equal(proc_signal_name(SIGKILL, name), "SIGKILL");
    assert_string_equal(proc_signal_name(SIGUSR1, name), "SIGUSR1");
    assert_string_equal(proc_signal_name(42, name), "SIG42");
}

static void test_proc__keeps_stdout_and_stderr_apart(void **state)
{
    (void)state;
    assert_prints(MISBEHAVE " both 2", "out 1\nout 2\n", "err 1\nerr 2\n");
}

static void test_proc__gives_an_empty_stdin(void **state)
{
    (void)state;
    assert_prints("cat; readlink /proc/self/fd/0", "/dev/null\n", "");
}

static void test_proc__makes_a_process_group_of_its_own(void **state)
{
    (void)state;
    assert_prints("read stat < /proc/$$/stat; set -- $stat; test $5 = $$ && echo own", "own\n", "");
}

/* The command's blocked and ignored signals. 32 and 33 are the C library's own: its posix_spawn
 * leaves them ignored, and a program's library sets them up anew. */
static void assert_no_signal_blocked_or_ignored(void)
{
    static const uint64_t library = UINT64_C(3) << 31;
    unsigned long blocked = 1, ignored = 1;
    int code, number;
    struct buf out = BUF_INIT;
    struct proc p = started("exec " MISBEHAVE " signals");
    assert_true(read_to_end(p.out[0], &out));
    reap(&p, &code, &number);
    assert_int_equal(sscanf(out.data, "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2);
    buf_release(&out);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & ~library, 0);
}

/* What a command inherits must not depend on the thread that starts it. */
static void test_proc__resets_signals_that_the_caller_blocks_and_ignores(void **state)
{
    (void)state;
    static const int some[] = {SIGINT, SIGTERM, SIGPIPE, SIGUSR1};
    sigset_t set, old;
    void (*handlers[4])(int);
    sigemptyset(&set);
    for (size_t i = 0; i < 4; i++) {
        sigaddset(&set, some[i]);
        handlers[i] = signal(some[i], SIG_IGN);
    }
    pthread_sigmask(SIG_BLOCK, &set, &old);
    assert_no_signal_blocked_or_ignored();
    /* bash can't change what was ignored when it was started: it would live on */
    assert_end("exec bash -c 'kill -PIPE $$; exit 5'", -1, SIGPIPE);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    for (size_t i = 0; i < 4; i++)
        signal(some[i], handlers[i]);
}

static void test_proc__passes_on_no_descriptor_of_ours(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, as other libraries do it */
    assert_true(fd > 2);
    assert_prints("exec " MISBEHAVE " fds", "", "");
    close(fd);
}

/* Its pipes get the free numbers then, which are the ones the command is to have. */
static void test_proc__works_without_standard_descriptors(void **state)
{
    (void)state;
    int saved[3];
    for (int i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
        close(i);
    }
    struct proc p = started(MISBEHAVE " both 1; readlink /proc/self/fd/0");
    struct buf got[2] = {BUF_INIT, BUF_INIT};
    bool whole = read_to_end(p.out[0], &got[0]) && read_to_end(p.out[1], &got[1]);
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    int code, number;
    reap(&p, &code, &number);
    assert_true(whole);
    assert_string_equal(got[0].data, "out 1\n/dev/null\n");
    assert_string_equal(got[1].data, "err 1\n");
    buf_release(&got[0]);
    buf_release(&got[1]);
}

static void test_proc__passes_on_the_environment_it_is_given(void **state)
{
    (void)state;
    char one[] = "ONE=1";
    char *const env[] = {one, NULL};
    struct buf out = BUF_INIT;
    struct proc p;
    const char *failed;
    int code, number;
    setenv("CORCH_TEST_OURS", "x", 1);
    const struct proc_request request = {.command = "echo $ONE${CORCH_TEST_OURS-none}; pwd",
                                         .cwd = "/usr",
                                         .env = env};
    assert_int_equal(proc_spawn(&p, &request, &failed), 0);
    assert_true(read_to_end(p.out[0], &out));
    reap(&p, &code, &number);
    assert_string_equal(out.data, "1none\n/usr\n");
    buf_release(&out);
    unsetenv("CORCH_TEST_OURS");
}

/* The command can't be started; that is why, and nothing is left of the try. */
static void assert_not_started(const char *command, const char *cwd, const char *what, int error)
{
    struct proc p;
    const char *failed = NULL;
    unsigned before = open_descriptors();
    errno = 0;
    assert_int_equal(spawn(&p, command, cwd, &failed), -1);
    assert_int_equal(errno, error);
    assert_string_equal(failed, what);
    assert_int_equal(open_descriptors(), before);
}

static void test_proc__says_that_the_folder_is_missing(void **state)
{
    (void)state;
    assert_not_started("true", "/nowhere/at/all", "enter its folder", ENOENT);
}

static void test_proc__says_that_the_folder_is_a_file(void **state)
{
    (void)state;
    assert_not_started("true", "/etc/passwd", "enter its folder", ENOTDIR);
}

static void test_proc__says_that_the_command_is_too_long(void **state)
{
    (void)state;
    size_t n = (size_t)1024 * 1024;
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, ' ', n);
    text[n] = '\0';
    assert_not_started(text, NULL, "start /bin/sh", E2BIG);
    free(text);
}

static void test_proc__says_that_there_is_no_descriptor_left(void **state)
{
    (void)state;
    struct rlimit old, none;
    struct proc p;
    const char *failed = NULL;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 3; /* what is open stays open; nothing new can be */
    setrlimit(RLIMIT_NOFILE, &none);
    int rc = spawn(&p, "true", NULL, &failed);
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(rc, -1);
    assert_int_equal(error, EMFILE);
    assert_string_equal(failed, "open a pipe for its output");
}

static void read_until(int fd, const char *text)
{
    struct buf got = BUF_INIT;
    while (!got.data || !strstr(got.data, text)) {
        char bytes[256];
        assert_true(readable(fd));
        ssize_t n = read(fd, bytes, sizeof bytes);
        assert_true(n > 0);
        buf_add(&got, bytes, (size_t)n);
    }
    buf_release(&got);
}

/* The grandchildren hold stdout: its end of file says that they are dead. */
static void test_proc__signals_the_whole_group(void **state)
{
    (void)state;
    int code, number;
    struct buf rest = BUF_INIT;
    struct proc p = started(MISBEHAVE " ignore-term & " MISBEHAVE " ignore-term & wait");
    read_until(p.out[0], "ready\nready\n");
    proc_signal(&p, SIGKILL);
    assert_true(read_to_end(p.out[0], &rest));
    reap(&p, &code, &number);
    assert_int_equal(number, SIGKILL);
    buf_release(&rest);
}

/* The number of a group stays taken until its leader is reaped, so who is left can be reached. */
static void test_proc__signals_the_group_of_a_leader_that_has_exited(void **state)
{
    (void)state;
    int code, number;
    struct buf rest = BUF_INIT;
    struct proc p = started("exec " MISBEHAVE " background 600");
    assert_true(readable(p.pidfd));
    proc_signal(&p, SIGKILL);
    assert_true(read_to_end(p.out[0], &rest));
    reap(&p, &code, &number);
    assert_int_equal(code, 0);
    assert_int_equal(number, 0);
    buf_release(&rest);
}

enum { THREADS = 16, SPAWNS = 50 };

struct spawner {
    struct proc procs[SPAWNS];
    unsigned ended; /* of 2 * SPAWNS pipes */
    pthread_t thread;
};

/* Children that have let go of their own pipes and live on: whoever was given an end of a
 * sibling's pipe holds it for ever. */
static void *spawn_many(void *arg)
{
    struct spawner *s = arg;
    for (int i = 0; i < SPAWNS; i++) {
        const char *failed;
        if (spawn(&s->procs[i], "exec " MISBEHAVE " hold", NULL, &failed) != 0)
            return NULL;
    }
    for (int i = 0; i < SPAWNS; i++) {
        for (int j = 0; j < 2; j++) {
            struct buf none = BUF_INIT;
            s->ended += read_to_end(s->procs[i].out[j], &none) && none.len == 0;
            buf_release(&none);
        }
    }
    return NULL;
}

static void test_proc__leaks_no_pipe_to_siblings_spawned_by_other_threads(void **state)
{
    (void)state;
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct spawner *spawners = calloc(THREADS, sizeof *spawners);
    assert_non_null(spawners);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&spawners[i].thread, NULL, spawn_many, &spawners[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(spawners[i].thread, NULL);
    unsigned ended = 0;
    for (int i = 0; i < THREADS; i++) {
        for (int j = 0; j < SPAWNS && spawners[i].procs[j].pid > 0; j++) {
            int code, number;
            proc_signal(&spawners[i].procs[j], SIGKILL);
            reap(&spawners[i].procs[j], &code, &number);
        }
        ended += spawners[i].ended;
    }
    free(spawners);
    assert_int_equal(ended, 2 * THREADS * SPAWNS);
}

/* The kernel forgets the ends of children then: not to know is not success. */
static void test_proc__says_that_the_exit_status_is_lost(void **state)
{
    (void)state;
    int code, number;
    signal(SIGCHLD, SIG_IGN);
    struct proc p = started("exit 3");
    assert_true(readable(p.pidfd));
    errno = 0;
    assert_int_equal(proc_reap(&p, &code, &number), -1);
    assert_int_equal(errno, ECHILD);
    signal(SIGCHLD, SIG_DFL);
    proc_close(&p, 0);
    proc_close(&p, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proc__tells_exit_codes),
        cmocka_unit_test(test_proc__tells_signals),
        cmocka_unit_test(test_proc__names_signals),
        cmocka_unit_test(test_proc__keeps_stdout_and_stderr_apart),
        cmocka_unit_test(test_proc__gives_an_empty_stdin),
        cmocka_unit_test(test_proc__makes_a_process_group_of_its_own),
        cmocka_unit_test(test_proc__resets_signals_that_the_caller_blocks_and_ignores),
        cmocka_unit_test(test_proc__passes_on_no_descriptor_of_ours),
        cmocka_unit_test(test_proc__works_without_standard_descriptors),
        cmocka_unit_test(test_proc__passes_on_the_environment_it_is_given),
        cmocka_unit_test(test_proc__says_that_the_folder_is_missing),
        cmocka_unit_test(test_proc__says_that_the_folder_is_a_file),
        cmocka_unit_test(test_proc__says_that_the_command_is_too_long),
        cmocka_unit_test(test_proc__says_that_there_is_no_descriptor_left),
        cmocka_unit_test(test_proc__signals_the_whole_group),
        cmocka_unit_test(test_proc__signals_the_group_of_a_leader_that_has_exited),
        cmocka_unit_test(test_proc__says_that_the_exit_status_is_lost),
        cmocka_unit_test(test_proc__leaks_no_pipe_to_siblings_spawned_by_other_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
