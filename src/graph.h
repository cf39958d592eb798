/*
 * Which stage of a run may start next: what it needs has been done, its limits leave room, and
 * nothing has failed that stops the run. No I/O, no threads: the driving thread asks and tells.
 *
 * A stage waits until all it needs are done, is ready, runs, perhaps pauses before it is tried
 * again, and has then succeeded or failed. One counter per stage and one list per edge: what all
 * questions and answers cost together is linear in stages and needs, but for a logarithm.
 */
#ifndef CORCH_GRAPH_H
#define CORCH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "heap.h"

#define GRAPH_NONE ((size_t)-1)

/* Where there is room just now. */
struct graph_room {
    bool command;               /* a worker would take a command */
    const unsigned *pools_used; /* per pool of the configuration: commands under way */
    const struct config_pool *pools;
    bool crowded; /* no further subpipeline: too many runs have their files open */
};

struct graph {
    const struct pipeline *pipeline;
    bool in_order;   /* one stage at a time, in the order written as far as needs allow */
    bool keep_going; /* a failure stops only what needs it */
    unsigned subpipelines_max; /* at once; each of them has files open */

    size_t running, paused, ended, subpipelines; /* how many; `subpipelines` of those that run */
    size_t ready;                               /* in all heaps */
    bool stopped;                               /* no further stage starts */

    unsigned *unmet;        /* per stage: needs that have not been done */
    unsigned char *state;   /* per stage, an enum of graph.c */
    size_t *first, *edges;  /* who needs stage i: edges[first[i], first[i + 1]) */
    struct heap *heaps;     /* ready stages, by what they wait for: the pools, then
                               commands without one, then subpipelines */
    size_t n_heaps;
};

/* `pools`: how many the configuration has. 0, or -1 (ENOMEM); graph_release is due in both cases. */
int graph_init(struct graph *g, const struct pipeline *p, size_t pools);
void graph_release(struct graph *g);

/* Before anything starts: the stage was done in an earlier session. */
void graph_keep(struct graph *g, size_t index);

/* The stage that may start now, the first in the order written; GRAPH_NONE: none (yet). */
size_t graph_next(const struct graph *g, const struct graph_room *room);

/* No stage needs it. */
bool graph_is_leaf(const struct graph *g, size_t index);

void graph_started(struct graph *g, size_t index); /* what graph_next said */
void graph_paused(struct graph *g);                /* a stage that runs will be tried again later */
void graph_resumed(struct graph *g);               /* and now it is */
void graph_ended(struct graph *g, size_t index, bool ok);
void graph_stop(struct graph *g); /* what runs ends, what is paused is still tried again */

/* Nothing runs and nothing will. */
bool graph_over(const struct graph *g);

/* Every stage has been started and has ended. */
bool graph_exhausted(const struct graph *g);

/* How deep each stage lies: 0 if it needs nothing, else one more than the deepest it needs. A new
 * array of one number per stage, free() it; NULL: out of memory. */
size_t *graph_levels(const struct pipeline *p, const struct config_pool *pools, size_t n_pools);

#endif
