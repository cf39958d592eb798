/* Waiting for a run while signals become its cancellation, shared by the commands that run
 * something. Main thread. */
#ifndef CORCH_CMD_WAIT_H
#define CORCH_CMD_WAIT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "corch.h"
#include "progress.h"

struct run_wait {
    corch_run *run;
    int signals;               /* of sig_open */
    int first_signal;          /* that has come; 0: none. By it the program ends, after the run */
    int64_t deadline_ns;       /* after a signal: until then it should be over, or all be shown */
    bool over;                 /* the run is */
    bool buried;               /* somebody has just been: there may be more */
    bool busy;                 /* there is more to do: look at all, but don't sleep */
    struct progress *progress; /* cleared before a message; or NULL */
};

/*
 * Sleeps until something has happened: to the run, a signal, or to one of `more` (n of them, at the most
 * RUN_WAIT_MORE, as for poll), but at the most BURY_MS. The first signal asks the run to end, the next
 * kills it; a signal after the run's end ends the program at once. It also ends by its first signal,
 * all commands killed, if the run does not end in time after it (GIVE_UP_MS), and when the run is over but
 * nobody takes what there is to show (SHOW_ON_MS).
 */
#define RUN_WAIT_MORE 3
void run_wait_once(struct run_wait *w, struct pollfd *more, nfds_t n);

/* The run is over, and all is recorded: from here on signals end the program at once, whatever it waits
 * for, and so does in SHOW_ON_MS the one that has come before. */
void run_wait_end(const struct run_wait *w);

#endif
