/* Owns the search for subpipeline cycles. Any thread. */
#include "cycle.h"

#include <errno.h>
#include <stdlib.h>

#include "named.h"

enum { UNSEEN, ON_WAY, DONE };

struct visit {
    size_t pipeline, next; /* and the stage to look at next */
};

/* A depth-first walk on a stack of its own: chains may be long. */
struct walk {
    const struct config *c;
    struct named_list index; /* `order` is the place in c->pipelines */
    struct visit *way;
    size_t depth;
    unsigned char *seen; /* per pipeline */
};

static void name_cycle(const struct walk *w, size_t first, struct buf *names)
{
    size_t i = 0;
    while (w->way[i].pipeline != first)
        i++;
    for (; i < w->depth; i++)
        buf_addf(names, "%s -> ", w->c->pipelines[w->way[i].pipeline].id);
    buf_addstr(names, w->c->pipelines[first].id);
}

static void enter(struct walk *w, size_t pipeline)
{
    w->seen[pipeline] = ON_WAY;
    w->way[w->depth++] = (struct visit){pipeline, 0};
}

/* Goes one step from the pipeline last entered. Returns the known pipeline of a subpipeline stage,
 * or NULL: the stage is none, names none, or there are no more stages. */
static const struct named *step(struct walk *w)
{
    struct visit *v = &w->way[w->depth - 1];
    const struct pipeline *p = &w->c->pipelines[v->pipeline];
    if (v->next == p->n_stages) {
        w->seen[v->pipeline] = DONE;
        w->depth--;
        return NULL;
    }
    const char *name = p->stages[v->next++].pipeline;
    return name ? named_find(&w->index, name) : NULL;
}

static int walk_from(struct walk *w, size_t root, struct buf *names, size_t *first)
{
    enter(w, root);
    while (w->depth > 0) {
        const struct named *to = step(w);
        if (to && w->seen[to->order] == UNSEEN) {
            enter(w, to->order);
        } else if (to && w->seen[to->order] == ON_WAY) {
            *first = to->order;
            name_cycle(w, *first, names);
            return 1;
        }
    }
    return 0;
}

static int prepare(struct walk *w)
{
    w->way = calloc(w->c->n_pipelines + 1, sizeof *w->way);
    w->seen = calloc(w->c->n_pipelines + 1, 1);
    if (!w->way || !w->seen)
        return -1;
    for (size_t i = 0; i < w->c->n_pipelines; i++) {
        if (named_add(&w->index, w->c->pipelines[i].id, NULL) != 0)
            return -1;
    }
    named_sort(&w->index);
    return 0;
}

int cycle_find(const struct config *c, struct buf *names, size_t *first)
{
    struct walk w = {.c = c};
    int result = prepare(&w);
    for (size_t i = 0; result == 0 && i < c->n_pipelines; i++) {
        if (w.seen[i] == UNSEEN)
            result = walk_from(&w, i, names, first);
    }
    named_release(&w.index);
    free(w.way);
    free(w.seen);
    if (result == 1 && names->failed)
        result = -1;
    if (result < 0)
        errno = ENOMEM;
    return result;
}
