/* Child processes: pipes, spawn, wait, signals to a whole group. No globals; any thread. */
#ifndef CORCH_PROC_H
#define CORCH_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc {
    pid_t pid;  /* also its process group */
    int pidfd;  /* readable once it has exited; -1 after proc_reap */
    int out[2]; /* read ends of stdout and stderr, non-blocking; -1 once closed */
};

/* Signals that do not have their default disposition now: bit n - 1 stands for signal n. */
uint64_t proc_signals(void);

/* What to start, and where; borrowed. */
struct proc_request {
    const char *command; /* for `/bin/sh -c` */
    const char *cwd;     /* NULL: ours */
    char *const *env;
    uint64_t signals; /* to be put back to their defaults, as proc_signals has found them */
};

/*
 * Starts the command, stdin /dev/null, stdout and stderr into pipes, in a new process group, with no
 * signal blocked. Nothing else is inherited. The calling thread sleeps until the shell has been
 * executed, as after vfork(2): the cost does not grow with our memory. 0, or -1 with errno; then
 * nothing is left, and `*failed` says what could not be done.
 */
int proc_spawn(struct proc *p, const struct proc_request *request, const char **failed);

/* Signals the group, if its leader has not been reaped (its number could be anybody's later). */
void proc_signal(const struct proc *p, int signal);

/* After the pidfd became readable: collects the exit status. `*exit_code` is 0 to 255, or -1 when
 * a signal ended it; then `*signal` is its number, else 0. 0, or -1 with errno: nobody knows how it ended
 * (ECHILD: SIGCHLD is ignored, or somebody else in this process waits for all children). */
int proc_reap(struct proc *p, int *exit_code, int *signal);

/* Has the stream's pipe hold PIPE_BYTES, if that is allowed. Most commands print next to nothing, and
 * the room for so much costs more than they do. */
void proc_widen(const struct proc *p, int stream);

void proc_close(struct proc *p, int stream); /* 0: stdout, 1: stderr; again: nothing */

/* "SIGKILL" for 9; "SIG42" for what has no name. Returns `out`. */
const char *proc_signal_name(int signal, char out[16]);

#endif
