/* Owns the life of one command on a worker thread: start, capture, end. */
#include "worker.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "clock.h"
#include "environment.h"
#include "events.h"
#include "ids.h"
#include "outcome.h"
#include "proc.h"
#include "rundir.h"

/* One execution of one command; on the worker's stack. */
struct execution {
    struct worker *worker;
    struct job *job;
    char handle_id[ID_UUID_LEN + 1], correlation_id[ID_UUID_LEN + 1], session_id[ID_UUID_LEN + 1];
    struct event_context events;
    int64_t begin_ms, begin_ns;
    sem_t recorded; /* posted when the start is on disk */
    int record_error;
};

static void push_mutation(struct outbox *outbox, struct mutation *m)
{
    struct record r = {.journal = m->journal, .kind = RECORD_MUTATION, .as.mutation = m};
    r.index = (uint32_t)m->index;
    outbox_push_wait(outbox, &r);
}

/* Moves a buffer's bytes into a mutation's lines. */
static void set_lines(struct mutation *m, struct buf *lines)
{
    m->lines_len = lines->len;
    m->lines = buf_detach(lines);
}

static void init_execution(struct execution *x, struct worker *w, struct job *job)
{
    const struct stage *stage = job->stage;
    x->worker = w;
    x->job = job;
    id_uuid(x->handle_id);
    id_uuid(x->correlation_id);
    id_uuid(x->session_id);
    x->events = (struct event_context){
        .correlation_id = x->correlation_id,
        .session_id = stage->session_id ? stage->session_id : x->session_id,
        .cwd = stage->cwd ? stage->cwd : job->run->root,
        .stage = stage,
        .index = job->index + 1,
        .attempt = 1,
    };
    x->begin_ms = clock_wall_ms();
    x->begin_ns = clock_mono_ns();
    x->record_error = 0;
}

/* Persister thread. */
static void start_recorded(struct mutation *m, int error)
{
    struct execution *x = m->context;
    mutation_free(m);
    x->record_error = error;
    sem_post(&x->recorded);
}

/* Has "running" and the first log lines put on disk before the command starts. 0, or an errno. */
static int record_start(struct execution *x)
{
    struct job *job = x->job;
    struct mutation *m = mutation_new(MUTATION_STAGE_START, job->journal);
    if (!m)
        return ENOMEM;
    struct buf lines = BUF_INIT, path = BUF_INIT;
    char name[128];
    rundir_command_file(name, sizeof name, "commands", job->index + 1, job->stage->id, "ndjson");
    buf_addf(&path, "%s/%s", job->run->dir_rel, name);
    events_begin(&lines, &x->events, x->begin_ms);
    m->index = job->index;
    m->now_ms = x->begin_ms;
    m->log_path = buf_detach(&path);
    set_lines(m, &lines);
    memcpy(m->handle_id, x->handle_id, sizeof x->handle_id);
    m->applied = start_recorded;
    m->context = x;
    if (!m->log_path || !m->lines) {
        mutation_free(m);
        return ENOMEM;
    }
    sem_init(&x->recorded, 0, 0);
    push_mutation(x->worker->outbox, m);
    while (sem_wait(&x->recorded) != 0)
        continue;
    sem_destroy(&x->recorded);
    return x->record_error;
}

/* In enforce mode nothing may start whose output could not be looked at. */
static int load_guards(const struct execution *x, char **why)
{
    struct err e = {""};
    struct guard *const *guards = x->worker->guards;
    if (!x->job->run->enforce_privacy ||
        (guard_load(guards[0], &e) == 0 && guard_load(guards[1], &e) == 0))
        return 0;
    *why = text_join("Execution error: the privacy guard can't work: ", e.text, "");
    return -1;
}

/* Starts the command; on failure -1 and `why` says what failed (free() it). */
static int spawn(struct execution *x, struct proc *p, char **why)
{
    if (load_guards(x, why) != 0)
        return -1;
    const struct stage *stage = x->job->stage;
    const struct run_context *run = x->job->run;
    char *cwd = path_absolute(run->root, stage->cwd ? stage->cwd : ".");
    char **env = environment_merge(run->env, stage->env);
    const char *failed = "prepare it";
    int rc = -1;
    errno = ENOMEM;
    if (cwd && env)
        rc = proc_spawn(p, stage->command, cwd, env, &failed);
    if (rc != 0) {
        struct buf text = BUF_INIT;
        char reason[128];
        const char *cause = strerror_r(errno, reason, sizeof reason);
        buf_addf(&text, "Execution error: can't %s (%s): %s", failed, cwd ? cwd : run->root, cause);
        *why = buf_detach(&text);
    }
    free(cwd);
    free(env);
    return rc;
}

static void capture(struct execution *x, struct proc *p, struct capture *c)
{
    struct worker *w = x->worker;
    bool enforce = x->job->run->enforce_privacy;
    stream_reset(&w->streams[0], "stdout", w->guards[0], enforce);
    stream_reset(&w->streams[1], "stderr", w->guards[1], enforce);
    *c = (struct capture){
        .proc = p,
        .streams = w->streams,
        .outbox = w->outbox,
        .journal = x->job->journal,
        .cancel = w->cancel,
        .cancel_grace_ms = w->cancel_grace_ms,
        .drain_grace_ms = w->drain_grace_ms,
        .mirror = x->job->run->mirror_streams,
        .context = {.attempt = 1, .index = x->job->index + 1},
    };
    memcpy(c->context.correlation_id, x->correlation_id, sizeof x->correlation_id);
    capture_run(c);
}

/* Persister thread: everything about the command is in its files. */
static void end_recorded(struct mutation *m, int error)
{
    (void)error; /* a journal that failed tells the run itself */
    struct job *job = m->context;
    enum stage_event event = m->event;
    mutation_free(m);
    job->ended(job, event);
}

/* What the run's manifest says because of this stage. */
static void set_run_effect(struct mutation *m, const struct job *job)
{
    const struct stage *stage = job->stage;
    bool failed = m->event == STAGE_EV_FAIL;
    if (job->run->exec) {
        m->status_detail = failed ? strdup("exec-failed") : NULL;
        m->run_summary_line = m->summary ? strdup(m->summary) : NULL;
        return;
    }
    if (!failed)
        return;
    m->status_detail = text_join("stage:", stage->id, m->spawn_error ? ":error" : ":failed");
    if (m->spawn_error) {
        m->run_summary_line = m->summary ? strdup(m->summary) : NULL;
        return;
    }
    struct buf b = BUF_INIT;
    buf_addf(&b, "Stage '%s' failed with exit code %d.", stage->title, m->exit_code);
    m->run_summary_line = buf_detach(&b);
}

/* The content of errors/NN-id.json, or NULL. */
static char *error_document(const struct execution *x, const struct outcome *o, int64_t now_ms)
{
    const struct run_context *run = x->job->run;
    struct buf text = BUF_INIT;
    cJSON *doc = json_new();
    json_str(doc, "run_id", run->run_id);
    json_str(doc, "task_id", run->task_id);
    json_int(doc, "command_index", (int64_t)x->events.index);
    json_str(doc, "command_id", x->job->stage->id);
    json_str(doc, "command", x->job->stage->command);
    json_str(doc, "reason", "command-failed");
    json_add(doc, "details", outcome_details(o));
    json_time(doc, "created_at", now_ms);
    int rc = json_print(doc, true, &text);
    buf_addch(&text, '\n');
    cJSON_Delete(doc);
    if (rc != 0)
        buf_release(&text);
    return rc == 0 ? buf_detach(&text) : NULL;
}

/* Fills the parts of the end that come from the exit status and the streams' tails. */
static void set_outcome(struct execution *x, struct mutation *m, struct outcome *o)
{
    const struct stage *stage = x->job->stage;
    char *out = tail_text(&x->worker->streams[0].tail), *err = tail_text(&x->worker->streams[1].tail);
    o->out = out ? out : "";
    o->err = err ? err : "";
    o->out_cut = x->worker->streams[0].tail.total > TAIL_BYTES;
    o->err_cut = x->worker->streams[1].tail.total > TAIL_BYTES;
    bool succeeded = o->signal == 0 && o->exit_code == 0;
    m->event = succeeded ? STAGE_EV_SUCCEED : stage->allow_failure ? STAGE_EV_EXCUSE : STAGE_EV_FAIL;
    m->has_exit_code = true;
    m->exit_code = outcome_code(o);
    m->signal = o->signal;
    m->summary = outcome_summary(o, stage);
    if (m->event == STAGE_EV_FAIL)
        m->error_text = error_document(x, o, m->now_ms);
    set_run_effect(m, x->job);
    free(out);
    free(err);
}

static void set_handle(const struct execution *x, struct mutation *m, uint64_t chunks)
{
    memcpy(m->handle_id, x->handle_id, sizeof x->handle_id);
    memcpy(m->correlation_id, x->correlation_id, sizeof x->correlation_id);
    m->frames = chunks + 2; /* begin and end */
    m->handle_ms = x->begin_ms;
}

/* Pushes the end; the job is its submitter's again once that has been applied. */
static void record_end(struct execution *x, struct mutation *m, struct buf *lines)
{
    set_lines(m, lines);
    m->index = x->job->index;
    m->applied = end_recorded;
    m->context = x->job;
    push_mutation(x->worker->outbox, m);
}

static int64_t elapsed_ms(const struct execution *x)
{
    return (clock_mono_ns() - x->begin_ns) / 1000000;
}

static void end_unstarted(struct execution *x, struct mutation *m, char *why)
{
    struct buf lines = BUF_INIT;
    m->spawn_error = true;
    m->event = STAGE_EV_FAIL;
    m->summary = why;
    set_run_effect(m, x->job);
    if (x->record_error == 0)
        events_end(&lines, &x->events, -1, NULL, false, elapsed_ms(x), m->now_ms);
    record_end(x, m, &lines);
}

static void run_command(struct execution *x, struct mutation *m)
{
    struct proc p;
    struct capture c;
    char *why = NULL, name[16];
    if (spawn(x, &p, &why) != 0) {
        m->now_ms = clock_wall_ms();
        end_unstarted(x, m, why);
        return;
    }
    struct outcome o = {0};
    struct buf lines = BUF_INIT;
    capture(x, &p, &c);
    proc_reap(&p, &o.exit_code, &o.signal);
    m->now_ms = clock_wall_ms();
    set_outcome(x, m, &o);
    set_handle(x, m, c.context.sequence);
    if (c.left_open)
        events_warning(&lines, &x->events,
                       "output left open: the command has exited, but another process still holds "
                       "its stdout or stderr; what it prints from here on is not captured",
                       m->now_ms);
    if (x->worker->streams[0].guard_lost || x->worker->streams[1].guard_lost)
        events_warning(&lines, &x->events, "the privacy guard failed: output was not looked at",
                       m->now_ms);
    events_end(&lines, &x->events, o.signal ? -1 : o.exit_code,
               o.signal ? proc_signal_name(o.signal, name) : NULL, o.signal == 0 && o.exit_code == 0,
               elapsed_ms(x), m->now_ms);
    record_end(x, m, &lines);
}

void worker_run(struct worker *w, struct job *job)
{
    struct execution x;
    if (cancel_level(w->cancel) != CANCEL_NONE) {
        job->ended(job, STAGE_EV_RESUME);
        return;
    }
    init_execution(&x, w, job);
    /* Allocated first: once the command has run its end must be sayable. */
    struct mutation *end = mutation_new(MUTATION_STAGE_END, job->journal);
    if (!end) {
        job->ended(job, STAGE_EV_RESUME);
        return;
    }
    x.record_error = record_start(&x);
    if (x.record_error == 0) {
        run_command(&x, end);
        return;
    }
    char reason[128];
    end_unstarted(&x, end, text_join("Execution error: can't record its start: ",
                                       strerror_r(x.record_error, reason, sizeof reason), ""));
}
