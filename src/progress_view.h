/*
 * What progress shows, as text: what runs and how much it has printed, and a line for each stage
 * that has ended, from the frames of a run. No terminal, no clock. One thread.
 */
#ifndef CORCH_PROGRESS_VIEW_H
#define CORCH_PROGRESS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "corch.h"

/* A run under way and the stage of it that runs; within a subpipeline, the next level. */
struct progress_level {
    char run_id[40];
    uint64_t stages;
    uint64_t done; /* the first so many are over, in this session or an earlier */
    bool missed;   /* frames were lost since a stage of it began or ended */

    char *title; /* of the stage that runs, safe to show; NULL: none */
    int64_t started_ms;
    uint64_t bytes, lines;
    bool lost; /* and some of what it printed was not seen */
};

struct progress_view {
    bool coloured;
    unsigned columns; /* lines are cut to fewer */
    struct progress_level *levels;
    size_t n_levels, room;
    struct buf ended; /* finished lines with their newlines: take them out and clear it */
};

void progress_view_init(struct progress_view *v, bool coloured);
void progress_view_release(struct progress_view *v);

/* Takes the next frame into account. Without memory something is not shown. */
void progress_view_take(struct progress_view *v, const corch_frame *frame);

/* Appends what runs at the time `now_ms` (wall), in one line without newline; nothing if no stage
 * runs. */
void progress_view_area(const struct progress_view *v, int64_t now_ms, struct buf *out);

#endif
