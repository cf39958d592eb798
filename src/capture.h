/* Reading what a command prints until it is over, into chunks of an outbox. Its worker. */
#ifndef CORCH_CAPTURE_H
#define CORCH_CAPTURE_H

#include "cancel.h"
#include "chunk.h"
#include "journal.h"
#include "outbox.h"
#include "proc.h"

struct capture {
    /* set by the caller */
    struct proc *proc;
    struct stream *streams; /* 2 */
    struct outbox *outbox;
    struct journal *journal;
    const struct cancel *cancel;
    int nudge_fd;        /* an eventfd that says: look at `cancel` again */
    int64_t deadline_ns; /* when its time is over, or WAKE_FOREVER */
    long long cancel_grace_ms, drain_grace_ms;
    bool mirror;
    struct chunk_context context;

    /* result */
    bool timed_out; /* its time was over before it had exited */
    bool left_open; /* somebody else held a pipe open after the command's exit */
    int read_error; /* an errno: not all that it printed could be read; or 0 */

    /* state */
    bool exited;
    int level;         /* of what it was asked to end by, as far as that has been carried out */
    int64_t kill_ns;   /* when SIGKILL follows SIGTERM */
    int64_t drain_ns;  /* when we stop waiting for the pipes */
    int64_t nap_ns, nap_until_ns;
    int64_t tell_ns;  /* when the persister is woken for what was pushed without */
    unsigned untold;  /* chunks among that */
    bool wide[2];     /* its pipe has been widened */
    size_t since_nap; /* bytes read since the last nap */
};

/* Returns when the command has exited and both pipes are at their end (or the grace time after the
 * exit has passed), with every byte pushed. The process is still to be reaped. Carries out a
 * cancellation on the way; then nothing of the process group is left alive. */
void capture_run(struct capture *c);

#endif
