/*
 * The single writer. One thread drains the outboxes round-robin, appends log lines, applies
 * mutations to the manifests it owns, and decides when a manifest is written (docs/design.md,
 * "Persistence"). Nothing else writes a run's files while the run is open, and nothing but
 * persister.c ever replaces manifest.json (I7).
 */
#ifndef CORCH_PERSISTER_H
#define CORCH_PERSISTER_H

#include "journal.h"
#include "outbox.h"

struct persister;

/* Starts the thread with `outboxes` outboxes; number 0 is the driving thread's and has no chunk
 * pool, the others have `pool_size` buffers each. 0, or -1 with errno. */
int persister_start(struct persister **out, unsigned outboxes, unsigned pool_size);

/* Outbox `i`, for its one producer. */
struct outbox *persister_outbox(struct persister *p, unsigned i);

/* Stops and joins the thread and frees everything. All journals must have been closed and all
 * producers stopped. */
void persister_stop(struct persister *p);

/* Replaces manifest.json now, durably. Only while the journal is not open: for what is known after
 * the run's end (metrics_recorded, run_summary_path). 0, or -1 with errno. */
int persister_write_closed(struct journal *j);

#endif
