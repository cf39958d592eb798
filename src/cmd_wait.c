/* Owns the wait for a run and what signals do to it. Main thread. */
#include "cmd_wait.h"

#include <string.h>

#include "bounds.h"
#include "output.h"
#include "reaper.h"
#include "sig.h"

static void take_signal(struct run_wait *w, int signal)
{
    progress_clear(w->progress);
    if (w->over)
        sig_die(signal); /* all is recorded; what is still to be printed is in the way */
    corch_run_cancel(w->run, w->first_signal != 0);
    if (w->first_signal)
        return;
    output_message("signal %d: ending the run; once more kills it at once", signal);
    w->first_signal = signal;
}

void run_wait_once(struct run_wait *w, struct pollfd *more, nfds_t n)
{
    enum { RUN, SIGNALS, MORE };
    struct pollfd fds[MORE + RUN_WAIT_MORE] = {
        [RUN] = {.fd = w->over ? -1 : corch_run_fd(w->run), .events = POLLIN},
        [SIGNALS] = {.fd = w->signals, .events = POLLIN}};
    if (n > 0)
        memcpy(fds + MORE, more, n * sizeof *more);
    int ready = poll(fds, MORE + n, w->busy ? 0 : BURY_MS);
    reaper_bury();
    if (ready < 0) /* interrupted: nothing has happened yet */
        return;
    if (n > 0)
        memcpy(more, fds + MORE, n * sizeof *more);
    w->over |= fds[RUN].revents != 0;
    int signal = fds[SIGNALS].revents ? sig_read(w->signals) : 0;
    if (signal)
        take_signal(w, signal);
}
