/*
 * What the driving thread has in hand. Private to, from the top down: engine.c (threads, waiting, the
 * outside), dispatch.c (what starts next), closing.c (how stages and runs end), tasks.c (places and
 * retries), engine_post.c (telling the persister, and being told). Everything but what is said to be
 * under the lock belongs to the driving thread.
 */
#ifndef CORCH_ENGINE_STATE_H
#define CORCH_ENGINE_STATE_H

#include <pthread.h>

#include "engine.h"
#include "heap.h"
#include "reaper.h"

/* A command under way, and its completion afterwards. */
struct task {
    struct job job;
    struct live_run *run;
    enum stage_event event;
    struct task *next;
};

struct engine {
    const struct config *config;
    const struct workspace *workspace;
    struct workspace own; /* of a resumed run, else empty */
    struct engine_limits limits;
    unsigned workers;
    char instance[ID_UUID_LEN + 1]; /* what our commands are marked with */
    struct reaper reaper;
    struct persister *persister;
    struct pool *pool; /* under `lock` */
    struct cancel cancel;
    struct outbox *outbox; /* ours: number 0 */
    struct live_run *top, *live; /* `live`: those that have not ended, the top one included */
    unsigned long opened; /* runs so far */
    size_t n_live, live_max; /* how many, and with how many a further one waits */
    struct notices found;   /* before it was driven; not changed any more */
    struct notices notices; /* while it was */
    enum run_status status; /* of the top run */
    int64_t deadline_ns;    /* when its time is over, or WAKE_FOREVER */

    unsigned *pools_used; /* per pool of the configuration: commands queued or running */
    struct heap delayed;  /* tasks that are tried again, by when */
    struct task *again, **again_end; /* those whose time has come, oldest first */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct task *ended; /* newest first */
    bool nudged;        /* cancelled, or a journal failed: look around */
    bool answered;      /* the mutation we wait for has been applied */
    corch_part *parts;  /* strings are their own */
    size_t n_parts;
};

/* engine_post.c. Memory for a mutation's few bytes is waited for: without them the run's record would be
 * wrong. */
struct mutation *engine_mutation(enum mutation_kind kind, struct live_run *r, size_t index);
void engine_push(struct engine *g, struct mutation *m);
void engine_push_and_wait(struct engine *g, struct mutation *m);
void engine_open_run(struct engine *g, struct live_run *r);
void engine_forget_parts(struct engine *g);
void engine_raise(struct engine *g, struct cancel *c, int level, enum cancel_reason reason);
void engine_task_ended(struct job *job, enum stage_event event); /* persister or worker thread */

/* tasks.c */
bool tasks_have_place(const struct engine *g, const struct live_run *r); /* for one more of the run */
bool task_queue(struct engine *g, struct task *t); /* for a worker; false: the queue is full */
void task_place_free(struct engine *g, struct task *t); /* its place is for others */
void task_retry(struct engine *g, struct task *t); /* later, after its delay */
void task_record_end(struct engine *g, struct task *t); /* has the end that is ready recorded */
void tasks_start_again(struct engine *g); /* those whose delay is over, if there is a place */
void tasks_give_up(struct engine *g); /* what waits for a retry in a run that is to end, ends */

/* closing.c */
void closing_task(struct engine *g, struct task *t); /* takes a completion into account, frees it */
/* A subpipeline. `itself`: if it failed, then not as an effect of something outside of it. */
void closing_stage(struct engine *g, struct live_run *r, struct mutation *m, bool itself);
bool closing_next_run(struct engine *g); /* ends a run that is over; false: there is none */

/* dispatch.c: starts what can be started; tasks whose delay is over come first. */
void dispatch(struct engine *g);
bool dispatch_crowded(struct engine *g); /* nothing goes on, for want of room for one more run: begins
                                            it nevertheless; false: it is not so */

#endif
