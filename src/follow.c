/* Owns the reading of a run's logs while they grow. One thread. */
#include "follow.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "logtail.h"
#include "rundir.h"

/* How long a subpipeline that has begun may go unnoticed while no log grows. */
#define LOOK_MS 50

struct part {
    corch_part run;
    size_t parent, depth;
    uint64_t offset; /* up to there its log has been given out */
    bool opened;     /* once, and inotify was asked */
    int watch;       /* number of its watch; -1: none, it is looked at every LOOK_MS */
    bool stirred;    /* there may be lines beyond `offset` */

    bool ready; /* there is one; what follows is about it */
    char time[CLOCK_ISO_LEN + 1];
    size_t stage;
};

struct follow {
    corch_run *run;
    int notify, timer;
    struct part *parts;
    size_t n, room;
    bool over; /* and all logs were looked at again since */

    struct logtail log;    /* of the part `at`, from its `offset` on */
    size_t at;             /* or FOLLOW_NONE */
    bool has_line;         /* the log's next line is in `line` */
    struct exec_line line; /* points into the log's block */
    size_t line_len;       /* without its newline */
};

struct follow *follow_new(corch_run *run)
{
    struct follow *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    const struct itimerspec often = {.it_value.tv_nsec = LOOK_MS * 1000000,
                                     .it_interval.tv_nsec = LOOK_MS * 1000000};
    f->run = run;
    f->log = (struct logtail)LOGTAIL_INIT;
    f->at = FOLLOW_NONE;
    f->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK); /* without it the timer must do */
    f->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (f->timer >= 0 && timerfd_settime(f->timer, 0, &often, NULL) == 0)
        return f;
    int saved = errno;
    follow_free(f);
    errno = saved;
    return NULL;
}

void follow_free(struct follow *f)
{
    if (!f)
        return;
    logtail_close(&f->log);
    fd_close(&f->notify);
    fd_close(&f->timer);
    free(f->parts);
    free(f);
}

static size_t find_parent(const struct follow *f, const corch_part *run)
{
    for (size_t i = 0; run->parent_run_id && i < f->n; i++) {
        if (strcmp(f->parts[i].run.run_id, run->parent_run_id) == 0)
            return i;
    }
    return f->n > 0 ? 0 : FOLLOW_NONE;
}

/* Takes in the subpipelines that have begun. 0, or -1 (ENOMEM). */
static int find_parts(struct follow *f)
{
    corch_part run;
    while (corch_run_part(f->run, f->n, &run)) {
        if (f->n == f->room) {
            size_t room = f->room * 2 + 4;
            struct part *more = realloc(f->parts, room * sizeof *more);
            if (!more)
                return -1;
            f->parts = more;
            f->room = room;
        }
        size_t parent = find_parent(f, &run);
        f->parts[f->n++] =
            (struct part){.run = run,
                          .parent = parent,
                          .depth = parent == FOLLOW_NONE ? 0 : f->parts[parent].depth + 1,
                          .offset = run.log_begin,
                          .watch = -1,
                          .stirred = true};
    }
    return 0;
}

static void stir(struct follow *f, int watch)
{
    for (size_t i = 0; i < f->n; i++)
        f->parts[i].stirred |= f->parts[i].watch == watch;
}

static void stir_all(struct follow *f)
{
    for (size_t i = 0; i < f->n; i++)
        f->parts[i].stirred = true;
}

/* Takes what inotify has to say. */
static void listen_to_logs(struct follow *f)
{
    _Alignas(struct inotify_event) char events[4096];
    ssize_t n;
    while (f->notify >= 0 && (n = read(f->notify, events, sizeof events)) > 0) {
        const struct inotify_event *event;
        for (const char *p = events; p < events + n; p += sizeof *event + event->len) {
            event = (const void *)p;
            if (event->mask & IN_Q_OVERFLOW)
                stir_all(f);
            else
                stir(f, event->wd);
        }
    }
}

/* Turns to the log of a part, where it was left. The first time it is watched before it is read, so
 * that nothing is missed. */
static int turn_to(struct follow *f, size_t i)
{
    struct part *p = &f->parts[i];
    int folder = open_folder(p->run.folder);
    logtail_close(&f->log);
    f->at = FOLLOW_NONE;
    f->has_line = false;
    if (folder < 0)
        return -1;
    int rc = logtail_open(&f->log, folder, "runner.ndjson");
    fd_close(&folder);
    if (rc != 0)
        return -1;
    if (!p->opened && f->notify >= 0)
        p->watch = logtail_tell(&f->log, f->notify);
    p->opened = true;
    f->at = i;
    return logtail_seek(&f->log, p->offset);
}

/* What the order of lines needs of the line that was taken apart. */
static void note_place(struct part *p, const struct exec_line *l)
{
    const struct exec_member *time = exec_line_find(l, "timestamp");
    const struct exec_member *index = exec_line_find(l, "index");
    size_t n = time && time->value_len >= 2 ? time->value_len - 2 : 0;
    if (n >= sizeof p->time)
        n = sizeof p->time - 1;
    if (n > 0)
        memcpy(p->time, time->value + 1, n);
    p->time[n] = '\0';
    p->stage = index ? strtoul(index->value, NULL, 10) : 0;
    p->ready = true;
}

/* Looks at the next line of a part. 1, 0 (there is none yet) or -1 with errno. */
static int look(struct follow *f, size_t i)
{
    char *text;
    size_t n;
    if (f->at != i && turn_to(f, i) != 0)
        return -1;
    if (f->has_line)
        return 1;
    int got = logtail_next(&f->log, &text, &n);
    f->parts[i].stirred = f->parts[i].ready = got == 1;
    if (got != 1)
        return got;
    exec_line_parse(&f->line, text, n);
    f->line_len = n;
    f->has_line = true;
    note_place(&f->parts[i], &f->line);
    return 1;
}

/* Looks at all logs that may have grown, until that brings up nothing new: who finds a line of one
 * log has then also seen what was written to another before. 0, or -1 with errno. */
static int look_around(struct follow *f)
{
    bool again = true;
    while (again) {
        if (find_parts(f) != 0)
            return -1;
        again = false;
        listen_to_logs(f);
        for (size_t i = 0; i < f->n; i++) {
            if (!f->parts[i].stirred || f->parts[i].ready)
                continue;
            int got = look(f, i);
            if (got < 0)
                return -1;
            again |= got == 1;
        }
    }
    return 0;
}

/* Whether the line of `a` comes before that of `b`: by its time, and of one time by the place of
 * its stage in the pipeline that both belong to. */
static bool comes_before(const struct follow *f, const struct part *a, const struct part *b)
{
    size_t stage_a = a->stage, stage_b = b->stage;
    int order = strcmp(a->time, b->time);
    if (order != 0)
        return order < 0;
    while (a != b) {
        if (a->depth >= b->depth) {
            stage_a = a->run.stage;
            a = &f->parts[a->parent];
        } else {
            stage_b = b->run.stage;
            b = &f->parts[b->parent];
        }
    }
    return stage_a < stage_b;
}

static size_t first_in_time(const struct follow *f)
{
    size_t first = FOLLOW_NONE;
    for (size_t i = 0; i < f->n; i++) {
        if (f->parts[i].ready &&
            (first == FOLLOW_NONE || comes_before(f, &f->parts[i], &f->parts[first])))
            first = i;
    }
    return first;
}

int follow_next(struct follow *f, bool over, size_t *part, const struct exec_line **line)
{
    size_t first;
    if (over && !f->over) {
        f->over = true;
        stir_all(f);
    }
    do {
        if (look_around(f) != 0)
            return -1;
        first = first_in_time(f);
        if (first == FOLLOW_NONE)
            return 0;
        int got = look(f, first); /* again, if another log was turned to in between */
        if (got < 0)
            return -1;
    } while (!f->has_line); /* a disk was full, and what we saw was cut off again */
    f->parts[first].offset += f->line_len + 1;
    f->parts[first].ready = f->has_line = false;
    *part = first;
    *line = &f->line;
    return 1;
}

const corch_part *follow_part(const struct follow *f, size_t i)
{
    return &f->parts[i].run;
}

size_t follow_parent(const struct follow *f, size_t i)
{
    return f->parts[i].parent;
}

void follow_fds(const struct follow *f, struct pollfd fds[FOLLOW_FDS])
{
    fds[0] = (struct pollfd){.fd = f ? f->notify : -1, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = f ? f->timer : -1, .events = POLLIN};
}

void follow_awake(struct follow *f)
{
    uint64_t rings;
    if (f && read(f->timer, &rings, sizeof rings) == (ssize_t)sizeof rings)
        stir(f, -1);
}
