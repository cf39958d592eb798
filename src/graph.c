/* Owns the order of stages. Pure. */
#include "graph.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { WAITING, READY, RUNNING, DONE, FAILED };

static size_t heap_of(const struct graph *g, const struct stage *s)
{
    if (s->kind == STAGE_SUBPIPELINE)
        return g->n_heaps - 1;
    return s->pool_index == STAGE_NO_POOL ? g->n_heaps - 2 : s->pool_index;
}

/* Its heap has room for all who can ever be in it. */
static void make_ready(struct graph *g, size_t index)
{
    g->state[index] = READY;
    g->ready++;
    heap_add(&g->heaps[heap_of(g, &g->pipeline->stages[index])], (int64_t)index, NULL);
}

/* Turns "needs" round: who waits for whom. */
static void link_stages(struct graph *g, size_t edges)
{
    const struct stage *stages = g->pipeline->stages;
    size_t n = g->pipeline->n_stages;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < stages[i].n_needs; k++)
            g->first[stages[i].need[k] + 1]++;
        g->unmet[i] = (unsigned)stages[i].n_needs;
    }
    for (size_t i = 0; i < n; i++)
        g->first[i + 1] += g->first[i];
    for (size_t i = n; i-- > 0;) { /* from behind: `first` becomes the beginning of each list */
        for (size_t k = stages[i].n_needs; k-- > 0;)
            g->edges[--g->first[stages[i].need[k] + 1]] = i;
    }
    for (size_t i = 0; i < n; i++)
        g->first[i] = g->first[i + 1];
    g->first[n] = edges;
}

static int allocate(struct graph *g, size_t edges)
{
    size_t n = g->pipeline->n_stages;
    g->unmet = calloc(n + 1, sizeof *g->unmet);
    g->state = calloc(n + 1, sizeof *g->state);
    g->first = calloc(n + 2, sizeof *g->first);
    g->edges = calloc(edges + 1, sizeof *g->edges);
    g->heaps = calloc(g->n_heaps, sizeof *g->heaps);
    size_t *sizes = calloc(g->n_heaps, sizeof *sizes);
    int rc = g->unmet && g->state && g->first && g->edges && g->heaps && sizes ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < n; i++)
        sizes[heap_of(g, &g->pipeline->stages[i])]++;
    for (size_t i = 0; rc == 0 && i < g->n_heaps; i++)
        rc = heap_reserve(&g->heaps[i], sizes[i]);
    free(sizes);
    errno = ENOMEM;
    return rc;
}

int graph_init(struct graph *g, const struct pipeline *p, size_t pools)
{
    size_t edges = 0;
    *g = (struct graph){
        .pipeline = p, .in_order = true, .subpipelines_max = 1, .n_heaps = pools + 2};
    for (size_t i = 0; i < p->n_stages; i++)
        edges += p->stages[i].n_needs;
    if (allocate(g, edges) != 0)
        return -1;
    link_stages(g, edges);
    for (size_t i = 0; i < p->n_stages; i++) {
        if (g->unmet[i] == 0)
            make_ready(g, i);
    }
    return 0;
}

void graph_release(struct graph *g)
{
    for (size_t i = 0; g->heaps && i < g->n_heaps; i++)
        heap_release(&g->heaps[i]);
    free(g->heaps);
    free(g->unmet);
    free(g->state);
    free(g->first);
    free(g->edges);
    *g = (struct graph){0};
}

/* One that was kept while it was ready is still in its heap, and no longer meant. */
static void drop_kept(struct graph *g, struct heap *h)
{
    while (h->n > 0 && g->state[h->items[0].key] != READY)
        heap_take(h);
}

static void done(struct graph *g, size_t index)
{
    g->state[index] = DONE;
    g->ended++;
    for (size_t e = g->first[index]; e < g->first[index + 1]; e++) {
        size_t waiting = g->edges[e];
        if (--g->unmet[waiting] == 0 && g->state[waiting] == WAITING)
            make_ready(g, waiting);
    }
}

void graph_keep(struct graph *g, size_t index)
{
    assert(g->state[index] <= READY && g->running == 0);
    g->ready -= g->state[index] == READY;
    done(g, index);
    for (size_t i = 0; i < g->n_heaps; i++)
        drop_kept(g, &g->heaps[i]);
}

static bool has_room(const struct graph *g, size_t heap, const struct graph_room *room)
{
    if (heap == g->n_heaps - 1)
        return !room->crowded && g->subpipelines < g->subpipelines_max;
    if (!room->command)
        return false;
    return heap == g->n_heaps - 2 || room->pools_used[heap] < room->pools[heap].limit;
}

size_t graph_next(const struct graph *g, const struct graph_room *room)
{
    size_t first = GRAPH_NONE;
    if (g->stopped || g->ready == 0 || (g->in_order && g->running + g->paused > 0))
        return GRAPH_NONE;
    for (size_t i = 0; i < g->n_heaps; i++) {
        const struct heap *h = &g->heaps[i];
        if (h->n > 0 && (size_t)h->items[0].key < first && has_room(g, i, room))
            first = (size_t)h->items[0].key;
    }
    return first;
}

bool graph_is_leaf(const struct graph *g, size_t index)
{
    return g->first[index] == g->first[index + 1];
}

void graph_started(struct graph *g, size_t index)
{
    const struct stage *s = &g->pipeline->stages[index];
    struct heap *h = &g->heaps[heap_of(g, s)];
    assert(g->state[index] == READY && h->n > 0 && (size_t)h->items[0].key == index);
    heap_take(h);
    drop_kept(g, h);
    g->state[index] = RUNNING;
    g->ready--;
    g->running++;
    g->subpipelines += s->kind == STAGE_SUBPIPELINE;
}

void graph_paused(struct graph *g)
{
    assert(g->running > 0);
    g->running--;
    g->paused++;
}

void graph_resumed(struct graph *g)
{
    assert(g->paused > 0);
    g->paused--;
    g->running++;
}

void graph_ended(struct graph *g, size_t index, bool ok)
{
    assert(g->state[index] == RUNNING && g->running > 0);
    g->running--;
    g->subpipelines -= g->pipeline->stages[index].kind == STAGE_SUBPIPELINE;
    if (ok) {
        done(g, index);
        return;
    }
    g->state[index] = FAILED;
    g->ended++;
    g->stopped |= !g->keep_going;
}

void graph_stop(struct graph *g)
{
    g->stopped = true;
}

bool graph_over(const struct graph *g)
{
    return g->running + g->paused == 0 && (g->stopped || g->ready == 0);
}

bool graph_exhausted(const struct graph *g)
{
    return g->ended == g->pipeline->n_stages;
}

/* Runs through the graph, each stage on its own: what is needed comes first. */
size_t *graph_levels(const struct pipeline *p, const struct config_pool *pools, size_t n_pools)
{
    struct graph g;
    unsigned *used = calloc(n_pools + 1, sizeof *used);
    size_t *level = calloc(p->n_stages + 1, sizeof *level);
    const struct graph_room room = {.command = true, .pools_used = used, .pools = pools};
    int rc = graph_init(&g, p, n_pools) == 0 && used && level ? 0 : -1;
    for (size_t i; rc == 0 && (i = graph_next(&g, &room)) != GRAPH_NONE;) {
        const struct stage *s = &p->stages[i];
        for (size_t k = 0; k < s->n_needs; k++)
            level[i] = level[s->need[k]] < level[i] ? level[i] : level[s->need[k]] + 1;
        graph_started(&g, i);
        graph_ended(&g, i, true);
    }
    graph_release(&g);
    free(used);
    if (rc != 0) {
        free(level);
        level = NULL;
    }
    return level;
}
