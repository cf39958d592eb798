/* Owns the lists of what is under way. Main thread. */
#include "progress_runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void progress_runs_release(struct progress_runs *all)
{
    while (all->runs)
        progress_run_drop(all, all->runs);
}

struct progress_run *progress_run_find(const struct progress_runs *all, const char *id)
{
    struct progress_run *r = all->runs;
    while (r && strcmp(r->id, id) != 0)
        r = r->next;
    return r;
}

struct progress_run *progress_run_add(struct progress_runs *all, const char *id,
                                      struct progress_stage *parent)
{
    struct progress_run *r = calloc(1, sizeof *r), **end = &all->runs;
    if (!r)
        return NULL;
    snprintf(r->id, sizeof r->id, "%s", id);
    r->lost = true;
    r->parent = parent;
    if (parent && parent->child)
        progress_run_drop(all, parent->child);
    if (parent)
        parent->child = r;
    while (*end)
        end = &(*end)->next;
    return *end = r;
}

static struct progress_stage *any_stage(const struct progress_runs *all,
                                        const struct progress_run *run)
{
    struct progress_stage *s = all->stages;
    while (s && s->run != run)
        s = s->next;
    return s;
}

void progress_run_drop(struct progress_runs *all, struct progress_run *run)
{
    struct progress_run **at = &all->runs;
    while (run->running > 0)
        progress_stage_drop(all, any_stage(all, run));
    while (*at != run)
        at = &(*at)->next;
    *at = run->next;
    if (run->parent)
        run->parent->child = NULL;
    free(run);
}

struct progress_stage *progress_stage_find(const struct progress_runs *all,
                                           const struct progress_run *run, size_t number)
{
    struct progress_stage *s = all->stages;
    while (s && (s->run != run || s->number != number))
        s = s->next;
    return s;
}

struct progress_stage *progress_stage_add(struct progress_runs *all, struct progress_run *run,
                                          size_t number, int64_t now_ms)
{
    struct progress_stage *s = calloc(1, sizeof *s), **end = &all->stages;
    if (!s)
        return NULL;
    s->run = run;
    s->number = number;
    s->started_ms = now_ms;
    run->running++;
    while (*end)
        end = &(*end)->next;
    return *end = s;
}

void progress_stage_drop(struct progress_runs *all, struct progress_stage *stage)
{
    struct progress_stage **at = &all->stages;
    if (stage->child)
        progress_run_drop(all, stage->child);
    while (*at != stage)
        at = &(*at)->next;
    *at = stage->next;
    stage->run->running--;
    free(stage->title);
    free(stage);
}
