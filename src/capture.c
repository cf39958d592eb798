/* Owns the reading rhythm, the end and the cancellation of a running command. Its worker. */
#include "capture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>

#include "bounds.h"
#include "clock.h"

#define MS INT64_C(1000000)

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool pipes_open(const struct capture *c)
{
    return c->proc->out[0] >= 0 || c->proc->out[1] >= 0;
}

/* The level of the cancellation, which the end of its own time raises as well. */
static int asked_level(struct capture *c, int64_t now)
{
    int level = cancel_level(c->cancel);
    if (level == CANCEL_NONE && now >= c->deadline_ns && !c->exited)
        c->timed_out = true;
    return level == CANCEL_NONE && c->timed_out ? CANCEL_TERM : level;
}

/* Sends what the cancellation and the clock ask for; returns when to look again. */
static int64_t carry_out_cancel(struct capture *c, int64_t now)
{
    int level = asked_level(c, now);
    if (level > c->level && level == CANCEL_TERM) {
        proc_signal(c->proc, SIGTERM);
        c->kill_ns = now + c->cancel_grace_ms * MS;
    }
    bool kill_now = level == CANCEL_KILL && c->level < CANCEL_KILL;
    c->level = level > c->level ? level : c->level;
    if (kill_now || now >= c->kill_ns) {
        proc_signal(c->proc, SIGKILL);
        c->kill_ns = WAKE_FOREVER;
        c->level = CANCEL_KILL;
        /* What escaped the group may hold the pipes for ever. */
        c->drain_ns = now + earlier(c->drain_grace_ms, KILL_DRAIN_MS) * MS;
    }
    return c->level == CANCEL_NONE && !c->exited ? c->deadline_ns : c->kill_ns;
}

static void tell_persister(struct capture *c)
{
    wake_signal(c->outbox->persister);
    c->tell_ns = WAKE_FOREVER;
    c->untold = 0;
}

/* A cancellation reaches the command also while its worker waits. */
static void wait_for_room(struct capture *c, uint32_t seen)
{
    tell_persister(c);
    wake_wait(&c->outbox->room, seen, carry_out_cancel(c, clock_mono_ns()));
}

/* A buffer from the pool, sleeping while all are under way: this is the backpressure (I5). */
static struct chunk *take_chunk(struct capture *c)
{
    for (;;) {
        uint32_t seen = wake_snapshot(&c->outbox->room);
        struct chunk *chunk = outbox_take(c->outbox);
        if (chunk)
            return chunk;
        wait_for_room(c, seen);
    }
}

/* A few chunks are told of together, so that they can be written by one call. */
static void push(struct capture *c, struct chunk *chunk)
{
    struct record r = {.journal = c->journal, .kind = RECORD_LINES, .as.chunk = chunk};
    r.index = (uint32_t)(c->context.index - 1);
    for (;;) { /* many starts and ends that nobody waits for may fill the ring, too */
        uint32_t seen = wake_snapshot(&c->outbox->room);
        if (outbox_push_quietly(c->outbox, &r))
            break;
        wait_for_room(c, seen);
    }
    if (++c->untold >= TOLD_CHUNKS)
        tell_persister(c);
    else
        c->tell_ns = earlier(c->tell_ns, clock_mono_ns() + CHUNK_AGE_NS);
}

/* Encodes and pushes what a stream has gathered; `last`: its end has come. */
static void emit(struct capture *c, struct stream *s, bool last)
{
    while (s->ready > 0) {
        int64_t wall_ms = clock_wall_ms();
        struct chunk *chunk = take_chunk(c);
        size_t n = stream_encode(s, last && !stream_full(s), &c->context, wall_ms, chunk);
        if (n == 0) { /* the rest of a character is to come */
            outbox_untake(c->outbox, chunk);
            break;
        }
        push(c, chunk);
        if (c->mirror) {
            chunk = take_chunk(c);
            stream_mirror(s, n, &c->context, wall_ms, chunk);
            push(c, chunk);
        }
        stream_consume(s, n);
    }
    s->first_ns = clock_mono_ns();
}

/* Nothing more is read from a stream: everything it has given goes out. */
static void end_stream(struct capture *c, int i)
{
    struct stream *s = &c->streams[i];
    proc_close(c->proc, i);
    emit(c, s, false);
    stream_end(s);
    emit(c, s, true);
}

/* Reads a stream once; returns whether there may be more at once. */
static bool read_once(struct capture *c, int i)
{
    struct stream *s = &c->streams[i];
    if (c->proc->out[i] < 0)
        return false;
    if (stream_full(s))
        emit(c, s, false);
    bool whole;
    ssize_t n = stream_read(s, c->proc->out[i], clock_mono_ns(), &whole);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        c->read_error = n < 0 ? errno : c->read_error;
        end_stream(c, i);
        return false;
    }
    if (n > 0)
        c->since_nap += (size_t)n;
    if (n >= CHATTY_BYTES && !c->wide[i]) {
        proc_widen(c->proc, i);
        c->wide[i] = true;
    }
    return whole;
}

/* After a short read the pipe is left alone for a moment, so that its writer finds no sleeping
 * reader to wake with every line. The aim is to find it a third to half full. */
static void begin_nap(struct capture *c, int64_t now)
{
    if (c->since_nap == 0)
        return;
    if (c->since_nap < PIPE_BYTES / 3)
        c->nap_ns += c->nap_ns / 4;
    else if (c->since_nap > PIPE_BYTES / 2)
        c->nap_ns /= 2;
    c->nap_ns = c->nap_ns < NAP_MIN_NS   ? NAP_MIN_NS
                : c->nap_ns > NAP_MAX_NS ? NAP_MAX_NS
                                         : c->nap_ns;
    c->nap_until_ns = now + c->nap_ns;
    c->since_nap = 0;
}

/* Pushes what has become old; returns when the next one does. */
static int64_t emit_aged(struct capture *c, int64_t now)
{
    int64_t next = WAKE_FOREVER;
    for (int i = 0; i < 2; i++) {
        struct stream *s = &c->streams[i];
        if (s->ready > 0 && now >= s->first_ns + CHUNK_AGE_NS) {
            emit(c, s, false);
            tell_persister(c);
        }
        if (s->ready > 0)
            next = earlier(next, s->first_ns + CHUNK_AGE_NS);
    }
    return next;
}

static void wait_for(struct capture *c, int64_t now, int64_t deadline)
{
    enum { OUT, ERR, EXIT, NUDGE, FDS };
    bool napping = now < c->nap_until_ns;
    if (napping)
        deadline = earlier(deadline, c->nap_until_ns);
    struct pollfd fds[FDS] = {
        [OUT] = {.fd = napping ? -1 : c->proc->out[0], .events = POLLIN},
        [ERR] = {.fd = napping ? -1 : c->proc->out[1], .events = POLLIN},
        [EXIT] = {.fd = c->exited ? -1 : c->proc->pidfd, .events = POLLIN},
        [NUDGE] = {.fd = c->nudge_fd, .events = POLLIN},
    };
    int64_t left = deadline > now ? deadline - now : 0;
    struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    if (ppoll(fds, FDS, deadline == WAKE_FOREVER ? NULL : &timeout, NULL) <= 0)
        return;
    eventfd_t nudges;
    if (fds[NUDGE].revents)
        eventfd_read(c->nudge_fd, &nudges);
    if (fds[EXIT].revents && !c->exited) {
        c->exited = true;
        c->nap_until_ns = 0;
        c->drain_ns = earlier(c->drain_ns, clock_mono_ns() + c->drain_grace_ms * MS);
    }
}

/* When to stop waiting for the pipes. Who was asked to end holds them until SIGKILL comes. */
static int64_t drain_deadline(const struct capture *c)
{
    return c->level == CANCEL_TERM ? WAKE_FOREVER : c->drain_ns;
}

/* A pipe's worth and the end behind it; no more, because whoever holds it may go on writing. */
static void read_rest(struct capture *c, int i)
{
    c->since_nap = 0;
    while (c->since_nap < PIPE_BYTES && read_once(c, i))
        continue;
    read_once(c, i);
}

/* The grace time is over: what is in the pipes by now is kept, then they are left to whoever holds
 * them. It may be the command's own last words, if it is us who are late. */
static void leave_pipes(struct capture *c)
{
    for (int i = 0; i < 2; i++) {
        read_rest(c, i);
        if (c->proc->out[i] < 0)
            continue;
        c->left_open = true;
        end_stream(c, i);
    }
    c->drain_ns = WAKE_FOREVER;
}

/* The command runs on: what was said of its start, or what it printed, goes on its way. Returns when
 * that is due. */
static int64_t tell_in_time(struct capture *c, int64_t now)
{
    if (now >= c->tell_ns)
        tell_persister(c);
    return c->tell_ns;
}

void capture_run(struct capture *c)
{
    c->left_open = c->exited = c->timed_out = c->wide[0] = c->wide[1] = false;
    c->level = CANCEL_NONE;
    c->read_error = 0;
    c->kill_ns = c->drain_ns = WAKE_FOREVER;
    c->nap_ns = NAP_MIN_NS;
    c->nap_until_ns = clock_mono_ns() + FIRST_NAP_NS;
    c->since_nap = 0;
    c->untold = 0;
    c->tell_ns = clock_mono_ns() + TELL_NS;
    while (!c->exited || pipes_open(c)) {
        int64_t now = clock_mono_ns();
        int64_t deadline = carry_out_cancel(c, now);
        deadline = earlier(deadline, drain_deadline(c));
        if (now >= drain_deadline(c))
            leave_pipes(c);
        else if (now >= c->nap_until_ns) {
            bool more = read_once(c, 0);
            if (read_once(c, 1) || more) {
                emit_aged(c, now); /* a chatty stream does not hold up the other */
                continue;
            }
            begin_nap(c, now);
        }
        if (c->exited && !pipes_open(c))
            break;
        deadline = earlier(deadline, emit_aged(c, now));
        deadline = earlier(deadline, tell_in_time(c, now));
        wait_for(c, now, deadline);
    }
    if (c->level != CANCEL_NONE) /* who has let go of the pipes is not waited for, but not left */
        proc_signal(c->proc, SIGKILL);
}
