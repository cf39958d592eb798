/* Owns the wait for a run and what signals do to it. Main thread. */
#include "cmd_wait.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "output.h"
#include "reaper.h"
#include "sig.h"

#define MS INT64_C(1000000)

/* Who waits to say something does not hear signals. */
static void tell(struct run_wait *w, const char *text)
{
    if (!output_ready(STDERR_FILENO))
        return;
    progress_clear(w->progress);
    output_message("%s", text);
}

static void take_signal(struct run_wait *w, int signal, int64_t now)
{
    char text[80];
    if (w->over)
        sig_die(w->first_signal ? w->first_signal : signal); /* all is recorded; what is still to be printed
                                                                is in the way */
    corch_run_cancel(w->run, w->first_signal != 0);
    w->deadline_ns = now + (GIVE_UP_MS + (w->first_signal ? 0 : CANCEL_GRACE_MS)) * MS;
    if (w->first_signal)
        return;
    w->first_signal = signal;
    snprintf(text, sizeof text, "signal %d: ending the run; once more kills it at once", signal);
    tell(w, text);
}

/* What could not be ended in time is killed, and counts as interrupted: `resume` takes it up. */
static void give_up(struct run_wait *w)
{
    if (!w->over) {
        reaper_sweep_all(NULL, NULL);
        tell(w, "the run could not be ended in time, and counts as interrupted");
    }
    sig_die(w->first_signal);
}

void run_wait_once(struct run_wait *w, struct pollfd *more, nfds_t n)
{
    enum { RUN, SIGNALS, MORE };
    struct pollfd fds[MORE + RUN_WAIT_MORE] = {
        [RUN] = {.fd = w->over ? -1 : corch_run_fd(w->run), .events = POLLIN},
        [SIGNALS] = {.fd = w->signals, .events = POLLIN}};
    if (n > 0)
        memcpy(fds + MORE, more, n * sizeof *more);
    int ready = poll(fds, MORE + n, w->busy ? 0 : w->buried ? BURY_AGAIN_MS : BURY_MS);
    int64_t now = clock_mono_ns();
    w->buried = reaper_bury();
    if (ready < 0) /* interrupted: nothing has happened yet */
        return;
    if (n > 0)
        memcpy(more, fds + MORE, n * sizeof *more);
    if (fds[RUN].revents) {
        w->over = true;
        w->deadline_ns = now + SHOW_ON_MS * MS;
    }
    int signal = fds[SIGNALS].revents ? sig_read(w->signals) : 0;
    if (signal)
        take_signal(w, signal, now);
    if (w->first_signal && now >= w->deadline_ns)
        give_up(w);
}

void run_wait_end(const struct run_wait *w)
{
    sig_release(w->first_signal, SHOW_ON_MS);
}
