/* Owns how stages and runs end. Driving thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine_state.h"
#include "epilogue.h"
#include "reasons.h"

/* The run that fails as well when `r` does, or NULL. */
static struct live_run *dragged_along(const struct live_run *r)
{
    return r->parent && !r->parent->pipeline->stages[r->parent_index].optional ? r->parent : NULL;
}

/* A stage that may not has failed. `follows`: as an effect of another that has. What the runs around
 * it do is of no use any more either, long before the subpipeline is over. */
static void note_failure(struct engine *g, struct live_run *r, bool follows)
{
    r->failed = true;
    if (follows || cancel_asked(&r->cancel)) /* somebody wants the run to end: that is why it does */
        return;
    r->failed_itself = true;
    for (; r && !g->limits.keep_going; r = dragged_along(r)) {
        if (g->limits.fail_fast)
            engine_raise(g, &r->cancel, CANCEL_TERM, CANCEL_FAILED);
        else
            cancel_halt(&r->cancel); /* what is queued already does not start */
    }
}

void closing_task(struct engine *g, struct task *t)
{
    struct live_run *r = t->run;
    bool retry = t->event == STAGE_EV_RETRY;
    if (retry && cancel_level(&r->cancel) == CANCEL_NONE) {
        task_retry(g, t);
        return;
    }
    if (retry || (t->event == STAGE_EV_RESUME && t->job.end)) { /* no further attempt may begin */
        task_record_end(g, t);
        return;
    }
    bool unstarted = t->event == STAGE_EV_RESUME, failed = t->event == STAGE_EV_FAIL;
    task_place_free(g, t);
    graph_ended(&r->graph, t->job.index, !failed && !unstarted);
    if (failed)
        note_failure(g, r, t->job.follows);
    r->failed |= unstarted;
    job_release(&t->job);
    free(t);
}

/* Records that a stage of `r`, a subpipeline, is over. */
void closing_stage(struct engine *g, struct live_run *r, struct mutation *m, bool itself)
{
    const struct stage *stage = &r->pipeline->stages[m->index];
    bool cut_short = cancel_asked(&r->cancel);
    m->follows = !itself && cancel_follows(&r->cancel);
    cut_short |= m->follows;
    if (m->event != STAGE_EV_SUCCEED) /* what was cut short is to run again, as a command is */
        m->event = stage->optional && !cut_short ? STAGE_EV_EXCUSE : STAGE_EV_FAIL;
    bool failed = m->event == STAGE_EV_FAIL, follows = m->follows;
    graph_ended(&r->graph, m->index, !failed);
    engine_push(g, m);
    if (failed)
        note_failure(g, r, follows);
}

static void set_cancelled(struct mutation *m)
{
    m->status = RUN_CANCELLED;
    m->status_detail = strdup(REASON_CANCELED);
}

static void set_timed_out(const struct engine *g, const struct live_run *r, struct mutation *m)
{
    struct buf line = BUF_INIT;
    m->status = RUN_FAILED;
    if (!r->failed_itself)
        m->status_detail = strdup(REASON_RUN_TIMED_OUT);
    buf_addf(&line, "The run timed out after %g s.", (double)g->limits.timeout_ms / 1000);
    m->run_summary_line = buf_detach(&line);
}

static char *storage_line(int error)
{
    char reason[128];
    return text_join("The files of the run can't be written: ",
                     strerror_r(error, reason, sizeof reason), ".");
}

static void set_storage_error(struct mutation *m, int error)
{
    m->status = RUN_FAILED;
    m->status_detail = strdup(REASON_STORAGE);
    m->run_summary_line = storage_line(error);
}

/* Its end could not be written, so nobody else knows of it: the run has not succeeded. The manifest is
 * ours again. */
static void note_unwritten_end(struct live_run *r)
{
    struct manifest *doc = &r->journal.manifest;
    int error = atomic_load(&r->journal.failed);
    if (!error || doc->status != RUN_SUCCEEDED)
        return;
    char *line = storage_line(error);
    doc->status = RUN_FAILED;
    free(doc->status_detail);
    doc->status_detail = strdup(REASON_STORAGE);
    if (line)
        manifest_add_summary(doc, line);
    free(line);
}

/* How a run that is over ended: its storage first, then whether it was left unfinished, and why. */
static void close_run(struct engine *g, struct live_run *r)
{
    int error = atomic_load(&r->journal.failed);
    bool ended = cancel_level(&r->cancel) != CANCEL_NONE &&
                 (r->failed || !graph_exhausted(&r->graph));
    enum cancel_reason reason = cancel_reason(&r->cancel);
    struct mutation *m = engine_mutation(MUTATION_CLOSE, r, 0);
    if (error)
        set_storage_error(m, error);
    else if (ended && reason == CANCEL_TIMED_OUT)
        set_timed_out(g, r, m);
    else if (ended && (reason == CANCEL_ASKED || !r->failed_itself))
        set_cancelled(m);
    else
        m->status = r->failed ? RUN_FAILED : RUN_SUCCEEDED;
    engine_push_and_wait(g, m);
    note_unwritten_end(r);
}

static void unlink_live(struct engine *g, struct live_run *r)
{
    struct live_run **at = &g->live;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    g->n_live--;
}

static void end_in_parent(struct engine *g, struct live_run *child, char *review)
{
    const struct manifest *doc = &child->journal.manifest;
    struct mutation *m = engine_mutation(MUTATION_STAGE_END, child->parent, child->parent_index);
    m->event = doc->status == RUN_SUCCEEDED ? STAGE_EV_SUCCEED : STAGE_EV_FAIL;
    m->summary = review;
    m->sub_run_id = strdup(doc->run_id);
    m->sub_pipeline_id = strdup(doc->pipeline_id);
    m->sub_manifest = text_join(doc->artifact_root, "/manifest.json", "");
    m->sub_status = doc->status;
    const struct stage *stage = &child->parent->pipeline->stages[child->parent_index];
    if (m->event == STAGE_EV_FAIL && !stage->optional) {
        m->status_detail = text_join(REASON_SUBPIPELINE, stage->pipeline, REASON_FAILED);
        m->run_summary_line = text_join("Sub-pipeline '", stage->pipeline, "' failed.");
    }
    bool itself = child->failed_itself || atomic_load(&child->journal.failed) != 0;
    closing_stage(g, child->parent, m, itself);
}

/* All commands of a run that was to end are over, but not what has left their process groups. */
static void end_strays(const struct engine *g, const struct live_run *r)
{
    if (!r->parent && cancel_level(&r->cancel) != CANCEL_NONE)
        reaper_sweep_all(&g->reaper, g->instance);
}

static void end_run(struct engine *g, struct live_run *r)
{
    end_strays(g, r);
    close_run(g, r);
    unlink_live(g, r);
    char *review = epilogue_write(g->workspace, &r->journal, &r->plan, r->exec, &g->cancel,
                                  &g->notices);
    if (r->parent) {
        end_in_parent(g, r, review);
        run_free(r);
    } else {
        free(review);
        g->status = r->journal.manifest.status;
    }
}

bool closing_next_run(struct engine *g)
{
    struct live_run *r = g->live;
    while (r && !graph_over(&r->graph))
        r = r->next;
    if (r)
        end_run(g, r);
    return r;
}
