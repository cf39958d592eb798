/* run-summary.json, from a manifest whose run has ended. The thread that drives the run. */
#ifndef CORCH_SUMMARY_H
#define CORCH_SUMMARY_H

#include "manifest.h"
#include "plan.h"

/*
 * The summary document (docs/formats.md) into `out` (cleared first): taskId, runId, mode, plan, build,
 * test, review, timestamp, handles, privacy; each, and each element of a long list, on a line of its
 * own, and no newline anywhere else. Computes the manifest's guardrail status if that is still to do.
 * 0, or -1 (ENOMEM).
 */
int summary_print(struct manifest *m, const struct plan *plan, int64_t now_ms, struct buf *out);

/* What a parent run shows of it, review.summary: free() it; NULL: out of memory. The guardrail status
 * has been computed. */
char *summary_review(const struct manifest *m);

#endif
