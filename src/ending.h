/* What the end of a command means: for its entry in the manifest, for its run, for the scheduler's
 * record, and whether it is tried again. Its worker. */
#ifndef CORCH_ENDING_H
#define CORCH_ENDING_H

#include "outcome.h"
#include "worker.h"

/* Fills the mutation about an attempt that was executed. */
void ending_executed(struct mutation *m, struct job *job, const struct outcome *o);

/* The same of one that could not be; `why` is taken over. */
void ending_unstarted(struct mutation *m, struct job *job, char *why);

/* Puts the attempts into the mutation, the last one with them. */
void ending_assign(struct mutation *m, const struct job *job, unsigned worker, int64_t started_ms);

/* Remembers that the attempt which `m` is about will be followed by another. */
void ending_requeue(const struct mutation *m, struct job *job, int64_t started_ms);

/* How long to wait before the attempt after `attempt` (from 1): the stage's delay, doubled each time,
 * and up to a quarter more, so that those who failed together don't come back together. */
int64_t retry_delay_ms(const struct stage *stage, unsigned attempt, uint32_t random);

#endif
