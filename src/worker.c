/* Owns the life of one command on a worker thread: start, capture, end. */
#include "worker.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "clock.h"
#include "ending.h"
#include "environment.h"
#include "events.h"
#include "outcome.h"
#include "proc.h"
#include "rundir.h"

/* One attempt; on the worker's stack. */
struct execution {
    struct worker *worker;
    struct job *job;
    struct event_context events;
    int64_t begin_ms, begin_ns;
    sem_t recorded; /* posted when the start is on disk */
    int record_error;
};

static void push_mutation(struct outbox *outbox, struct mutation *m)
{
    struct record r = outbox_mutation(m);
    outbox_push_wait(outbox, &r);
}

/* Nobody waits for it, and most commands of large runs end so soon that their end can wake the
 * persister for both; capture_run sees to the others. */
static void push_quietly(struct outbox *outbox, struct mutation *m)
{
    struct record r = outbox_mutation(m);
    if (!outbox_push_quietly(outbox, &r))
        outbox_push_wait(outbox, &r);
}

/* Moves a buffer's bytes into a mutation's lines. */
static void set_lines(struct mutation *m, struct buf *lines)
{
    m->lines_len = lines->len;
    m->lines = buf_detach(lines);
}

static void begin_first(struct attempts *a, int64_t assigned_ms)
{
    a->assigned_ms = assigned_ms;
    id_uuid(a->handle_id);
    id_uuid(a->correlation_id);
    id_uuid(a->session_id);
    a->begin_ms = clock_wall_ms();
    a->begin_ns = clock_mono_ns();
}

static void init_execution(struct execution *x, struct worker *w, struct job *job)
{
    const struct stage *stage = job->stage;
    struct attempts *a = &job->attempts;
    if (a->number++ == 0)
        begin_first(a, job->assigned_ms);
    x->worker = w;
    x->job = job;
    x->events = (struct event_context){
        .correlation_id = a->correlation_id,
        .session_id = stage->session_id ? stage->session_id : a->session_id,
        .cwd = stage->cwd ? stage->cwd : job->run->root,
        .stage = stage,
        .index = job->index + 1,
        .attempt = a->number,
    };
    x->begin_ms = a->number == 1 ? a->begin_ms : clock_wall_ms();
    x->begin_ns = a->number == 1 ? a->begin_ns : clock_mono_ns();
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

/* Persister thread: nobody waits. A journal that failed says so itself. */
static void line_recorded(struct mutation *m, int error)
{
    (void)error;
    mutation_free(m);
}

static int fill_start(const struct execution *x, struct mutation *m)
{
    const struct job *job = x->job;
    struct buf path = BUF_INIT;
    char name[128];
    rundir_command_file(name, sizeof name, "commands", job->index + 1, job->stage->id, "ndjson");
    buf_addf(&path, "%s/%s", job->run->dir_rel, name);
    m->log_path = buf_detach(&path);
    memcpy(m->handle_id, job->attempts.handle_id, sizeof job->attempts.handle_id);
    return m->log_path ? 0 : -1;
}

/* Has the first log lines of the attempt, and with the first one "running", written before the
 * command starts; waits for that where the run has it so. 0, or an errno. */
static int record_start(struct execution *x)
{
    struct job *job = x->job;
    bool first = job->attempts.number == 1, waits = first && job->run->await_start;
    struct mutation *m =
        mutation_new(first ? MUTATION_STAGE_START : MUTATION_STAGE_LINES, job->journal);
    struct buf lines = BUF_INIT;
    if (!m)
        return ENOMEM;
    if (first)
        events_start(&lines, &x->events, x->begin_ms);
    events_begin(&lines, &x->events, x->begin_ms);
    m->index = job->index;
    m->now_ms = x->begin_ms;
    m->awaited = waits;
    m->applied = waits ? start_recorded : line_recorded;
    m->context = x;
    set_lines(m, &lines);
    if (!m->lines || (first && fill_start(x, m) != 0)) {
        mutation_free(m);
        return ENOMEM;
    }
    if (!waits) {
        push_quietly(x->worker->outbox, m);
        return 0;
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
    const struct proc_request request = {stage->command, cwd, env, x->worker->signals};
    if (cwd && env)
        rc = proc_spawn(p, &request, &failed);
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
    struct job *job = x->job;
    bool enforce = job->run->enforce_privacy;
    stream_reset(&w->streams[0], "stdout", w->guards[0], enforce);
    stream_reset(&w->streams[1], "stderr", w->guards[1], enforce);
    *c = (struct capture){
        .proc = p,
        .streams = w->streams,
        .outbox = w->outbox,
        .journal = job->journal,
        .cancel = job->cancel,
        .nudge_fd = w->nudge_fd,
        .deadline_ns = job->stage->timeout_ms > 0
                           ? clock_mono_ns() + job->stage->timeout_ms * INT64_C(1000000)
                           : WAKE_FOREVER,
        .cancel_grace_ms = w->cancel_grace_ms,
        .drain_grace_ms = w->drain_grace_ms,
        .mirror = job->run->mirror_streams,
        .context = {.attempt = job->attempts.number,
                    .index = job->index + 1,
                    .sequence = job->attempts.sequence},
    };
    memcpy(c->context.correlation_id, job->attempts.correlation_id,
           sizeof job->attempts.correlation_id);
    job->attempts.executed = true;
    capture_run(c);
    job->attempts.sequence = c->context.sequence;
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

static int64_t ms_since(int64_t begin_ns)
{
    return (clock_mono_ns() - begin_ns) / 1000000;
}

/* The command's own end line: of all attempts. */
static void add_ended(const struct execution *x, struct buf *lines, struct event_end end,
                      int64_t now_ms)
{
    end.duration_ms = ms_since(x->job->attempts.begin_ns);
    events_ended(lines, &x->events, &end, now_ms);
}

/* Pushes the end; the job is its submitter's again once that has been applied. */
static void record_end(struct execution *x, struct mutation *m, struct buf *lines)
{
    struct job *job = x->job;
    set_lines(m, lines);
    if (m->event == STAGE_EV_FAIL && !job->run->keep_going)
        cancel_halt(job->cancel); /* before any worker can take another job of the run */
    ending_assign(m, job, x->worker->number, x->begin_ms);
    bool quiet = job->quiet && (m->event == STAGE_EV_SUCCEED || m->event == STAGE_EV_EXCUSE);
    if (quiet)
        push_quietly(x->worker->outbox, m);
    else
        push_mutation(x->worker->outbox, m);
}

void worker_tell(struct worker *w)
{
    wake_signal(w->outbox->persister);
}

/* Pushes what there is to say about an attempt that failed, and keeps `m`, which is how the command
 * ends if nobody tries again. False: memory is short, and there is no further attempt. */
static bool record_retry(struct execution *x, struct mutation *m, struct buf *lines,
                         struct event_end end)
{
    struct job *job = x->job;
    struct mutation *said = mutation_new(MUTATION_STAGE_LINES, job->journal);
    struct buf last = BUF_INIT;
    uint32_t random;
    char hex[9];
    if (!said)
        return false;
    id_hex(hex, 8);
    random = (uint32_t)strtoul(hex, NULL, 16);
    job->retry_ms = retry_delay_ms(job->stage, job->attempts.number, random);
    events_retry(lines, &x->events, m->summary, job->retry_ms, m->now_ms);
    add_ended(x, &last, end, m->now_ms);
    set_lines(m, &last);
    ending_assign(m, job, x->worker->number, x->begin_ms);
    ending_requeue(m, job, x->begin_ms);
    job->end = m;
    said->event = STAGE_EV_RETRY;
    said->index = job->index;
    said->applied = end_recorded;
    said->context = job;
    set_lines(said, lines);
    push_mutation(x->worker->outbox, said);
    return true;
}

static void conclude(struct execution *x, struct mutation *m, struct buf *lines,
                     struct event_end end)
{
    const struct job *job = x->job;
    bool again = x->record_error == 0 && m->event != STAGE_EV_SUCCEED &&
                 job->attempts.number <= job->stage->retries &&
                 cancel_level(job->cancel) == CANCEL_NONE;
    if (again && record_retry(x, m, lines, end))
        return;
    if (x->record_error == 0)
        add_ended(x, lines, end, m->now_ms);
    record_end(x, m, lines);
}

static void end_unstarted(struct execution *x, struct mutation *m, char *why)
{
    struct buf lines = BUF_INIT;
    struct event_end end = {.exit_code = -1, .duration_ms = ms_since(x->begin_ns)};
    m->now_ms = clock_wall_ms();
    ending_unstarted(m, x->job, why);
    if (x->record_error == 0)
        events_end(&lines, &x->events, &end, false, m->now_ms);
    conclude(x, m, &lines, end);
}

/* What a reader of the log must know of the capture. */
static void add_warnings(const struct execution *x, const struct capture *c, struct buf *lines,
                         int64_t now_ms)
{
    if (c->timed_out)
        events_warning(lines, &x->events, "timed out: the command was asked to end", now_ms);
    if (c->left_open)
        events_warning(lines, &x->events,
                       "output left open: the command has exited, but another process still holds "
                       "its stdout or stderr; what it prints from here on is not captured",
                       now_ms);
    if (x->worker->streams[0].guard_lost || x->worker->streams[1].guard_lost)
        events_warning(lines, &x->events, "the privacy guard failed: output was not looked at",
                       now_ms);
}

/* Why it ended, if it was not by itself, and the ends of what it printed. */
static void fill_outcome(struct execution *x, const struct capture *c, struct outcome *o)
{
    struct job *job = x->job;
    enum cancel_reason reason = cancel_reason(job->cancel);
    o->interrupted = c->level != CANCEL_NONE && !c->timed_out;
    o->timed_out = c->timed_out || (o->interrupted && reason == CANCEL_TIMED_OUT);
    o->timeout_ms = c->timed_out ? job->stage->timeout_ms : 0;
    job->follows = o->interrupted && reason != CANCEL_ASKED;
    o->out_cut = x->worker->streams[0].tail.total > TAIL_BYTES;
    o->err_cut = x->worker->streams[1].tail.total > TAIL_BYTES;
}

static char *say_unknown(const char *what, int error)
{
    char reason[128];
    return text_join("Execution error: its ", what, strerror_r(error, reason, sizeof reason));
}

static void run_command(struct execution *x, struct mutation *m)
{
    struct proc p;
    struct capture c;
    char *why = NULL, name[16];
    if (spawn(x, &p, &why) != 0) {
        end_unstarted(x, m, why);
        return;
    }
    struct outcome o = {0};
    struct buf lines = BUF_INIT;
    capture(x, &p, &c);
    int lost = proc_reap(&p, &o.exit_code, &o.signal) == 0 ? 0 : errno;
    m->now_ms = clock_wall_ms();
    fill_outcome(x, &c, &o);
    char *out = tail_text(&x->worker->streams[0].tail), *err = tail_text(&x->worker->streams[1].tail);
    o.out = out ? out : "";
    o.err = err ? err : "";
    if (c.read_error)
        ending_unstarted(m, x->job, say_unknown("output could not be read: ", c.read_error));
    else if (lost)
        ending_unstarted(m, x->job, say_unknown("exit status is lost: ", lost));
    else
        ending_executed(m, x->job, &o);
    free(out);
    free(err);
    struct event_end end = {.exit_code = o.signal || lost ? -1 : o.exit_code,
                            .signal = o.signal ? proc_signal_name(o.signal, name) : NULL,
                            .duration_ms = ms_since(x->begin_ns),
                            .timed_out = o.timed_out};
    add_warnings(x, &c, &lines, m->now_ms);
    events_end(&lines, &x->events, &end, m->event == STAGE_EV_SUCCEED, m->now_ms);
    conclude(x, m, &lines, end);
}

void worker_run(struct worker *w, struct job *job)
{
    struct execution x;
    bool first = job->attempts.number == 0;
    if (first ? cancel_halted(job->cancel) : cancel_level(job->cancel) != CANCEL_NONE) {
        job->ended(job, STAGE_EV_RESUME);
        return;
    }
    /* Allocated first: once the command has run its end must be sayable. */
    struct mutation *end = mutation_new(MUTATION_STAGE_END, job->journal);
    if (!end) {
        job->ended(job, STAGE_EV_RESUME);
        return;
    }
    mutation_free(job->end);
    job->end = NULL;
    end->index = job->index;
    end->applied = end_recorded;
    end->context = job;
    init_execution(&x, w, job);
    x.record_error = record_start(&x);
    if (x.record_error == 0) {
        run_command(&x, end);
        return;
    }
    char reason[128];
    end_unstarted(&x, end, text_join("Execution error: can't record its start: ",
                                       strerror_r(x.record_error, reason, sizeof reason), ""));
}

struct mutation *job_take_end(struct job *job)
{
    struct mutation *m = job->end;
    job->end = NULL;
    return m;
}

void job_release(struct job *job)
{
    mutation_free(job->end);
    buf_release(&job->attempts.printed);
}
