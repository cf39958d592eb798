/* Owns the order of stages. Pure. */
#include "graph.h"

#include <assert.h>
#include <stdlib.h>

void graph_init(struct graph *g, size_t stages)
{
    *g = (struct graph){.stages = stages};
}

void graph_release(struct graph *g)
{
    free(g->kept);
    g->kept = NULL;
}

static void skip_kept(struct graph *g)
{
    while (g->kept && g->next < g->stages && g->kept[g->next])
        g->next++;
}

int graph_keep(struct graph *g, size_t index)
{
    if (!g->kept)
        g->kept = calloc(g->stages, 1);
    if (!g->kept)
        return -1;
    g->kept[index] = 1;
    skip_kept(g);
    return 0;
}

size_t graph_ready(const struct graph *g)
{
    return g->stopped || g->running > 0 || g->next == g->stages ? GRAPH_NONE : g->next;
}

void graph_started(struct graph *g, size_t index)
{
    assert(index == graph_ready(g));
    g->next = index + 1;
    g->running++;
    skip_kept(g);
}

void graph_ended(struct graph *g, size_t index, bool ok)
{
    assert(g->running > 0 && index < g->next);
    (void)index;
    g->running--;
    g->stopped |= !ok;
}

void graph_stop(struct graph *g)
{
    g->stopped = true;
}

bool graph_over(const struct graph *g)
{
    return g->running == 0 && (g->stopped || g->next == g->stages);
}

bool graph_exhausted(const struct graph *g)
{
    return g->next == g->stages;
}
