/*
 * Worker threads and the bounded queue of jobs they take from. The queue changes once per command,
 * so a mutex serves it; output goes another way (outbox.h).
 */
#ifndef CORCH_POOL_H
#define CORCH_POOL_H

#include <stdbool.h>

#include "persister.h"
#include "worker.h"

struct pool;

struct pool_limits {
    unsigned workers; /* at least 1; outboxes 1 to `workers` of the persister are theirs */
    long long cancel_grace_ms, drain_grace_ms;
    bool enforce_privacy;
};

/* Starts the threads. 0, or -1 with errno and nothing left. */
int pool_start(struct pool **out, const struct pool_limits *limits, struct persister *persister);

/* Queues a job; false if QUEUED_PER_WORKER times as many as there are workers are waiting already (try
 * again when pool_wants_more). Any thread. */
bool pool_try_add(struct pool *p, struct job *job);

/* Whether the queue is half empty, or more. Any thread. */
bool pool_wants_more(struct pool *p);

/* Has all workers look at the cancellation of their jobs again, also those that sleep for a chunk
 * buffer. Any thread. */
void pool_nudge(struct pool *p);

/* Lets the queue run empty, joins the threads, frees everything. */
void pool_stop(struct pool *p);

#endif
