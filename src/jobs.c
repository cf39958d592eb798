/* Owns the number of commands that run at once. Any thread. */
#include "jobs.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "bounds.h"

unsigned jobs_number(int jobs)
{
    cpu_set_t set;
    if (jobs == JOBS_CORES)
        jobs = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return jobs < 1 ? 1 : jobs > JOBS_MAX ? JOBS_MAX : (unsigned)jobs;
}

/* Pipelines still to be looked at; each is entered once. */
struct reach {
    const struct config *config;
    const struct pipeline **list;
    size_t n;
};

static void enter(struct reach *r, const struct pipeline *p)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->list[i] == p)
            return;
    }
    r->list[r->n++] = p;
}

static size_t take_stages(struct reach *r, const struct pipeline *p)
{
    size_t commands = 0;
    for (size_t i = 0; i < p->n_stages; i++) {
        const struct stage *s = &p->stages[i];
        const struct pipeline *inner =
            s->kind == STAGE_SUBPIPELINE ? config_pipeline(r->config, s->pipeline) : NULL;
        if (inner)
            enter(r, inner);
        commands += s->kind == STAGE_COMMAND;
    }
    return commands;
}

/* A pipeline may be run more than once, so only without subpipelines its commands are a limit. */
int jobs_workers(const struct config *c, const struct pipeline *p, int jobs, unsigned *out)
{
    struct reach r = {c, calloc(c->n_pipelines + 2, sizeof *r.list), 0};
    size_t commands = 0;
    unsigned most = 1;
    if (!r.list) {
        errno = ENOMEM;
        return -1;
    }
    enter(&r, p);
    for (size_t i = 0; i < r.n; i++) {
        const struct pipeline *at = r.list[i];
        unsigned own = at->jobs == JOBS_UNSET ? 1 : jobs_number(at->jobs);
        most = own > most ? own : most;
        commands += take_stages(&r, at);
    }
    if (jobs != JOBS_UNSET)
        most = jobs_number(jobs);
    if (r.n == 1 && most > commands)
        most = commands > 0 ? (unsigned)commands : 1;
    free(r.list);
    *out = most;
    return 0;
}
