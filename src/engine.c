/* Owns the driving of runs: schedule, completions, subpipelines, cancellation. */
#include "engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "epilogue.h"
#include "guard.h"
#include "resume.h"

/* A command under way, and its completion afterwards. */
struct task {
    struct job job;
    struct live_run *run;
    enum stage_event event;
    struct task *next;
};

struct engine {
    const struct config *config;
    const struct workspace *workspace;
    struct workspace own; /* of a resumed run, else empty */
    struct persister *persister;
    struct pool *pool; /* under `lock` */
    struct cancel cancel;
    struct outbox *outbox; /* ours: number 0 */
    struct live_run *top, *live; /* `live`: those that have not ended, the top one included */
    unsigned long opened; /* runs so far */
    struct notices notices;
    enum run_status status; /* of the top run */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct task *ended; /* newest first */
    bool nudged;        /* cancelled, or a journal failed: look around */
    bool answered;      /* the mutation we wait for has been applied */
    corch_part *parts;  /* strings are their own */
    size_t n_parts;
};

static void push(struct engine *g, struct mutation *m)
{
    struct record r = {.journal = m->journal, .kind = RECORD_MUTATION, .as.mutation = m};
    r.index = (uint32_t)m->index;
    outbox_push_wait(g->outbox, &r);
}

void engine_cancel(struct engine *g, int level)
{
    cancel_raise(&g->cancel, level);
    pthread_mutex_lock(&g->lock);
    if (g->pool)
        pool_nudge(g->pool);
    g->nudged = true;
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

/* Persister thread: a run whose files can't be written any more must not run on. */
static void journal_failed(struct journal *j)
{
    engine_cancel(j->owner, CANCEL_TERM);
}

/* Persister or worker thread. */
static void task_ended(struct job *job, enum stage_event event)
{
    struct task *t = job->context;
    struct engine *g = t->run->journal.owner;
    pthread_mutex_lock(&g->lock);
    t->event = event;
    t->next = g->ended;
    g->ended = t;
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

/* Persister thread: nobody waits for this one. */
static void applied_alone(struct mutation *m, int error)
{
    (void)error; /* a journal that failed says so itself */
    mutation_free(m);
}

/* Persister thread: the driving thread sleeps in push_and_wait. */
static void applied_awaited(struct mutation *m, int error)
{
    (void)error;
    struct engine *g = m->context;
    mutation_free(m);
    pthread_mutex_lock(&g->lock);
    g->answered = true;
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void push_and_wait(struct engine *g, struct mutation *m)
{
    m->applied = applied_awaited;
    m->context = g;
    g->answered = false;
    push(g, m);
    pthread_mutex_lock(&g->lock);
    while (!g->answered)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

/* A mutation of the driving thread. Memory for these few bytes is waited for: without them the
 * run's record would be wrong. */
static struct mutation *new_mutation(enum mutation_kind kind, struct live_run *r, size_t index)
{
    struct mutation *m;
    while (!(m = mutation_new(kind, &r->journal)))
        clock_sleep_ms(WRITE_RETRY_PAUSE_MS);
    m->index = index;
    m->applied = applied_alone;
    return m;
}

static void release_part(const corch_part *part)
{
    free((char *)(uintptr_t)part->run_id);
    free((char *)(uintptr_t)part->folder);
    free((char *)(uintptr_t)part->parent_run_id);
}

/* Remembers where a run is, for those who follow it. Without memory it is not followed. */
static void add_part(struct engine *g, const struct live_run *r)
{
    const struct manifest *m = &r->journal.manifest;
    corch_part part = {.run_id = strdup(m->run_id),
                       .folder = strdup(r->journal.dir.path),
                       .parent_run_id = r->parent ? strdup(r->parent->journal.manifest.run_id) : NULL,
                       .stage = r->parent ? r->parent_index + 1 : 0,
                       .log_begin = (uint64_t)lseek(r->journal.runner_fd, 0, SEEK_END)};
    pthread_mutex_lock(&g->lock);
    corch_part *more = part.run_id && part.folder && (!r->parent || part.parent_run_id)
                           ? realloc(g->parts, (g->n_parts + 1) * sizeof *more)
                           : NULL;
    if (more) {
        g->parts = more;
        g->parts[g->n_parts++] = part;
    }
    pthread_mutex_unlock(&g->lock);
    if (!more)
        release_part(&part);
}

bool engine_part(struct engine *g, size_t i, corch_part *part)
{
    pthread_mutex_lock(&g->lock);
    bool found = i < g->n_parts;
    if (found)
        *part = g->parts[i];
    pthread_mutex_unlock(&g->lock);
    return found;
}

static void open_run(struct engine *g, struct live_run *r)
{
    add_part(g, r);
    r->journal.owner = g;
    r->journal.on_failure = journal_failed;
    r->next = g->live;
    g->live = r;
    g->opened++;
    push_and_wait(g, new_mutation(MUTATION_OPEN, r, 0)); /* before any worker speaks of it */
}

static bool start_command(struct engine *g, struct live_run *r, size_t index)
{
    struct task *t = calloc(1, sizeof *t);
    if (!t)
        return false;
    t->run = r;
    t->job = (struct job){.run = &r->context,
                          .journal = &r->journal,
                          .stage = &r->pipeline->stages[index],
                          .index = index,
                          .ended = task_ended,
                          .context = t};
    if (pool_try_add(g->pool, &t->job))
        return true;
    free(t);
    return false;
}

/* Records that stage `index` of `r`, a subpipeline, is over. */
static void end_subpipeline(struct engine *g, struct live_run *r, struct mutation *m)
{
    const struct stage *stage = &r->pipeline->stages[m->index];
    bool ok = m->event == STAGE_EV_SUCCEED;
    if (!ok)
        m->event = stage->optional ? STAGE_EV_EXCUSE : STAGE_EV_FAIL;
    r->failed |= m->event == STAGE_EV_FAIL;
    graph_ended(&r->graph, m->index, m->event != STAGE_EV_FAIL);
    push(g, m);
}

static void subpipeline_error(struct engine *g, struct live_run *r, size_t index, const char *why)
{
    struct mutation *m = new_mutation(MUTATION_STAGE_END, r, index);
    m->event = STAGE_EV_FAIL;
    m->summary = text_join("Sub-pipeline error: ", why, "");
    m->run_summary_line = m->summary ? strdup(m->summary) : NULL;
    m->status_detail = text_join("subpipeline:", r->pipeline->stages[index].pipeline, ":error");
    end_subpipeline(g, r, m);
}

static void start_subpipeline(struct engine *g, struct live_run *r, size_t index)
{
    const char *id = r->pipeline->stages[index].pipeline;
    struct err e = {""};
    struct mutation *m = new_mutation(MUTATION_STAGE_START, r, index);
    push(g, m);
    struct run_request request = {.pipeline = config_pipeline(g->config, id),
                                  .parent_run_id = r->journal.manifest.run_id,
                                  .watch = r->journal.watch};
    if (!request.pipeline) {
        err_set(&e, "Pipeline '%s' not found.", id);
        subpipeline_error(g, r, index, e.text);
        return;
    }
    struct live_run *child = run_new(g->workspace, &request, &e);
    if (!child) {
        subpipeline_error(g, r, index, e.text);
        return;
    }
    child->parent = r;
    child->parent_index = index;
    open_run(g, child);
}

static void schedule(struct engine *g, struct live_run *r)
{
    size_t index;
    if (cancel_level(&g->cancel) != CANCEL_NONE)
        graph_stop(&r->graph);
    while ((index = graph_ready(&r->graph)) != GRAPH_NONE) {
        if (r->pipeline->stages[index].kind == STAGE_SUBPIPELINE) {
            graph_started(&r->graph, index);
            start_subpipeline(g, r, index);
        } else if (start_command(g, r, index)) {
            graph_started(&r->graph, index);
        } else {
            return; /* the pool is full: again when a job has ended */
        }
    }
}

/* How a run that is over ended: its storage first, then whether it was left unfinished. */
static void close_run(struct engine *g, struct live_run *r)
{
    int error = atomic_load(&r->journal.failed);
    bool cancelled = cancel_level(&g->cancel) != CANCEL_NONE &&
                     (r->failed || !graph_exhausted(&r->graph));
    struct mutation *m = new_mutation(MUTATION_CLOSE, r, 0);
    if (error) {
        char reason[128];
        m->status = RUN_FAILED;
        m->status_detail = strdup("storage:error");
        m->run_summary_line = text_join("The files of the run can't be written: ",
                                        strerror_r(error, reason, sizeof reason), ".");
    } else if (cancelled) {
        m->status = RUN_CANCELLED;
        m->status_detail = strdup("run-canceled");
    } else {
        m->status = r->failed ? RUN_FAILED : RUN_SUCCEEDED;
    }
    push_and_wait(g, m);
}

static void unlink_live(struct engine *g, struct live_run *r)
{
    struct live_run **at = &g->live;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
}

static void end_in_parent(struct engine *g, struct live_run *child, char *review)
{
    const struct manifest *doc = &child->journal.manifest;
    struct mutation *m = new_mutation(MUTATION_STAGE_END, child->parent, child->parent_index);
    m->event = doc->status == RUN_SUCCEEDED ? STAGE_EV_SUCCEED : STAGE_EV_FAIL;
    m->summary = review;
    m->sub_run_id = strdup(doc->run_id);
    m->sub_pipeline_id = strdup(doc->pipeline_id);
    m->sub_manifest = text_join(doc->artifact_root, "/manifest.json", "");
    m->sub_status = doc->status;
    const struct stage *stage = &child->parent->pipeline->stages[child->parent_index];
    if (m->event == STAGE_EV_FAIL && !stage->optional) {
        m->status_detail = text_join("subpipeline:", stage->pipeline, ":failed");
        m->run_summary_line = text_join("Sub-pipeline '", stage->pipeline, "' failed.");
    }
    end_subpipeline(g, child->parent, m);
}

static void end_run(struct engine *g, struct live_run *r)
{
    close_run(g, r);
    unlink_live(g, r);
    char *review = epilogue_write(g->workspace, &r->journal, &r->plan, r->exec, &g->cancel,
                                  &g->notices);
    if (r->parent) {
        end_in_parent(g, r, review);
        run_free(r);
    } else {
        free(review);
        g->status = r->journal.manifest.status;
    }
}

static struct live_run *find_over(struct engine *g)
{
    struct live_run *r = g->live;
    while (r && !graph_over(&r->graph))
        r = r->next;
    return r;
}

/* Schedules and ends runs until nothing more can be done without a completion. */
static void advance(struct engine *g)
{
    struct live_run *over;
    do {
        unsigned long opened;
        do { /* a subpipeline that was opened wants to be scheduled, too */
            opened = g->opened;
            for (struct live_run *r = g->live; r; r = r->next)
                schedule(g, r);
        } while (g->opened != opened);
        over = find_over(g);
        if (over)
            end_run(g, over);
    } while (over);
}

static struct task *wait_for_tasks(struct engine *g)
{
    pthread_mutex_lock(&g->lock);
    while (!g->ended && !g->nudged)
        pthread_cond_wait(&g->changed, &g->lock);
    struct task *newest = g->ended, *oldest = NULL;
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

static void note_end(struct task *t)
{
    struct live_run *r = t->run;
    bool failed = t->event == STAGE_EV_FAIL;
    bool unstarted = t->event == STAGE_EV_RESUME;
    r->failed |= failed || unstarted;
    graph_ended(&r->graph, t->job.index, !failed && !unstarted);
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
}

void engine_drive(struct engine *g)
{
    open_run(g, g->top);
    for (advance(g); g->live; advance(g)) {
        struct task *next;
        for (struct task *t = wait_for_tasks(g); t; t = next) {
            next = t->next;
            note_end(t);
            free(t);
        }
    }
    stop_threads(g);
    if (g->top->journal.watch)
        watch_end(g->top->journal.watch);
}

static int start_threads(struct engine *g, const struct engine_limits *limits)
{
    struct pool_limits pool = {.workers = limits->workers,
                               .cancel_grace_ms = limits->cancel_grace_ms,
                               .drain_grace_ms = limits->drain_grace_ms,
                               .enforce_privacy = guard_enforced()};
    if (persister_start(&g->persister, limits->workers + 1, limits->chunk_pool) != 0)
        return -1;
    g->outbox = persister_outbox(g->persister, 0);
    return pool_start(&g->pool, &pool, g->persister, &g->cancel);
}

static int make_top(struct engine *g, const struct run_request *request, struct err *e)
{
    if (request->resume) {
        g->top = run_resume(g->workspace, g->config, request->resume, &g->own, e);
        if (g->top)
            g->workspace = &g->own;
    } else {
        g->top = run_new(g->workspace, request, e);
    }
    if (!g->top)
        return -1;
    if (g->top->plan.target_unknown)
        notices_add(&g->notices,
                    "no stage of pipeline '%s' answers to the target asked for; the target is %s",
                    g->top->pipeline->id, g->top->plan.target_id);
    return 0;
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
    g->cancel.fds[0] = g->cancel.fds[1] = -1;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    if (cancel_init(&g->cancel) != 0 || start_threads(g, limits) != 0) {
        err_sys(e, "can't start the threads of a run");
        engine_free(g);
        return NULL;
    }
    if (make_top(g, request, e) != 0) {
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
    cancel_release(&g->cancel);
    notices_release(&g->notices);
    for (size_t i = 0; i < g->n_parts; i++)
        release_part(&g->parts[i]);
    free(g->parts);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
    free(g);
}
