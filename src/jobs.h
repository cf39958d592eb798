/* How many commands run at once. Any thread. */
#ifndef CORCH_JOBS_H
#define CORCH_JOBS_H

#include "config.h"

/* A number of jobs as it stands, JOBS_CORES as the processors this process may use; at least 1. */
unsigned jobs_number(int jobs);

/* How many workers a run of `p` can use: the most jobs of `p` and of the pipelines in it, or `jobs`
 * unless that is JOBS_UNSET; not more than they have commands. 0, or -1 (ENOMEM). */
int jobs_workers(const struct config *c, const struct pipeline *p, int jobs, unsigned *out);

#endif
