/* Owns the way from what a crash has left of a run to a record that is whole. Before it is driven. */
#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "clock.h"
#include "events.h"
#include "exec_event.h"
#include "fd.h"
#include "ids.h"
#include "logtail.h"
#include "outcome.h"
#include "replay.h"

#define RUNNER_LOG "runner.ndjson"

/* What the run's log says of a command, in its last session. */
struct seen {
    bool started, succeeded, ended; /* ended: its command:end is there */
    int64_t begin_ms, end_ms, duration_ms;
    uint64_t bytes;    /* of its lines, in all sessions */
    uint64_t sequence; /* of its last chunk */
    char correlation_id[40];
};

struct recovery {
    const struct rundir *dir;
    struct manifest *m;
    const struct pipeline *pipeline;
    struct seen *seen; /* per command */
    struct notices *notices;
};

static int open_log(const struct rundir *dir, const char *name, int flags)
{
    return rundir_open(dir->fd, name, flags, 0600);
}

static void log_name(const struct recovery *r, size_t i, char name[128])
{
    rundir_command_file(name, 128, "commands", i + 1, r->m->commands[i].id, "ndjson");
}

/* How it ended is not known to the manifest. */
static bool is_open(const struct recovery *r, size_t i)
{
    return r->m->commands[i].kind == STAGE_COMMAND && !stage_is_final(r->m->commands[i].state);
}

/* Up to and with the last newline; -1 with errno. */
static off_t whole_lines(int fd, off_t size)
{
    while (size > 0) {
        char block[4096];
        size_t n = size < (off_t)sizeof block ? (size_t)size : sizeof block;
        ssize_t got = pread(fd, block, n, size - (off_t)n);
        if (got != (ssize_t)n) {
            errno = got < 0 ? errno : EIO;
            return -1;
        }
        const char *newline = memrchr(block, '\n', n);
        if (newline)
            return size - (off_t)n + (newline - block) + 1;
        size -= (off_t)n;
    }
    return 0;
}

/* Cuts off a last line that was not finished. */
static int repair_log(const struct recovery *r, const char *name)
{
    struct stat st;
    int fd = open_log(r->dir, name, O_RDWR);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    int rc = fstat(fd, &st);
    if (rc == 0 && !S_ISREG(st.st_mode)) {
        errno = EINVAL;
        rc = -1;
    }
    off_t end = rc == 0 ? whole_lines(fd, st.st_size) : -1;
    if (end >= 0 && end < st.st_size) {
        rc = ftruncate(fd, end);
        notices_add(r->notices, "run %s: %s ended with a torn line of %lld bytes, which was cut off",
                    r->m->run_id, name, (long long)(st.st_size - end));
    }
    fd_close(&fd);
    return end < 0 ? -1 : rc;
}

static int repair_logs(const struct recovery *r)
{
    int rc = repair_log(r, RUNNER_LOG);
    if (rc == 0)
        rc = repair_log(r, "privacy-decisions.ndjson");
    for (size_t i = 0; rc == 0 && i < r->m->n_commands; i++) {
        char name[128];
        log_name(r, i, name);
        rc = is_open(r, i) ? repair_log(r, name) : 0;
    }
    return rc;
}

static int64_t number(const struct exec_line *l, const char *key)
{
    const struct exec_member *m = exec_line_find(l, key);
    return m ? strtoll(m->value, NULL, 10) : 0;
}

/* The inside of a string without escapes, cut to the room there is. */
static void text(const struct exec_line *l, const char *key, char *out, size_t size)
{
    const struct exec_member *m = exec_line_find(l, key);
    size_t n = m && m->value_len >= 2 ? m->value_len - 2 : 0;
    if (n >= size)
        n = size - 1;
    if (n > 0)
        memcpy(out, m->value + 1, n);
    out[n] = '\0';
}

static int64_t time_of(const struct exec_line *l)
{
    char iso[CLOCK_ISO_LEN + 1];
    text(l, "timestamp", iso, sizeof iso);
    return clock_parse_iso(iso);
}

static void take_line(struct seen *s, const struct exec_line *l)
{
    if (exec_line_has(l, "type", "\"command:start\"")) {
        *s = (struct seen){.started = true, .begin_ms = time_of(l), .bytes = s->bytes};
    } else if (l->kind == EXEC_BEGIN) {
        s->succeeded = false;
        text(l, "correlation_id", s->correlation_id, sizeof s->correlation_id);
    } else if (l->kind == EXEC_CHUNK) {
        int64_t sequence = number(l, "sequence");
        s->sequence = sequence > 0 && sequence < INT64_C(1) << 52 ? (uint64_t)sequence : s->sequence;
    } else if (l->kind == EXEC_END) {
        s->succeeded = s->started && exec_line_has(l, "status", "\"succeeded\"");
        s->end_ms = time_of(l);
        s->duration_ms = number(l, "duration_ms");
    } else if (exec_line_has(l, "type", "\"command:end\"")) {
        s->ended = true;
    }
}

/* Goes through the run's log. `take` gets each line of a command with its number, from 0. */
static int scan(const struct recovery *r, int (*take)(void *context, size_t i, const char *line, size_t n,
                                                      const struct exec_line *l),
                void *context)
{
    struct logtail t;
    struct exec_line l;
    char *line;
    size_t n;
    int rc = logtail_open(&t, r->dir->fd, RUNNER_LOG);
    while (rc == 0 && (rc = logtail_next(&t, &line, &n)) == 1) {
        exec_line_parse(&l, line, n);
        int64_t index = number(&l, "index");
        rc = index >= 1 && (uint64_t)index <= r->m->n_commands
                 ? take(context, (size_t)index - 1, line, n, &l)
                 : 0;
    }
    logtail_close(&t);
    return rc;
}

static int see(void *context, size_t i, const char *line, size_t n, const struct exec_line *l)
{
    const struct recovery *r = context;
    (void)line;
    r->seen[i].bytes += n + 1;
    take_line(&r->seen[i], l);
    return 0;
}

/* A command's log that gets what it lacks of the run's. */
struct copy {
    size_t index;
    off_t at, have; /* in it: where the next line belongs, and how far it is known to be right */
    int fd;
};

/* Whether the file has these bytes there; 1, 0, or -1 with errno. */
static int has_bytes(int fd, const char *bytes, size_t n, off_t at)
{
    char block[4096];
    while (n > 0) {
        size_t part = n < sizeof block ? n : sizeof block;
        ssize_t got = pread(fd, block, part, at);
        if (got < 0)
            return -1;
        if (got != (ssize_t)part || memcmp(block, bytes, part) != 0)
            return 0;
        bytes += part;
        n -= part;
        at += (off_t)part;
    }
    return 1;
}

static int copy_line(void *context, size_t i, const char *line, size_t n, const struct exec_line *l)
{
    struct copy *c = context;
    int same = 0;
    (void)l;
    if (i != c->index)
        return 0;
    if (c->at < c->have) {
        same = has_bytes(c->fd, line, n, c->at);
        if (same == 1)
            same = has_bytes(c->fd, "\n", 1, c->at + (off_t)n);
        if (same < 0 || (same == 0 && ftruncate(c->fd, c->at) != 0))
            return -1;
        if (same == 0) /* a disk that was full took later lines, but not these */
            c->have = c->at;
    }
    if (!same && (write_all(c->fd, line, n) != 0 || write_all(c->fd, "\n", 1) != 0))
        return -1;
    c->at += (off_t)n + 1;
    return 0;
}

/* The run's log is written first, so that a command's may lack lines. */
static int complete_log(const struct recovery *r, size_t i)
{
    char name[128];
    struct stat runner, log;
    log_name(r, i, name);
    struct copy c = {.index = i, .fd = open_log(r->dir, name, O_RDWR | O_APPEND | O_CREAT)};
    int rc = c.fd < 0 ? -1 : fstat(c.fd, &log);
    if (rc == 0)
        rc = fstatat(r->dir->fd, RUNNER_LOG, &runner, AT_SYMLINK_NOFOLLOW);
    bool same = rc == 0 && runner.st_dev == log.st_dev && runner.st_ino == log.st_ino;
    c.have = rc == 0 ? log.st_size : 0;
    if (rc == 0 && !same && (uint64_t)c.have < r->seen[i].bytes)
        rc = scan(r, copy_line, &c);
    fd_close(&c.fd);
    return rc;
}

static int append(const struct recovery *r, const char *name, const struct buf *lines)
{
    int fd = open_log(r->dir, name, O_WRONLY | O_APPEND);
    int rc = fd < 0 ? -1 : write_all(fd, lines->data, lines->len);
    fd_close(&fd);
    return rc;
}

/* The last line of a command that has succeeded, if it was torn off. */
static int append_end(const struct recovery *r, size_t i)
{
    const struct seen *s = &r->seen[i];
    const struct event_context context = {.stage = &r->pipeline->stages[i], .index = i + 1};
    int64_t all = s->end_ms - s->begin_ms; /* its attempts, and the time between them */
    const struct event_end end = {.exit_code = 0,
                                  .duration_ms = all > s->duration_ms ? all : s->duration_ms};
    struct buf line = BUF_INIT;
    if (s->ended)
        return 0;
    events_ended(&line, &context, &end, s->end_ms);
    errno = ENOMEM;
    int rc = line.failed ? -1 : append(r, RUNNER_LOG, &line);
    r->seen[i].bytes += line.len; /* complete_log gives it to the command's */
    buf_release(&line);
    return rc;
}

/* What a command printed last, from its log. 0, or -1 with errno. */
static int take_tails(const struct recovery *r, size_t i, struct exec_log *x)
{
    struct replay log = {.open = false};
    struct exec_line l;
    int rc = replay_open(&log, r->dir->path, i + 1, r->m->commands[i].id, true);
    while (rc == 0 && (rc = replay_next(&log, &l)) == 1)
        rc = exec_log_take(x, &l);
    replay_close(&log);
    return rc;
}

static char *summary_of(const struct recovery *r, size_t i)
{
    struct exec_log *x = exec_log_new();
    struct outcome o = {.exit_code = 0};
    char *summary = NULL;
    if (x && take_tails(r, i, x) == 0) {
        char *out = tail_text(&x->tails[0]), *err = tail_text(&x->tails[1]);
        o.out = out ? out : "";
        o.err = err ? err : "";
        summary = outcome_summary(&o, &r->pipeline->stages[i]);
        free(out);
        free(err);
    }
    exec_log_free(x);
    return summary;
}

/* Enters into the manifest what the log says of a command that has succeeded. */
static int enter_success(const struct recovery *r, size_t i)
{
    const struct seen *s = &r->seen[i];
    struct manifest_command *c = &r->m->commands[i];
    char name[128], handle_id[ID_UUID_LEN + 1];
    if (c->state == STAGE_PENDING && manifest_stage_event(r->m, i, STAGE_EV_START, s->begin_ms) != 0)
        return -1;
    if (manifest_stage_event(r->m, i, STAGE_EV_SUCCEED, s->end_ms) != 0)
        return -1;
    log_name(r, i, name);
    c->has_exit_code = true;
    c->exit_code = 0;
    char *path = text_join(r->dir->rel, "/", name), *summary = summary_of(r, i);
    int rc = path ? manifest_set(c, &c->log_path, path) : -1;
    rc |= manifest_set(c, &c->summary, summary);
    id_uuid(handle_id);
    rc |= manifest_add_handle(r->m, handle_id, s->correlation_id, c->id, s->sequence + 2, s->begin_ms);
    free(path);
    free(summary);
    return rc;
}

static void say_how_many(const struct recovery *r, size_t n, const char *what, bool again)
{
    if (n > 0)
        notices_add(r->notices, "run %s: %zu command%s %s%s", r->m->run_id, n, n == 1 ? "" : "s", what,
                    !again ? "" : n == 1 ? " and runs again" : " and run again");
}

/* What the log says of the commands whose end the manifest does not know. */
static int settle(const struct recovery *r)
{
    size_t succeeded = 0, failed = 0, interrupted = 0;
    for (size_t i = 0; i < r->m->n_commands; i++) {
        if (!is_open(r, i))
            continue;
        if (!r->seen[i].started) { /* unless the log is lost it was about to begin */
            interrupted += r->m->commands[i].state == STAGE_RUNNING;
            continue;
        }
        bool done = r->seen[i].succeeded;
        if ((done && append_end(r, i) != 0) || complete_log(r, i) != 0 ||
            (done && enter_success(r, i) != 0))
            return -1;
        succeeded += done;
        failed += !done && r->seen[i].ended;
        interrupted += !done && !r->seen[i].ended;
    }
    say_how_many(r, succeeded, "had succeeded, as the log says", false);
    say_how_many(r, failed, "had failed, as the log says,", true);
    say_how_many(r, interrupted, "had not ended", true);
    return 0;
}

static int sweep(const struct recovery *r)
{
    int swept = rundir_sweep(r->dir->fd);
    if (swept > 0)
        notices_add(r->notices, "run %s: %d temporary file%s removed", r->m->run_id, swept,
                    swept == 1 ? " was" : "s were");
    return swept < 0 ? -1 : 0;
}

static bool any_open(const struct recovery *r)
{
    size_t i = 0;
    while (i < r->m->n_commands && !is_open(r, i))
        i++;
    return i < r->m->n_commands;
}

int recover_run(const struct rundir *dir, struct manifest *m, const struct pipeline *pipeline,
                struct notices *notices, struct err *e)
{
    struct recovery r = {.dir = dir, .m = m, .pipeline = pipeline, .notices = notices};
    r.seen = calloc(m->n_commands + 1, sizeof *r.seen);
    int rc = r.seen && sweep(&r) == 0 && repair_logs(&r) == 0 ? 0 : -1;
    if (rc == 0 && any_open(&r)) {
        rc = scan(&r, see, &r);
        if (rc != 0 && errno == ENOENT)
            rc = 0; /* it had not begun, or its log is lost */
        if (rc == 0)
            rc = settle(&r);
    }
    free(r.seen);
    return rc == 0 ? 0 : err_sys(e, "can't repair the record of run %s in %s", m->run_id, dir->path);
}
