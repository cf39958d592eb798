/*
 * Drives a run and its subpipelines to their end: hands ready stages to the pool, begins and ends
 * subpipelines, carries out cancellation. One thread, the driving thread, calls engine_drive;
 * engine_cancel may come from any.
 */
#ifndef CORCH_ENGINE_H
#define CORCH_ENGINE_H

#include "corch.h"
#include "notices.h"
#include "pool.h"
#include "run.h"

struct engine;

struct engine_limits {
    int jobs; /* JOBS_UNSET: as each pipeline says */
    bool keep_going, fail_fast;
    unsigned chunk_pool;
    long long cancel_grace_ms, drain_grace_ms;
    long long timeout_ms; /* of the whole run; 0: none */
};

/* How the run that was asked for ended; strings are the engine's. */
struct engine_result {
    enum run_status status;
    const struct manifest *manifest;
    const struct notices *notices;
    unsigned long manifest_writes;
};

/* Starts persister and workers, and creates the run or takes it up again. NULL on failure: nothing
 * was run. `config` and `workspace` must outlive the engine. */
struct engine *engine_new(const struct config *config, const struct workspace *workspace,
                          const struct run_request *request, const struct engine_limits *limits,
                          struct err *e);

/* Runs everything to its end, with all files written, and stops the threads. Once. */
void engine_drive(struct engine *g);

/* See cancel.h for the levels. Any thread, until engine_free. */
void engine_cancel(struct engine *g, int level);

/* After engine_drive. */
void engine_result(const struct engine *g, struct engine_result *out);

/* What was found when the run was made or taken up again: remarks, i from 0; NULL: no more. Any thread. */
const char *engine_found(const struct engine *g, size_t i);

/* The run's manifest as it was made: ids and paths only, while it is driven. */
const char *engine_run_id(const struct engine *g);

/* The run's folder, absolute. From engine_new on. */
const char *engine_folder(const struct engine *g);

/* A run under way or over: `*part` is set and lives as long as the engine. 0: the one that was asked
 * for; then subpipelines, in the order they began. False: there are not that many yet. Any thread. */
bool engine_part(struct engine *g, size_t i, corch_part *part);

void engine_free(struct engine *g);

#endif
