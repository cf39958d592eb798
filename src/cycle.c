/* Owns the search for cycles. Any thread. */
#include "cycle.h"

#include <errno.h>
#include <stdlib.h>

enum { UNSEEN, ON_WAY, DONE };

struct visit {
    size_t node, next; /* and the edge to look at next */
};

/* A depth-first walk on a stack of its own: chains may be long. */
struct walk {
    const struct cycle_graph *graph;
    struct visit *way;
    size_t depth;
    unsigned char *seen; /* per node */
};

static void name_cycle(const struct walk *w, size_t first, struct buf *names)
{
    const struct cycle_graph *g = w->graph;
    size_t i = 0;
    while (w->way[i].node != first)
        i++;
    for (; i < w->depth; i++)
        buf_addf(names, "%s -> ", g->name(g->context, w->way[i].node));
    buf_addstr(names, g->name(g->context, first));
}

static void enter(struct walk *w, size_t node)
{
    w->seen[node] = ON_WAY;
    w->way[w->depth++] = (struct visit){node, 0};
}

/* Goes one edge from the node last entered; back if it has no more. Where it leads, or CYCLE_SKIP. */
static size_t step(struct walk *w)
{
    struct visit *v = &w->way[w->depth - 1];
    size_t to = w->graph->edge(w->graph->context, v->node, v->next++);
    if (to != CYCLE_END)
        return to;
    w->seen[v->node] = DONE;
    w->depth--;
    return CYCLE_SKIP;
}

static int walk_from(struct walk *w, size_t root, struct buf *names, size_t *first)
{
    enter(w, root);
    while (w->depth > 0) {
        size_t to = step(w);
        if (to == CYCLE_SKIP || w->seen[to] == DONE)
            continue;
        if (w->seen[to] == UNSEEN) {
            enter(w, to);
            continue;
        }
        *first = to;
        name_cycle(w, to, names);
        return 1;
    }
    return 0;
}

int cycle_find(const struct cycle_graph *g, struct buf *names, size_t *first)
{
    struct walk w = {.graph = g,
                     .way = calloc(g->nodes + 1, sizeof *w.way),
                     .seen = calloc(g->nodes + 1, 1)};
    int result = w.way && w.seen ? 0 : -1;
    for (size_t i = 0; result == 0 && i < g->nodes; i++) {
        if (w.seen[i] == UNSEEN)
            result = walk_from(&w, i, names, first);
    }
    free(w.way);
    free(w.seen);
    if (result == 1 && names->failed)
        result = -1;
    if (result < 0)
        errno = ENOMEM;
    return result;
}
