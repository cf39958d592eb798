/* A manifest such as a run of many small commands has, for benchmarks. */
#ifndef MADE_MANIFEST_H
#define MADE_MANIFEST_H

#include "bench.h"
#include "manifest.h"

#define MADE_RUN ".runs/0101/cli/2026-11-22T17-08-00-123Z-0a1b2c3d"
#define MADE_WALL_MS INT64_C(1795367280123) /* 2026-11-22T17:08:00.123Z */

/* The place of a command's log as the manifest shows it: free() it. */
static inline char *made_log_path(size_t index)
{
    char path[128];
    snprintf(path, sizeof path, MADE_RUN "/commands/%02zu-stage-%zu.ndjson", index + 1, index + 1);
    return bench_copy(path);
}

/* All of its `n` commands are pending. */
static inline void made_manifest(struct manifest *m, size_t n)
{
    char pipeline_id[] = "bench", title[] = "Bench", command[] = "true";
    struct stage *stages = calloc(n + 1, sizeof *stages);
    char(*ids)[32] = malloc((n + 1) * sizeof *ids);
    bench_need(stages && ids, "get memory");
    for (size_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof ids[i], "stage-%zu", i + 1);
        stages[i].kind = STAGE_COMMAND;
        stages[i].id = stages[i].title = ids[i];
        stages[i].command = command;
    }
    struct pipeline p = {.id = pipeline_id, .title = title, .stages = stages, .n_stages = n};
    bench_need(manifest_init(m, &p, MADE_WALL_MS) == 0, "make a manifest");
    free(stages);
    free(ids);
    m->task_id = bench_copy("0101");
    m->run_id = bench_copy("2026-11-22T17-08-00-123Z-0a1b2c3d");
    m->artifact_root = bench_copy(MADE_RUN);
    m->log_path = bench_copy(MADE_RUN "/runner.ndjson");
    m->privacy_log_path = bench_copy(MADE_RUN "/privacy-decisions.ndjson");
}

#endif
