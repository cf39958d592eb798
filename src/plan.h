/* What a start would do: one item per stage, and which of them is the target. Main thread. */
#ifndef CORCH_PLAN_H
#define CORCH_PLAN_H

#include "buf.h"
#include "config.h"

struct plan {
    const struct pipeline *pipeline; /* borrowed */
    size_t target;                   /* index of the selected stage; n_stages if there is none */
    char *target_id;                 /* "pipeline:stage", or NULL */
    bool target_unknown;             /* a target was asked for that no stage answers to */
};

/* `target` (may be NULL) is compared with "pipeline:stage" exactly, then, after its last ':', with
 * stage ids and aliases in any case. Otherwise the first stage flagged plan.defaultTarget, default
 * or primary; otherwise the first runnable one; otherwise the first. 0, or -1 (ENOMEM). */
int plan_build(const struct pipeline *p, const char *target, struct plan *out);
void plan_release(struct plan *plan);

/* Appends the plan as in run-summary.json and `plan --format json`, as member `key` (NULL: a document):
 * items (with metadata and selected), notes (the pipeline's description, absent if it has none),
 * targetId. */
void plan_print(const struct plan *plan, const char *key, struct buf *out);

/* Whether the target stage asks for the cloud, for the run's recorded mode. */
bool plan_target_requires_cloud(const struct plan *plan);

#endif
