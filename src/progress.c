/* Owns the lowest line of the terminal while a run goes on. Main thread. */
#include "progress.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "atomicfile.h"
#include "clock.h"
#include "output.h"
#include "progress_view.h"

#define ERASE "\r\x1b[K"

/* From one look at the frames to the next. While there are some, short enough that the slots hold
 * some 80 MB/s, and long enough that more than that costs a few per cent of a core. No frame wakes
 * us: that would cost the run. */
#define BUSY_MS 50
#define IDLE_MS 100

/* From one change of the terminal to the next. */
#define DRAW_NS ((int64_t)100 * 1000 * 1000)

/* Frames taken at most before looking at signals again. */
enum { FRAMES_AT_ONCE = 256, DEFAULT_COLUMNS = 80 };

struct progress {
    int fd, timer;
    struct progress_view view;
    struct buf shown, next; /* the line on the terminal, and what it will be */
    int64_t draw_ns;        /* when it may be drawn again */
};

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

static bool is(const char *name, const char *wanted)
{
    const char *value = getenv(name);
    return value && strcmp(value, wanted) == 0;
}

size_t progress_obstacles(const struct progress_options *options, int fd,
                          const char *why[PROGRESS_OBSTACLES])
{
    const struct {
        bool there;
        const char *text;
    } obstacles[PROGRESS_OBSTACLES] = {
        {options->refused, "--no-interactive is given"},
        {options->json, "--format json is given"},
        {options->output, "--output is given"},
        {!isatty(fd), "stderr is not a terminal"},
        {!is_set("TERM") || is("TERM", "dumb"), "TERM is not set, or dumb"},
        {is_set("CI") && !is("CI", "false"), "CI is set"},
    };
    size_t n = 0;
    for (size_t i = 0; i < PROGRESS_OBSTACLES; i++) {
        if (obstacles[i].there)
            why[n++] = obstacles[i].text;
    }
    return n;
}

static void free_all(struct progress *p)
{
    progress_view_release(&p->view);
    buf_release(&p->shown);
    buf_release(&p->next);
    if (p->timer >= 0)
        close(p->timer);
    free(p);
}

/* The timer rings once, after that time. */
static int arm(const struct progress *p, long ms)
{
    const struct itimerspec once = {.it_value = {.tv_sec = 0, .tv_nsec = ms * 1000000}};
    return timerfd_settime(p->timer, 0, &once, NULL);
}

struct progress *progress_new(int fd)
{
    struct progress *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->fd = fd;
    progress_view_init(&p->view, !is_set("NO_COLOR"));
    p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (p->timer >= 0 && arm(p, IDLE_MS) == 0)
        return p;
    int saved = errno;
    free_all(p);
    errno = saved;
    return NULL;
}

int progress_fd(const struct progress *p)
{
    return p ? p->timer : -1;
}

static unsigned columns(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : DEFAULT_COLUMNS;
}

static unsigned take_frames(struct progress *p, corch_run *run)
{
    corch_frame frame;
    unsigned n = 0;
    p->view.columns = columns(p->fd);
    p->view.run = run;
    for (; n < FRAMES_AT_ONCE && corch_run_next(run, &frame, 0) == 1; n++)
        progress_view_take(&p->view, &frame);
    return n;
}

/* Somebody looks and what is written goes out: not in the background of a shell, not stopped by
 * Ctrl-S, which would keep us from the signals. */
static bool may_draw(const struct progress *p)
{
    pid_t group = tcgetpgrp(p->fd);
    return (group < 0 || group == getpgrp()) && output_ready(p->fd);
}

/* Replaces what is shown by the stages that have ended and `next`. */
static void draw(struct progress *p)
{
    struct buf all = BUF_INIT;
    buf_addstr(&all, ERASE);
    buf_add(&all, p->view.ended.data, p->view.ended.len);
    buf_add(&all, p->next.data, p->next.len);
    if (!all.failed)
        write_all(p->fd, all.data, all.len); /* a terminal that is gone is not the run's concern */
    buf_release(&all);
    buf_clear(&p->view.ended);
    struct buf old = p->shown;
    p->shown = p->next;
    p->next = old;
}

static void draw_if_due(struct progress *p)
{
    int64_t now = clock_mono_ns();
    if (now < p->draw_ns)
        return;
    buf_clear(&p->next);
    progress_view_area(&p->view, clock_wall_ms(), &p->next);
    bool same = p->next.len == p->shown.len &&
                (p->next.len == 0 || memcmp(p->next.data, p->shown.data, p->next.len) == 0);
    if ((same && p->view.ended.len == 0) || !may_draw(p))
        return;
    draw(p);
    p->draw_ns = now + DRAW_NS;
}

void progress_update(struct progress *p, corch_run *run)
{
    uint64_t rings;
    if (!p || read(p->timer, &rings, sizeof rings) != (ssize_t)sizeof rings)
        return;
    unsigned frames = take_frames(p, run);
    draw_if_due(p);
    arm(p, frames > 0 ? BUSY_MS : IDLE_MS);
}

void progress_clear(struct progress *p)
{
    if (!p || p->shown.len == 0)
        return;
    write_all(p->fd, ERASE, strlen(ERASE));
    buf_clear(&p->shown);
}

void progress_end(struct progress *p, corch_run *run)
{
    if (!p)
        return;
    while (take_frames(p, run) > 0)
        continue;
    buf_clear(&p->next);
    if (p->view.ended.len > 0)
        draw(p);
    progress_clear(p);
    free_all(p);
}
