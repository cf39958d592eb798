/* Appending to a log: each piece whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "logfile.h"
#include "tmpdir.h"

struct folder {
    char path[64];
    int fd, log;
};

static int setup(void **state)
{
    static struct folder f;
    tmpdir_make(f.path);
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f.log = logfile_open(f.fd, "log");
    assert_true(f.fd >= 0 && f.log >= 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;
    close(f->log);
    close(f->fd);
    tmpdir_remove(f->path);
    return 0;
}

static void assert_log(const struct folder *f, const char *want)
{
    char got[4096];
    int fd = openat(f->fd, "log", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, got, sizeof got);
    close(fd);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(got, want, strlen(want));
}

static void test_logfile__appends_pieces_in_order(void **state)
{
    struct folder *f = *state;
    char one[] = "one\n", two[] = "two\n";
    const struct iovec lines[] = {{one, 4}, {two, 4}};
    assert_int_equal(logfile_append(f->log, lines, 2, NULL), 2);
    assert_int_equal(logfile_append(f->log, lines, 1, NULL), 1);
    assert_int_equal(logfile_append(f->log, lines, 0, NULL), 0);
    assert_log(f, "one\ntwo\none\n");
}

/* The file may not grow beyond the middle of the second piece. */
static void test_logfile__cuts_off_the_piece_that_does_not_fit(void **state)
{
    struct folder *f = *state;
    char one[] = "one\n", two[] = "two\n", three[] = "three\n";
    const struct iovec lines[] = {{one, 4}, {two, 4}, {three, 6}};
    struct rlimit old, small;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){6, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    int wrote = logfile_append(f->log, lines, 3, NULL), error = errno;
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    assert_int_equal(wrote, 1);
    assert_int_equal(error, EFBIG);
    assert_log(f, "one\n");
    assert_int_equal(logfile_append(f->log, lines + 1, 2, NULL), 2);
    assert_log(f, "one\ntwo\nthree\n");
}

static void test_logfile__follows_no_link_and_knows_its_like(void **state)
{
    struct folder *f = *state;
    bool same = false;
    assert_int_equal(symlinkat("log", f->fd, "link"), 0);
    assert_int_equal(logfile_open(f->fd, "link"), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(linkat(f->fd, "log", f->fd, "again", 0), 0);
    int again = logfile_open(f->fd, "again"), other = logfile_open(f->fd, "other");
    assert_int_equal(logfile_same(f->log, again, &same), 0);
    assert_true(same);
    assert_int_equal(logfile_same(f->log, other, &same), 0);
    assert_false(same);
    assert_int_equal(mkfifoat(f->fd, "pipe", 0600), 0);
    int reader = openat(f->fd, "pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC), pipe = logfile_open(f->fd, "pipe");
    assert_int_equal(logfile_same(f->log, pipe, &same), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(logfile_same(-1, other, &same), -1);
    close(again);
    close(other);
    close(reader);
    close(pipe);
}

/* Who is to end does not wait as long for a disk. */
static void test_logfile__is_less_patient_when_the_run_is_to_end(void **state)
{
    (void)state;
    struct cancel c;
    cancel_init(&c, NULL);
    assert_int_equal(write_patience_ns(NULL), WRITE_RETRY_MS * INT64_C(1000000));
    assert_int_equal(write_patience_ns(&c), WRITE_RETRY_MS * INT64_C(1000000));
    cancel_raise(&c, CANCEL_TERM, CANCEL_ASKED);
    assert_int_equal(write_patience_ns(&c), WRITE_RETRY_ENDING_MS * INT64_C(1000000));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_logfile__appends_pieces_in_order),
        TEST(test_logfile__cuts_off_the_piece_that_does_not_fit),
        TEST(test_logfile__follows_no_link_and_knows_its_like),
        TEST(test_logfile__is_less_patient_when_the_run_is_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
