/* Pipelines that contain themselves by way of their subpipelines. Pure, any thread. */
#ifndef CORCH_CYCLE_H
#define CORCH_CYCLE_H

#include "buf.h"
#include "config.h"

/* Looks at all pipelines of `c`, whose ids differ. 0: no cycle; 1: there is one, `names` is
 * "a -> b -> a" and `*first` the index of a; -1: out of memory (ENOMEM). */
int cycle_find(const struct config *c, struct buf *names, size_t *first);

#endif
