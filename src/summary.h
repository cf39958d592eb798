/* run-summary.json, from a manifest whose run has ended. The thread that drives the run. */
#ifndef CORCH_SUMMARY_H
#define CORCH_SUMMARY_H

#include "manifest.h"
#include "plan.h"

/*
 * The summary document (docs/formats.md): taskId, runId, mode, plan, build, test, review,
 * timestamp, handles, privacy. Computes the manifest's guardrail status if that is still to do.
 * Caller deletes; NULL: out of memory.
 */
cJSON *summary_build(struct manifest *m, const struct plan *plan, int64_t now_ms);

/* What a parent run shows of it: review.summary. Borrowed from `summary`. */
const char *summary_review(const cJSON *summary);

#endif
