/*
 * A run without the engine: its journal, a persister with the outboxes of a driving thread and one
 * worker, mutations pushed by hand, and time and disk as the test wants them.
 */
#ifndef TESTS_BY_HAND_H
#define TESTS_BY_HAND_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomicfile.h"
#include "clock.h"
#include "json.h"
#include "persister.h"
#include "run.h"
#include "tmpdir.h"

#define PATIENCE_MS 60000 /* what has not come by then never will */
#define SECOND INT64_C(1000000000)
#define WALL INT64_C(1795367280000) /* 2026-11-22T17:08:00Z */

struct fixture {
    char dir[64], root[80], runs[96], out[96], task[8], slug[8], command[8];
    char (*ids)[24];
    struct workspace workspace;
    struct pipeline pipeline;
    struct live_run *runs_live[2];
    struct persister *persister;
    struct journal *j; /* of the first run */
    sem_t applied;
    int error;       /* given to the last `applied` */
    struct buf seen; /* manifest.json as it was then */
    unsigned long failures;
};

/* ---- time and files under the test's control ---- */

static _Atomic int64_t mono, step;
static atomic_int failing, failing_dir, error_given;

static inline int64_t test_mono_ns(void)
{
    return atomic_fetch_add(&mono, atomic_load(&step)) + atomic_load(&step);
}

/* Moves with the other clock. */
static inline int64_t test_wall_ms(void)
{
    return WALL + atomic_load(&mono) / 1000000;
}

/* Fails as often as `failing` says, if it is about the folder `failing_dir` (-1: any). */
static inline int failing_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    int dir = atomic_load(&failing_dir);
    if ((dir < 0 || dir == to_dir) && atomic_load(&failing) > 0) {
        atomic_fetch_sub(&failing, 1);
        errno = atomic_load(&error_given);
        return -1;
    }
    return renameat(from_dir, from, to_dir, to);
}

static inline void let_fail(int times, int dir, int error)
{
    atomic_store(&failing_dir, dir);
    atomic_store(&error_given, error);
    atomic_store(&failing, times);
}

/* A disk that takes a second for each call. */
static inline int slow_fsync(int fd)
{
    (void)fd;
    atomic_fetch_add(&mono, SECOND);
    return 0;
}

/* ---- a run without the engine ---- */

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tmpdir_make(f->dir);
    snprintf(f->root, sizeof f->root, "%s/repo", f->dir);
    snprintf(f->runs, sizeof f->runs, "%s/.runs", f->root);
    snprintf(f->out, sizeof f->out, "%s/out", f->root);
    assert_int_equal(mkdir(f->root, 0700), 0);
    strcpy(f->task, "t1");
    strcpy(f->slug, "t1");
    strcpy(f->command, "true");
    f->workspace = (struct workspace){f->root, f->runs, f->out, f->task, f->slug};
    sem_init(&f->applied, 0, 0);
    atomic_store(&mono, SECOND);
    atomic_store(&step, 0);
    let_fail(0, -1, 0);
    static const struct atomicfile_calls calls = {.renameat = failing_renameat};
    atomicfile_inject(&calls);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < f->pipeline.n_stages; i++)
        free(f->pipeline.stages[i].title);
    free(f->pipeline.stages);
    free(f->pipeline.title);
    free(f->ids);
    buf_release(&f->seen);
    sem_destroy(&f->applied);
    tmpdir_remove(f->dir);
    free(f);
    atomicfile_inject(NULL);
    clock_inject(NULL, NULL);
    return 0;
}

static inline void on_failure(struct journal *j)
{
    struct fixture *f = j->owner;
    f->failures++;
}

static inline struct journal *new_run(struct fixture *f, size_t i)
{
    struct err e = {""};
    struct run_request request = {.pipeline = &f->pipeline, .instance = "by-hand"};
    f->runs_live[i] = run_new(&f->workspace, &request, &e);
    if (!f->runs_live[i])
        fail_msg("%s", e.text);
    struct journal *j = &f->runs_live[i]->journal;
    j->owner = f;
    j->on_failure = on_failure;
    return j;
}

/* A run of `n` commands "s1", "s2", … and a persister with a driving thread and one worker. */
static inline void begin(struct fixture *f, size_t n)
{
    f->ids = calloc(n, sizeof *f->ids);
    f->pipeline = (struct pipeline){.n_stages = n, .stages = calloc(n, sizeof(struct stage))};
    f->pipeline.title = f->pipeline.id = strdup("p");
    assert_true(f->ids && f->pipeline.stages && f->pipeline.id);
    for (size_t i = 0; i < n; i++) {
        snprintf(f->ids[i], sizeof f->ids[i], "s%zu", i + 1);
        f->pipeline.stages[i] =
            (struct stage){.id = f->ids[i], .title = strdup(f->ids[i]), .command = f->command};
    }
    f->j = new_run(f, 0);
    assert_int_equal(persister_start(&f->persister, 2, 4), 0);
}

static inline void end(struct fixture *f)
{
    persister_stop(f->persister);
    run_free(f->runs_live[0]);
    run_free(f->runs_live[1]);
}

/* Their start is recorded before the persister has the run. */
static inline void start_all_beforehand(struct fixture *f)
{
    for (size_t i = 0; i < f->pipeline.n_stages; i++)
        assert_int_equal(manifest_stage_event(&f->j->manifest, i, STAGE_EV_START, WALL), 0);
}

/* ---- mutations ---- */

static inline void read_file(const struct journal *j, const char *name, struct buf *out)
{
    buf_clear(out);
    if (json_slurp(j->dir.fd, name, false, out) != 0)
        buf_addstr(out, "?");
}

/* Persister thread. */
static inline void applied_seen(struct mutation *m, int error)
{
    struct fixture *f = m->context;
    f->error = error;
    read_file(m->journal, "manifest.json", &f->seen);
    mutation_free(m);
    sem_post(&f->applied);
}

/* Persister thread. */
static inline void applied_alone(struct mutation *m, int error)
{
    (void)error;
    mutation_free(m);
}

static inline struct mutation *mutation(struct journal *j, enum mutation_kind kind, size_t index)
{
    struct mutation *m = mutation_new(kind, j);
    assert_non_null(m);
    m->index = index;
    m->event = STAGE_EV_SUCCEED;
    m->status = RUN_SUCCEEDED;
    m->applied = applied_alone;
    return m;
}

/* Pushes into outbox 0, the driving thread's, or 1, the worker's. */
static inline void push(struct fixture *f, unsigned outbox, struct mutation *m)
{
    struct record r = {.journal = m->journal, .kind = RECORD_MUTATION, .as.mutation = m};
    r.index = (uint32_t)m->index;
    outbox_push_wait(persister_outbox(f->persister, outbox), &r);
}

static inline void push_seen(struct fixture *f, unsigned outbox, struct mutation *m)
{
    m->applied = applied_seen;
    m->context = f;
    push(f, outbox, m);
}

static inline void wait_applied(struct fixture *f)
{
    while (sem_wait(&f->applied) != 0)
        continue;
}

/* Pushes it and waits until it has been applied; the error it was applied with. */
static inline int push_and_wait(struct fixture *f, unsigned outbox, struct mutation *m)
{
    push_seen(f, outbox, m);
    wait_applied(f);
    return f->error;
}

static inline void open_run(struct fixture *f, struct journal *j)
{
    push(f, 0, mutation(j, MUTATION_OPEN, 0));
}

static inline int close_run(struct fixture *f, struct journal *j)
{
    return push_and_wait(f, 0, mutation(j, MUTATION_CLOSE, 0));
}

static inline struct mutation *start_of(struct fixture *f, size_t index, const char *lines)
{
    struct mutation *m = mutation(f->j, MUTATION_STAGE_START, index);
    m->awaited = true;
    m->log_path = strdup("log");
    m->lines = strdup(lines);
    m->lines_len = strlen(lines);
    return m;
}

static inline void push_lines(struct fixture *f, size_t index, const char *bytes, size_t n)
{
    struct outbox *o = persister_outbox(f->persister, 1);
    struct chunk *c;
    for (;;) {
        uint32_t seen = wake_snapshot(&o->room);
        if ((c = outbox_take(o)))
            break;
        wake_wait(&o->room, seen, WAKE_FOREVER);
    }
    memset(c, 0, offsetof(struct chunk, bytes));
    c->end = n;
    memcpy(c->bytes, bytes, n);
    struct record r = {.journal = f->j, .kind = RECORD_LINES, .as.chunk = c};
    r.index = (uint32_t)index;
    outbox_push_wait(o, &r);
}

/* Lets the time pass, and the persister look at it. */
static inline void advance(struct fixture *f, int64_t ns)
{
    atomic_fetch_add(&mono, ns);
    push_lines(f, 0, "", 0);
}

/* ---- what is on disk ---- */

static inline const char *member(const cJSON *doc, const char *key)
{
    const char *text = json_get_str(doc, key);
    return text ? text : "none";
}

static inline cJSON *parsed(const struct buf *text)
{
    struct err e = {""};
    cJSON *doc = json_parse(text->data, text->len, "manifest.json", &e);
    if (!doc)
        fail_msg("%s", e.text);
    return doc;
}

/* Status of the run and of command `index` in a manifest. */
static inline void assert_status(const struct buf *text, const char *run, int index,
                                 const char *command)
{
    cJSON *doc = parsed(text);
    const cJSON *entry =
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(doc, "commands"), index);
    assert_string_equal(member(doc, "status"), run);
    assert_string_equal(member(entry, "status"), command);
    cJSON_Delete(doc);
}

static inline void assert_file(const struct fixture *f, const char *name, const char *content)
{
    struct buf got = BUF_INIT;
    read_file(f->j, name, &got);
    assert_string_equal(got.data ? got.data : "", content);
    buf_release(&got);
}

static inline void assert_no_temporary_left(const struct fixture *f)
{
    DIR *d = opendir(f->j->dir.path);
    struct dirent *entry;
    assert_non_null(d);
    while ((entry = readdir(d)))
        assert_null(strstr(entry->d_name, ".tmp"));
    closedir(d);
}

/* Waits until something happens in the run's folder. */
static inline int watch_folder(const struct journal *j, uint32_t events)
{
    int fd = inotify_init1(IN_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(inotify_add_watch(fd, j->dir.path, events) >= 0);
    return fd;
}

static inline bool wait_folder(int fd)
{
    char events[4096] __attribute__((aligned(8)));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1 && read(fd, events, sizeof events) > 0;
}

#endif
