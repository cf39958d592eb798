/* Capturing real commands: the test is the persister at the other end of the outbox, so it decides
 * how late that is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture.h"
#include "clock.h"
#include "json.h"
#include "made_output.h"
#include "ndjson.h"
#include "tmpdir.h"

#define PATIENCE_MS 60000 /* what has not come by then never will */

struct fixture {
    char dir[64], fifo[80];
    struct wake wake; /* the persister's */
    struct outbox outbox;
    struct cancel cancel;
    int nudge_fd;
    struct stream streams[2];
    struct proc proc;
    int pipe; /* stdout's reading end, which is the capture's while it runs */
    struct capture capture;
    atomic_bool done;
    pthread_t thread;
    struct buf out; /* the data of the chunks of stdout */
    unsigned chunks;
};

/* A clock that stands still unless it is set. */
static _Atomic int64_t frozen_ns;

static int64_t frozen_mono_ns(void)
{
    return frozen_ns;
}

static int setup(void **state)
{
    struct fixture *f = aligned_alloc(64, (sizeof *f + 63) / 64 * 64);
    assert_non_null(f);
    memset(f, 0, sizeof *f);
    tmpdir_make(f->dir);
    snprintf(f->fifo, sizeof f->fifo, "%s/fifo", f->dir);
    assert_int_equal(mkfifo(f->fifo, 0600), 0);
    wake_init(&f->wake);
    assert_int_equal(outbox_init(&f->outbox, &f->wake, 1), 0);
    cancel_init(&f->cancel, NULL);
    f->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(f->nudge_fd >= 0);
    f->capture = (struct capture){.proc = &f->proc,
                                  .streams = f->streams,
                                  .outbox = &f->outbox,
                                  .cancel = &f->cancel,
                                  .nudge_fd = f->nudge_fd,
                                  .deadline_ns = WAKE_FOREVER,
                                  .cancel_grace_ms = PATIENCE_MS,
                                  .drain_grace_ms = PATIENCE_MS,
                                  .context = {.correlation_id = "c", .attempt = 1, .index = 1}};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    clock_inject(NULL, NULL);
    close(f->nudge_fd);
    outbox_release(&f->outbox);
    buf_release(&f->out);
    tmpdir_remove(f->dir);
    free(f);
    return 0;
}

/* As a pool does it. */
static void ask_to_end(struct fixture *f, int level)
{
    cancel_raise(&f->cancel, level, CANCEL_ASKED);
    eventfd_write(f->nudge_fd, 1);
    wake_signal(&f->outbox.room);
}

static void *capture_main(void *arg)
{
    struct fixture *f = arg;
    capture_run(&f->capture);
    atomic_store(&f->done, true);
    wake_signal(&f->wake);
    return NULL;
}

/* Starts the command, in which $FIFO is the fixture's. */
static void start(struct fixture *f, const char *command)
{
    const char *failed;
    setenv("FIFO", f->fifo, 1);
    setenv("MISBEHAVE", MISBEHAVE, 1);
    stream_reset(&f->streams[0], "stdout", NULL, false);
    stream_reset(&f->streams[1], "stderr", NULL, false);
    const struct proc_request request = {.command = command, .cwd = f->dir, .env = environ};
    assert_int_equal(proc_spawn(&f->proc, &request, &failed), 0);
    proc_widen(&f->proc, 0); /* as it will be: tests wait for a pipe that is full */
    f->pipe = f->proc.out[0];
    assert_int_equal(pthread_create(&f->thread, NULL, capture_main, f), 0);
}

static void take_in(struct fixture *f, const struct record *r)
{
    const struct chunk *c = r->as.chunk;
    struct err e = {""};
    cJSON *line = json_parse(c->bytes + c->begin, c->end - c->begin, "chunk", &e);
    assert_non_null(line);
    assert_string_equal(json_get_str(line, "type"), "exec:chunk");
    assert_int_equal(json_get_int(line, "sequence", 0), ++f->chunks);
    assert_null(json_get_str(line, "data_base64"));
    const char *data = json_get_str(line, "data");
    assert_int_equal(json_get_int(line, "bytes", 0), strlen(data));
    buf_addstr(&f->out, data);
    cJSON_Delete(line);
}

/* Takes what has been pushed, until the output holds `text` or the capture has ended. */
static void consume(struct fixture *f, const char *text)
{
    for (;;) {
        struct record r;
        uint32_t seen = wake_snapshot(&f->wake);
        bool done = atomic_load(&f->done);
        while (outbox_pop(&f->outbox, &r)) {
            take_in(f, &r);
            outbox_give(&f->outbox, r.as.chunk);
        }
        if (done || (text && f->out.data && strstr(f->out.data, text)))
            return;
        wake_wait(&f->wake, seen, WAKE_FOREVER);
    }
}

/* Takes the rest and ends the command; how it ended. */
static int finish(struct fixture *f, int *exit_code)
{
    int signal_number;
    consume(f, NULL);
    pthread_join(f->thread, NULL);
    assert_int_equal(proc_reap(&f->proc, exit_code, &signal_number), 0);
    return signal_number;
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1;
}

/* Bytes that wait in stdout's pipe. */
static int in_pipe(const struct fixture *f)
{
    int n = 0;
    assert_int_equal(ioctl(f->pipe, FIONREAD, &n), 0);
    return n;
}

static void assert_lines(const struct buf *got, size_t from, unsigned long n)
{
    char line[MADE_LINE];
    assert_int_equal(got->len - from, n * MADE_LINE);
    for (unsigned long i = 0; i < n; i++) {
        made_line(line, i + 1);
        assert_memory_equal(got->data + from + i * MADE_LINE, line, MADE_LINE);
    }
}

/* Opens the reading end of the fifo before the command, so that nobody waits. */
static int open_fifo(const struct fixture *f)
{
    int fd = open(f->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* The fifo's end of file: everybody who had it open is dead. */
static void assert_all_dead(int fifo)
{
    char c;
    assert_true(readable(fifo));
    assert_int_equal(read(fifo, &c, 1), 0);
    close(fifo);
}

static void test_capture__waits_for_the_pipe_of_who_closed_the_other(void **state)
{
    struct fixture *f = *state;
    int code;
    start(f, "exec $MISBEHAVE close-stdout");
    assert_int_equal(finish(f, &code), 0);
    assert_int_equal(code, 3);
    assert_false(f->capture.left_open);
    assert_string_equal(f->out.data, "before\nstill at work\n");
}

/* Each byte comes alone, and later than a chunk waits for its next. */
static void test_capture__never_splits_a_character(void **state)
{
    struct fixture *f = *state;
    int code;
    start(f, "exec $MISBEHAVE slow-bytes 'a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z'");
    assert_int_equal(finish(f, &code), 0);
    assert_string_equal(f->out.data, "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z");
    assert_in_range(f->chunks, 1, 5);
}

/* No buffer, no reading: the command waits, and goes on when there is one. */
static void test_capture__stops_reading_while_the_pool_is_empty(void **state)
{
    struct fixture *f = *state;
    struct chunk *held = outbox_take(&f->outbox);
    struct pollfd exited;
    int code;
    start(f, "exec $MISBEHAVE lines 50000"); /* more than stream and pipe can hold */
    exited = (struct pollfd){.fd = f->proc.pidfd, .events = POLLIN};
    while (in_pipe(f) < fcntl(f->pipe, F_GETPIPE_SZ) / 10 * 9)
        sched_yield();
    assert_int_equal(poll(&exited, 1, 0), 0);
    outbox_give(&f->outbox, held);
    assert_int_equal(finish(f, &code), 0);
    assert_int_equal(code, 0);
    assert_lines(&f->out, 0, 50000);
}

static void test_capture__is_cancelled_while_the_pool_is_empty(void **state)
{
    struct fixture *f = *state;
    struct chunk *held = outbox_take(&f->outbox);
    int code;
    start(f, "exec $MISBEHAVE lines 1000000000");
    while (in_pipe(f) < fcntl(f->pipe, F_GETPIPE_SZ) / 10 * 9)
        sched_yield();
    ask_to_end(f, CANCEL_TERM);
    assert_true(readable(f->proc.pidfd)); /* it has exited, although nothing was read */
    outbox_give(&f->outbox, held);
    assert_int_equal(finish(f, &code), SIGTERM);
    assert_true(f->out.len > STREAM_BYTES);
    assert_lines(&f->out, 0, f->out.len / MADE_LINE);
}

/* The clock stands still, so that the capture leaves the pipe alone between its first read and the
 * command's exit; then no time is left to wait for an end. */
static void test_capture__keeps_what_was_in_the_pipe_when_the_grace_time_was_over(void **state)
{
    struct fixture *f = *state;
    int code, released;
    frozen_ns = 1;
    clock_inject(NULL, frozen_mono_ns);
    f->capture.drain_grace_ms = 0;
    start(f, "echo first; read go < $FIFO; exec $MISBEHAVE lines 700");
    released = open(f->fifo, O_WRONLY | O_CLOEXEC); /* returns when "first" has been printed */
    while (in_pipe(f) > 0) { /* time for the first look at the pipes */
        frozen_ns += FIRST_NAP_NS;
        sched_yield();
    }
    assert_int_equal(write(released, "go\n", 3), 3);
    close(released);
    assert_int_equal(finish(f, &code), 0);
    assert_int_equal(code, 0);
    assert_false(f->capture.left_open);
    assert_memory_equal(f->out.data, "first\n", 6);
    assert_lines(&f->out, 6, 700);
}

static void test_capture__leaves_a_pipe_that_a_background_child_holds(void **state)
{
    struct fixture *f = *state;
    int code, fifo = open_fifo(f);
    f->capture.drain_grace_ms = 1;
    start(f, "exec 9>$FIFO; exec $MISBEHAVE background 600");
    assert_int_equal(finish(f, &code), 0);
    assert_int_equal(code, 0);
    assert_true(f->capture.left_open);
    long child = 0;
    assert_int_equal(sscanf(f->out.data, "background %ld", &child), 1);
    assert_int_equal(kill((pid_t)child, SIGKILL), 0); /* it was left alive */
    assert_all_dead(fifo);
}

/* The shell dies of SIGTERM at once, its child only of SIGKILL. */
static void test_capture__kills_who_ignores_the_cancellation_and_holds_the_pipe(void **state)
{
    struct fixture *f = *state;
    int code, fifo = open_fifo(f);
    f->capture.cancel_grace_ms = 20;
    f->capture.drain_grace_ms = 1; /* sooner: but the cancelled have their own grace time */
    start(f, "exec 9>$FIFO; $MISBEHAVE ignore-term & wait");
    consume(f, "ready\n");
    ask_to_end(f, CANCEL_TERM);
    assert_int_equal(finish(f, &code), SIGTERM);
    assert_all_dead(fifo);
}

/* The shell has exited, but the grace time is that of all who were asked to end. */
static void test_capture__reads_what_the_cancelled_say_in_their_grace_time(void **state)
{
    struct fixture *f = *state;
    int code, fifo = open(f->fifo, O_RDWR | O_CLOEXEC);
    f->capture.drain_grace_ms = 0;
    start(f, "(trap 'read go <$FIFO; echo saved; exit' TERM; echo ready; read go <$FIFO) & wait");
    consume(f, "ready\n");
    ask_to_end(f, CANCEL_TERM);
    assert_true(readable(f->proc.pidfd));
    assert_int_equal(write(fifo, "go\ngo\n", 6), 6); /* the trap may come between two lines */
    assert_int_equal(finish(f, &code), SIGTERM);
    assert_string_equal(f->out.data, "ready\nsaved\n");
    assert_false(f->capture.left_open);
    close(fifo);
}

static void test_capture__kills_who_ignores_the_cancellation_and_let_go_of_the_pipe(void **state)
{
    struct fixture *f = *state;
    int code, fifo = open_fifo(f);
    start(f, "exec 9>$FIFO; (trap '' TERM; echo ready; exec $MISBEHAVE hold) & wait");
    consume(f, "ready\n");
    ask_to_end(f, CANCEL_TERM);
    assert_int_equal(finish(f, &code), SIGTERM);
    assert_all_dead(fifo);
}

static void test_capture__kills_at_once_when_asked_to(void **state)
{
    struct fixture *f = *state;
    int code, fifo = open_fifo(f);
    start(f, "exec 9>$FIFO; exec $MISBEHAVE ignore-term");
    consume(f, "ready\n");
    ask_to_end(f, CANCEL_TERM);
    ask_to_end(f, CANCEL_KILL);
    assert_int_equal(finish(f, &code), SIGKILL);
    assert_all_dead(fifo);
}

/* It has left the group, and may hold the pipe for ever: killing the group does not reach it, and the
 * grace time of those who end by themselves is not for it. */
static void test_capture__leaves_a_pipe_that_a_killed_group_has_left_behind(void **state)
{
    struct fixture *f = *state;
    int code;
    long stray = 0;
    f->capture.cancel_grace_ms = 20;
    f->capture.drain_grace_ms = 3600000; /* longer than the test may take */
    start(f, "setsid sh -c 'echo $$; exec sleep 3600' & wait");
    consume(f, "\n");
    assert_int_equal(sscanf(f->out.data, "%ld", &stray), 1);
    ask_to_end(f, CANCEL_TERM);
    assert_int_equal(finish(f, &code), SIGTERM);
    assert_true(f->capture.left_open);
    assert_int_equal(kill((pid_t)stray, SIGKILL), 0);
}

/* The time is over when it starts: the command ignores SIGTERM, and dies of what follows. */
static void test_capture__ends_a_command_whose_time_is_over(void **state)
{
    struct fixture *f = *state;
    int code;
    f->capture.cancel_grace_ms = 20;
    f->capture.deadline_ns = clock_mono_ns() + 1;
    start(f, "trap '' TERM; exec $MISBEHAVE ignore-term");
    int signal = finish(f, &code);
    assert_true(signal == SIGKILL || signal == SIGTERM); /* SIGTERM: before the trap was set */
    assert_true(f->capture.timed_out);
}

static void test_capture__does_not_time_out_what_has_exited(void **state)
{
    struct fixture *f = *state;
    int code;
    f->capture.deadline_ns = clock_mono_ns() + INT64_C(3600) * 1000000000;
    start(f, "echo done");
    assert_int_equal(finish(f, &code), 0);
    assert_false(f->capture.timed_out);
    assert_string_equal(f->out.data, "done\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        T(test_capture__waits_for_the_pipe_of_who_closed_the_other),
        T(test_capture__never_splits_a_character),
        T(test_capture__stops_reading_while_the_pool_is_empty),
        T(test_capture__is_cancelled_while_the_pool_is_empty),
        T(test_capture__keeps_what_was_in_the_pipe_when_the_grace_time_was_over),
        T(test_capture__leaves_a_pipe_that_a_background_child_holds),
        T(test_capture__kills_who_ignores_the_cancellation_and_holds_the_pipe),
        T(test_capture__reads_what_the_cancelled_say_in_their_grace_time),
        T(test_capture__kills_who_ignores_the_cancellation_and_let_go_of_the_pipe),
        T(test_capture__kills_at_once_when_asked_to),
        T(test_capture__leaves_a_pipe_that_a_killed_group_has_left_behind),
        T(test_capture__ends_a_command_whose_time_is_over),
        T(test_capture__does_not_time_out_what_has_exited),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
