/* Owns the places of commands that are to run, and the wait of those that are tried again. Driving
 * thread. */
#include "bounds.h"
#include "clock.h"
#include "engine_state.h"

/* A limit that is not below the number of workers needs no counting: the threads are the limit, and
 * their queue may hold what they do next. */
bool tasks_have_place(const struct engine *g, const struct live_run *r)
{
    for (; r; r = r->parent) {
        if (r->limit > 0 && r->limit < g->workers && r->busy >= r->limit)
            return false;
    }
    return true;
}

static void count(struct engine *g, const struct task *t, int by)
{
    size_t pool = t->job.stage->pool_index;
    for (struct live_run *r = t->run; r; r = r->parent)
        r->busy += (unsigned)by;
    if (pool != STAGE_NO_POOL)
        g->pools_used[pool] += (unsigned)by;
}

bool task_queue(struct engine *g, struct task *t)
{
    t->job.assigned_ms = clock_wall_ms();
    if (!pool_try_add(g->pool, &t->job))
        return false;
    count(g, t, 1);
    return true;
}

static bool try_again(struct engine *g, struct task *t)
{
    size_t pool = t->job.stage->pool_index;
    if (!tasks_have_place(g, t->run) ||
        (pool != STAGE_NO_POOL && g->pools_used[pool] >= g->config->pools[pool].limit) ||
        !task_queue(g, t))
        return false;
    graph_resumed(&t->run->graph);
    return true;
}

static void put_again(struct engine *g, struct task *t)
{
    t->next = NULL;
    *g->again_end = t;
    g->again_end = &t->next;
}

/* Takes the task at that place out of the list. `next` follows it: it may be somebody else's by now. */
static void take_again(struct engine *g, struct task **at, struct task *next)
{
    *at = next;
    if (!next)
        g->again_end = at;
}

void tasks_start_again(struct engine *g)
{
    int64_t now = clock_mono_ns();
    while (g->delayed.n > 0 && g->delayed.items[0].key <= now)
        put_again(g, heap_take(&g->delayed).value);
    for (struct task **at = &g->again, *t; (t = *at);) {
        struct task *next = t->next;
        if (try_again(g, t))
            take_again(g, at, next);
        else
            at = &t->next;
    }
}

void task_retry(struct engine *g, struct task *t)
{
    int64_t due = clock_mono_ns() + t->job.retry_ms * INT64_C(1000000);
    count(g, t, -1);
    graph_paused(&t->run->graph);
    if (heap_add(&g->delayed, due, t) != 0)
        put_again(g, t); /* rather at once than never */
}

void task_place_free(struct engine *g, struct task *t)
{
    count(g, t, -1);
}

void task_record_end(struct engine *g, struct task *t)
{
    struct mutation *m = job_take_end(&t->job);
    m->now_ms = clock_wall_ms();
    m->follows = t->job.follows = cancel_follows(t->job.cancel);
    engine_push(g, m);
}

/* It ends as a running one does. */
static void give_up(struct engine *g, struct task *t)
{
    graph_resumed(&t->run->graph);
    count(g, t, 1);
    task_record_end(g, t);
}

void tasks_give_up(struct engine *g)
{
    struct heap kept = {0};
    while (g->delayed.n > 0) {
        struct heap_item item = heap_take(&g->delayed);
        struct task *t = item.value;
        if (cancel_level(t->job.cancel) != CANCEL_NONE)
            give_up(g, t);
        else if (heap_add(&kept, item.key, t) != 0)
            put_again(g, t);
    }
    heap_release(&g->delayed);
    g->delayed = kept;
    for (struct task **at = &g->again, *t; (t = *at);) {
        if (cancel_level(t->job.cancel) == CANCEL_NONE) {
            at = &t->next;
            continue;
        }
        take_again(g, at, t->next);
        give_up(g, t);
    }
}
