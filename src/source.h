/* Who prints: the stages of a run and of its subpipelines, their names, and what of their output is
 * on its way. One thread. */
#ifndef CORCH_SOURCE_H
#define CORCH_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "follow.h"
#include "shown.h"

/* A stage; number 0 and no names until source_name. */
struct source {
    char *id;      /* NULL: the run's manifest could not be read */
    char *label;   /* the ids from the run that was started down to it, joined by slashes */
    char *title;   /* NULL: it is the id. Both are safe to show */
    size_t number; /* from 1: its own plus those of the stages it is part of */
    bool running;  /* from command:start to command:end */
    struct shown streams[2];
};

struct source_run {
    struct source *stages;
    size_t n;
};

struct sources {
    struct source_run *runs;
    size_t n;
};

/* Stage `index`, from 1, of a run, by its number in `follow`; until the next call. NULL: out of
 * memory. */
struct source *source_get(struct sources *s, size_t part, size_t index);

/* The same, with its names: those in the run's manifest, which is there once the command of the
 * stage was started. */
struct source *source_name(struct sources *s, const struct follow *f, size_t part, size_t index);

void sources_release(struct sources *s);

#endif
