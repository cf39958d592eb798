/*
 * The runs under way and what runs in them, as far as it was seen. A stage and a run are here only
 * while they go on, so that looking through all of them is quick. One thread.
 */
#ifndef CORCH_PROGRESS_RUNS_H
#define CORCH_PROGRESS_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A stage that runs. */
struct progress_stage {
    struct progress_stage *next; /* begun later */
    struct progress_run *run;    /* that it is a stage of */
    struct progress_run *child;  /* its subpipeline under way, or NULL */
    size_t number;               /* in its run, from 1 */
    char *title;                 /* safe to show; NULL: its beginning was not seen */
    int64_t started_ms;
    uint64_t bytes, lines;
    bool lost; /* and some of what it printed was not seen */
};

/* A run under way. */
struct progress_run {
    struct progress_run *next;
    struct progress_stage *parent; /* whose subpipeline it is; NULL: the run that was asked for */
    char id[40];
    size_t running;        /* stages of it in the list */
    uint64_t stages, done; /* how many there are, and how many are over */
    bool lost;             /* frames were lost since it began */
};

struct progress_runs {
    struct progress_run *runs;     /* each after the one it is part of */
    struct progress_stage *stages; /* of all runs, the longest-running first */
};

void progress_runs_release(struct progress_runs *all);

struct progress_run *progress_run_find(const struct progress_runs *all, const char *id);
/* A run that was not there, of which frames are missing until somebody knows better; in place of an
 * earlier one of the same parent. NULL: out of memory. */
struct progress_run *progress_run_add(struct progress_runs *all, const char *id,
                                      struct progress_stage *parent);
void progress_run_drop(struct progress_runs *all, struct progress_run *run); /* and what is in it */

struct progress_stage *progress_stage_find(const struct progress_runs *all,
                                           const struct progress_run *run, size_t number);
/* A stage that was not there, without title. NULL: out of memory. */
struct progress_stage *progress_stage_add(struct progress_runs *all, struct progress_run *run,
                                          size_t number, int64_t now_ms);
void progress_stage_drop(struct progress_runs *all, struct progress_stage *stage); /* likewise */

#endif
