/* Owns the driving of runs: their threads, and the wait for what happens. */
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "bounds.h"
#include "clock.h"
#include "engine_state.h"
#include "guard.h"
#include "jobs.h"
#include "resume.h"

void engine_cancel(struct engine *g, int level)
{
    engine_raise(g, &g->cancel, level, CANCEL_ASKED);
}

/* Starts what can be started and ends what is over, until that changes nothing more. */
static void advance(struct engine *g)
{
    do
        dispatch(g);
    while (closing_next_run(g) || dispatch_crowded(g));
}

/* When something is due without anybody telling. */
static int64_t next_due(const struct engine *g)
{
    int64_t retry = g->delayed.n > 0 ? g->delayed.items[0].key : WAKE_FOREVER;
    return retry < g->deadline_ns ? retry : g->deadline_ns;
}

/* Under the lock: sleeps until something has ended, or is due. */
static void wait_for_change(struct engine *g)
{
    int64_t due = next_due(g);
    const struct timespec until = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
    while (!g->ended && !g->nudged && clock_mono_ns() < due) {
        if (due == WAKE_FOREVER)
            pthread_cond_wait(&g->changed, &g->lock);
        else
            pthread_cond_clockwait(&g->changed, &g->lock, CLOCK_MONOTONIC, &until);
    }
}

/* The tasks that have ended, oldest first; `*nudged`: look at the cancellation. */
static struct task *wait_for_tasks(struct engine *g, bool *nudged)
{
    pthread_mutex_lock(&g->lock);
    wait_for_change(g);
    struct task *newest = g->ended, *oldest = NULL;
    *nudged = g->nudged;
    g->ended = NULL;
    g->nudged = false;
    pthread_mutex_unlock(&g->lock);
    while (newest) {
        struct task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void stop_threads(struct engine *g)
{
    pthread_mutex_lock(&g->lock);
    struct pool *pool = g->pool;
    g->pool = NULL; /* a late engine_cancel finds nobody to wake */
    pthread_mutex_unlock(&g->lock);
    if (pool)
        pool_stop(pool);
    if (g->persister)
        persister_stop(g->persister);
    g->persister = NULL;
    reaper_stop(&g->reaper);
}

static void check_time(struct engine *g)
{
    if (clock_mono_ns() < g->deadline_ns)
        return;
    g->deadline_ns = WAKE_FOREVER;
    engine_raise(g, &g->cancel, CANCEL_TERM, CANCEL_TIMED_OUT);
}

void engine_drive(struct engine *g)
{
    if (g->limits.timeout_ms > 0)
        g->deadline_ns = clock_mono_ns() + g->limits.timeout_ms * INT64_C(1000000);
    engine_open_run(g, g->top);
    for (advance(g); g->live; advance(g)) {
        bool nudged;
        struct task *next;
        for (struct task *t = wait_for_tasks(g, &nudged); t; t = next) {
            next = t->next;
            closing_task(g, t);
        }
        check_time(g);
        if (nudged)
            tasks_give_up(g);
    }
    stop_threads(g);
    if (g->top->journal.watch)
        watch_end(g->top->journal.watch);
}

/* Each command has two pipes, a process and a log of its own. */
static int check_descriptors(struct engine *g, struct err *e)
{
    struct rlimit limit;
    rlim_t needed = (rlim_t)g->workers * WORKER_DESCRIPTORS + RUN_DESCRIPTORS;
    g->live_max = SIZE_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    rlim_t left = limit.rlim_cur > needed ? limit.rlim_cur - needed : 0;
    g->live_max = (size_t)(left / SUBRUN_DESCRIPTORS + 1);
    if (g->workers == 1 || limit.rlim_cur >= needed)
        return 0;
    return err_set(e, "%u jobs need %lu open files, and the limit is %lu: use fewer, or raise it with "
                      "ulimit -n",
                   g->workers, (unsigned long)needed, (unsigned long)limit.rlim_cur);
}

static int start_threads(struct engine *g, const struct pipeline *p, struct err *e)
{
    if (jobs_workers(g->config, p, g->limits.jobs, &g->workers) != 0)
        return err_sys(e, "can't plan the run");
    if (check_descriptors(g, e) != 0)
        return -1;
    struct pool_limits pool = {.workers = g->workers,
                               .cancel_grace_ms = g->limits.cancel_grace_ms,
                               .drain_grace_ms = g->limits.drain_grace_ms,
                               .enforce_privacy = guard_enforced()};
    if (persister_start(&g->persister, g->workers + 1, g->limits.chunk_pool) != 0)
        return err_sys(e, "can't start the threads of a run");
    g->outbox = persister_outbox(g->persister, 0);
    return pool_start(&g->pool, &pool, g->persister) == 0
               ? 0
               : err_sys(e, "can't start the threads of a run");
}

static int make_top(struct engine *g, const struct run_request *request, struct err *e)
{
    if (request->resume) {
        g->top = run_resume(g->workspace, g->config, request->resume, &g->own, &g->found, e);
        if (g->top)
            g->workspace = &g->own;
    } else {
        g->top = run_new(g->workspace, request, e);
    }
    if (!g->top)
        return -1;
    if (g->top->plan.target_unknown)
        notices_add(&g->found,
                    "no stage of pipeline '%s' answers to the target asked for; the target is %s",
                    g->top->pipeline->id, g->top->plan.target_id);
    return 0;
}

/* The threads first, so that a run that can't be driven is not there; but how many there are, only
 * a run that is taken up again can say. */
static int begin_threads_and_run(struct engine *g, const struct run_request *request, struct err *e)
{
    if (!request->resume)
        return start_threads(g, request->pipeline, e) == 0 ? make_top(g, request, e) : -1;
    return make_top(g, request, e) == 0 ? start_threads(g, g->top->pipeline, e) : -1;
}

static int begin(struct engine *g, const struct run_request *request, struct err *e)
{
    struct run_request marked = *request;
    struct resume_request resume;
    id_uuid(g->instance);
    marked.instance = g->instance;
    if (request->resume) {
        resume = *request->resume;
        resume.instance = g->instance;
        marked.resume = &resume;
    }
    if (begin_threads_and_run(g, &marked, e) != 0)
        return -1;
    return reaper_start(&g->reaper, g->instance) == 0
               ? 0
               : err_sys(e, "can't start the process that ends commands if this one is killed");
}

struct engine *engine_new(const struct config *config, const struct workspace *workspace,
                          const struct run_request *request, const struct engine_limits *limits,
                          struct err *e)
{
    struct engine *g = calloc(1, sizeof *g);
    if (!g) {
        err_sys(e, "can't prepare a run");
        return NULL;
    }
    g->config = config;
    g->workspace = workspace;
    g->limits = *limits;
    g->deadline_ns = WAKE_FOREVER;
    g->again_end = &g->again;
    g->pools_used = calloc(config->n_pools + 1, sizeof *g->pools_used);
    cancel_init(&g->cancel, NULL);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    if (g->pools_used ? begin(g, request, e) : err_sys(e, "can't prepare a run")) {
        engine_free(g);
        return NULL;
    }
    return g;
}

void engine_result(const struct engine *g, struct engine_result *out)
{
    *out = (struct engine_result){.status = g->status,
                                  .manifest = &g->top->journal.manifest,
                                  .notices = &g->notices,
                                  .manifest_writes = g->top->journal.manifest_writes};
}

const char *engine_found(const struct engine *g, size_t i)
{
    return i < g->found.n ? g->found.texts[i] : NULL;
}

const char *engine_run_id(const struct engine *g)
{
    return g->top->journal.manifest.run_id;
}

const char *engine_folder(const struct engine *g)
{
    return g->top->journal.dir.path;
}

void engine_free(struct engine *g)
{
    if (!g)
        return;
    stop_threads(g);
    run_free(g->top);
    if (g->workspace == &g->own)
        workspace_release(&g->own);
    heap_release(&g->delayed);
    free(g->pools_used);
    notices_release(&g->found);
    notices_release(&g->notices);
    engine_forget_parts(g);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
    free(g);
}
