/* Owns what starts next: ready stages and subpipelines. Driving thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "engine_state.h"
#include "reasons.h"
#include "resume.h"

static bool start_command(struct engine *g, struct live_run *r, size_t index)
{
    struct task *t;
    while (!(t = calloc(1, sizeof *t))) /* nobody else would have us try again */
        clock_sleep_ms(WRITE_RETRY_PAUSE_MS);
    t->run = r;
    /* and more of its run are ready: no hurry to hear of it */
    bool quiet = graph_is_leaf(&r->graph, index) && r->graph.ready > 1 &&
                 r->pipeline->stages[index].pool_index == STAGE_NO_POOL;
    t->job = (struct job){.run = &r->context,
                          .cancel = &r->cancel,
                          .journal = &r->journal,
                          .stage = &r->pipeline->stages[index],
                          .index = index,
                          .quiet = quiet,
                          .ended = engine_task_ended,
                          .context = t};
    if (task_queue(g, t))
        return true;
    free(t);
    return false;
}

static void subpipeline_error(struct engine *g, struct live_run *r, size_t index, const char *why)
{
    struct mutation *m = engine_mutation(MUTATION_STAGE_END, r, index);
    m->event = STAGE_EV_FAIL;
    m->summary = text_join("Sub-pipeline error: ", why, "");
    m->run_summary_line = m->summary ? strdup(m->summary) : NULL;
    m->status_detail = text_join(REASON_SUBPIPELINE, r->pipeline->stages[index].pipeline, REASON_ERROR);
    closing_stage(g, r, m, false);
}

/* A run that was killed before its first manifest has run nothing. */
static bool has_manifest(const struct workspace *w, const char *run_id)
{
    struct buf path = BUF_INIT;
    buf_addf(&path, "%s/%s/cli/%s/manifest.json", w->runs, w->task_id, run_id);
    bool there = path.failed || access(path.data, F_OK) == 0 || errno != ENOENT;
    buf_release(&path);
    return there;
}

/* The run of a subpipeline that was interrupted together with its parent goes on, and what has succeeded in
 * it is not run again. NULL: there is none, unless `e` says why it can't go on. */
static struct live_run *take_up_child(struct engine *g, struct live_run *r, size_t index, struct err *e)
{
    char run_id[ID_RUN_LEN + 1];
    if (!run_noted_child(r, index, run_id) || !has_manifest(g->workspace, run_id))
        return NULL;
    const struct resume_child child = {.parent_run_id = r->journal.manifest.run_id,
                                       .pipeline_id = r->pipeline->stages[index].pipeline};
    const struct resume_request request = {.run_id = run_id,
                                           .reason = "parent-resume",
                                           .watch = r->journal.watch,
                                           .instance = g->instance,
                                           .child = &child};
    return run_resume(g->workspace, g->config, &request, NULL, &g->notices, e);
}

static void start_subpipeline(struct engine *g, struct live_run *r, size_t index)
{
    const char *id = r->pipeline->stages[index].pipeline;
    struct err e = {""};
    struct mutation *start = engine_mutation(MUTATION_STAGE_START, r, index);
    start->awaited = r->context.await_start;
    engine_push_and_wait(g, start); /* who finds the child's folder finds it in the parent's manifest */
    struct run_request request = {.pipeline = config_pipeline(g->config, id),
                                  .parent_run_id = r->journal.manifest.run_id,
                                  .watch = r->journal.watch,
                                  .instance = g->instance,
                                  .pools = g->config->n_pools};
    if (!request.pipeline) {
        err_set(&e, "Pipeline '%s' not found.", id);
        subpipeline_error(g, r, index, e.text);
        return;
    }
    struct live_run *child = take_up_child(g, r, index, &e);
    if (!child && !e.text[0])
        child = run_new(g->workspace, &request, &e);
    if (!child) {
        subpipeline_error(g, r, index, e.text);
        return;
    }
    if (!child->resumed)
        run_note_child(r, index, child->journal.manifest.run_id);
    child->parent = r;
    child->parent_index = index;
    engine_open_run(g, child);
}

static void start_stages(struct engine *g, struct live_run *r)
{
    struct graph_room room = {
        .command = true, .pools_used = g->pools_used, .pools = g->config->pools};
    size_t index;
    if (cancel_halted(&r->cancel))
        graph_stop(&r->graph);
    for (;;) {
        room.command = room.command && tasks_have_place(g, r);
        room.crowded = g->n_live >= g->live_max;
        index = graph_next(&r->graph, &room);
        if (index == GRAPH_NONE)
            return;
        if (r->pipeline->stages[index].kind == STAGE_SUBPIPELINE) {
            graph_started(&r->graph, index);
            start_subpipeline(g, r, index);
        } else if (start_command(g, r, index)) {
            graph_started(&r->graph, index);
        } else {
            room.command = false; /* the queue is full: again when a job has ended */
        }
    }
}

void dispatch(struct engine *g)
{
    unsigned long opened;
    tasks_start_again(g);
    do { /* a subpipeline that was opened wants its stages started, too */
        opened = g->opened;
        for (struct live_run *r = g->live; r; r = r->next)
            start_stages(g, r);
    } while (g->opened != opened);
}

/* Nobody is left who might give descriptors back. The newest run is the deepest. */
bool dispatch_crowded(struct engine *g)
{
    const struct graph_room room = {.pools_used = g->pools_used, .pools = g->config->pools};
    if (g->n_live < g->live_max || g->top->busy > 0 || g->delayed.n > 0 || g->again)
        return false;
    for (struct live_run *r = g->live; r; r = r->next) {
        size_t index = graph_next(&r->graph, &room);
        if (index == GRAPH_NONE)
            continue;
        graph_started(&r->graph, index);
        start_subpipeline(g, r, index);
        return true;
    }
    return false;
}
