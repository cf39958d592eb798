/* Which stage may start next. No I/O, no threads: the driving thread asks and tells. */
#ifndef CORCH_GRAPH_H
#define CORCH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

#define GRAPH_NONE ((size_t)-1)

struct graph {
    size_t stages, next; /* stages before `next` have been started or kept */
    size_t running;
    bool stopped;        /* no further stage starts */
    unsigned char *kept; /* per stage: done in an earlier session; NULL: none */
};

void graph_init(struct graph *g, size_t stages);
void graph_release(struct graph *g);

/* Before anything starts: the stage was done in an earlier session. 0, or -1 (ENOMEM). */
int graph_keep(struct graph *g, size_t index);

/* The stage that may start now, in the order written, one at a time; GRAPH_NONE: none (yet). */
size_t graph_ready(const struct graph *g);

void graph_started(struct graph *g, size_t index);
void graph_ended(struct graph *g, size_t index, bool ok); /* not ok: nothing further starts */
void graph_stop(struct graph *g);

/* Nothing runs and nothing will. */
bool graph_over(const struct graph *g);

/* Every stage has been started. */
bool graph_exhausted(const struct graph *g);

#endif
