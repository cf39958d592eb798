/*
 * What progress shows, as text: what runs and how much it has printed, and a line for each stage
 * that has ended, from the frames of a run. Stages run and end in any order, also those of several
 * subpipelines at once. No terminal, no clock. One thread.
 */
#ifndef CORCH_PROGRESS_VIEW_H
#define CORCH_PROGRESS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "corch.h"
#include "progress_runs.h"

/* Finds the parts of a run: corch_run_part, or what a test has in its place. */
typedef int progress_part(corch_run *run, size_t i, corch_part *part);

struct progress_view {
    bool coloured;
    unsigned columns; /* lines are cut to fewer */
    progress_part *part;
    corch_run *run;   /* that is asked for its parts */
    size_t next_part; /* parts before it have begun */
    struct progress_runs under_way;
    struct buf ended; /* finished lines with their newlines: take them out and clear it */
};

void progress_view_init(struct progress_view *v, bool coloured);
void progress_view_release(struct progress_view *v);

/* Takes the next frame into account. Without memory something is not shown. */
void progress_view_take(struct progress_view *v, const corch_frame *frame);

/* Appends what runs at the time `now_ms` (wall), in one line without newline: as many titles as
 * fit, the longest-running first, with its time and what all have printed; nothing if no stage
 * runs. */
void progress_view_area(const struct progress_view *v, int64_t now_ms, struct buf *out);

#endif
