/* Owns what the driving thread and the others tell each other: mutations for the persister, ends of tasks,
 * the opening of runs. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "engine_state.h"
#include "jobs.h"

void engine_push(struct engine *g, struct mutation *m)
{
    struct record r = outbox_mutation(m);
    outbox_push_wait(g->outbox, &r);
}

static void wake_all(struct engine *g)
{
    pthread_mutex_lock(&g->lock);
    if (g->pool)
        pool_nudge(g->pool);
    g->nudged = true;
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

void engine_raise(struct engine *g, struct cancel *c, int level, enum cancel_reason reason)
{
    cancel_raise(c, level, reason);
    wake_all(g);
}

/* Persister thread: a run whose files can't be written any more must not run on. */
static void journal_failed(struct journal *j)
{
    struct engine *g = j->owner;
    engine_raise(g, &g->cancel, CANCEL_TERM, CANCEL_FAILED);
}

/* Persister or worker thread. The driving thread is not woken for each of thousands: of those that
 * nothing waits for, it can hear when the queue wants more. */
void engine_task_ended(struct job *job, enum stage_event event)
{
    struct task *t = job->context;
    bool quiet = job->quiet && (event == STAGE_EV_SUCCEED || event == STAGE_EV_EXCUSE);
    struct engine *g = t->run->journal.owner;
    pthread_mutex_lock(&g->lock);
    t->event = event;
    t->next = g->ended;
    g->ended = t;
    if (!quiet || !g->pool || pool_wants_more(g->pool))
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

void engine_push_and_wait(struct engine *g, struct mutation *m)
{
    m->applied = applied_awaited;
    m->context = g;
    g->answered = false;
    engine_push(g, m);
    pthread_mutex_lock(&g->lock);
    while (!g->answered)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

struct mutation *engine_mutation(enum mutation_kind kind, struct live_run *r, size_t index)
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

void engine_forget_parts(struct engine *g)
{
    for (size_t i = 0; i < g->n_parts; i++)
        release_part(&g->parts[i]);
    free(g->parts);
}

/* How many commands of it run at once, and what happens when one fails. */
static void set_limits(struct engine *g, struct live_run *r)
{
    struct manifest_scheduler *s = &r->journal.manifest.scheduler;
    int jobs = g->limits.jobs != JOBS_UNSET ? g->limits.jobs : r->pipeline->jobs;
    r->limit = jobs == JOBS_UNSET ? 0 : jobs_number(jobs);
    r->graph.in_order = jobs == JOBS_UNSET || r->limit == 1;
    r->graph.keep_going = r->context.keep_going = g->limits.keep_going;
    r->graph.subpipelines_max = r->graph.in_order ? 1 : r->limit;
    s->workers = g->workers > s->workers ? g->workers : s->workers;
    for (size_t i = 0; i < r->pipeline->n_stages; i++) {
        unsigned retries = r->pipeline->stages[i].retries;
        s->retries_max = retries > s->retries_max ? retries : s->retries_max;
    }
}

void engine_open_run(struct engine *g, struct live_run *r)
{
    add_part(g, r);
    set_limits(g, r);
    cancel_init(&r->cancel, r->parent ? &r->parent->cancel : &g->cancel);
    r->journal.owner = g;
    r->journal.on_failure = journal_failed;
    r->journal.cancel = &r->cancel;
    r->next = g->live;
    g->live = r;
    g->n_live++;
    g->opened++;
    struct mutation *open = engine_mutation(MUTATION_OPEN, r, 0);
    /* On disk before anything is logged, so that a resumed run is known to be open; of a small new run the
     * first stage's start sees to that. */
    open->awaited = r->resumed || !r->context.await_start;
    engine_push_and_wait(g, open); /* before any worker speaks of it */
}
