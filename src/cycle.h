/* Cycles in a directed graph: pipelines that contain themselves, stages that wait for themselves.
 * Pure, any thread. */
#ifndef CORCH_CYCLE_H
#define CORCH_CYCLE_H

#include "buf.h"

#define CYCLE_END ((size_t)-1)  /* a node has no such edge, nor any further one */
#define CYCLE_SKIP ((size_t)-2) /* the edge leads nowhere */

struct cycle_graph {
    size_t nodes;
    const void *context; /* for the functions */
    size_t (*edge)(const void *context, size_t node, size_t i); /* where its i-th edge leads */
    const char *(*name)(const void *context, size_t node);
};

/* 0: no cycle; 1: there is one, `names` is "a -> b -> a" and `*first` is a; -1: out of memory
 * (ENOMEM). */
int cycle_find(const struct cycle_graph *g, struct buf *names, size_t *first);

#endif
