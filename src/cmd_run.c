/* Owns what the commands share that run many stages. Main thread. */
#include "cmd_run.h"

#include <string.h>
#include <unistd.h>

#include "output.h"

void run_specs(struct run_words *w, struct option_spec specs[RUN_SPECS])
{
    const struct option_spec own[RUN_SPECS] = {
        {"--jobs", &w->jobs, NULL},
        {"-j", &w->jobs, NULL},
        {"--keep-going", NULL, &w->keep_going},
        {"-k", NULL, &w->keep_going},
        {"--fail-fast", NULL, &w->fail_fast},
        {"--timeout", &w->timeout, NULL},
        {"--output", &w->output, NULL},
        {"--interactive", NULL, &w->interactive},
        {"--ui", NULL, &w->interactive},
        {"--no-interactive", NULL, &w->no_interactive},
    };
    memcpy(specs, own, sizeof own);
}

int run_options(const char *command, const struct run_words *w, corch_options *to,
                enum relay_mode *relay, struct err *e)
{
    if (w->keep_going && w->fail_fast)
        return err_set(e, "%s: --keep-going and --fail-fast contradict each other", command);
    to->on_failure = w->keep_going  ? CORCH_KEEP_GOING
                     : w->fail_fast ? CORCH_FAIL_FAST
                                    : CORCH_FINISH;
    if ((w->jobs && options_jobs(command, w->jobs, &to->jobs, e) != 0) ||
        (w->timeout && options_timeout(command, w->timeout, &to->timeout_ms, e) != 0))
        return -1;
    return relay_mode(command, w->output, relay, e);
}

bool run_progress(const struct run_words *w, enum relay_mode relay, bool json)
{
    const struct progress_options options = {
        .refused = w->no_interactive, .json = json, .output = relay != RELAY_NONE};
    const char *why[PROGRESS_OBSTACLES];
    size_t n = progress_obstacles(&options, STDERR_FILENO, why);
    for (size_t i = 0; w->interactive && i < n; i++)
        output_message("progress is off: %s", why[i]);
    return n == 0;
}

static void wait_for_end(struct run_wait *wait, struct progress *progress)
{
    wait->progress = progress;
    while (!wait->over) {
        struct pollfd timer = {.fd = progress_fd(progress), .events = POLLIN};
        run_wait_once(wait, &timer, 1);
        progress_update(progress, wait->run);
    }
    wait->progress = NULL;
    progress_end(progress, wait->run);
}

int run_watch(struct run_wait *wait, enum relay_mode relay, bool json, bool progress)
{
    if (relay != RELAY_NONE)
        return relay_run(wait, relay, json);
    wait_for_end(wait, progress ? progress_new(STDERR_FILENO) : NULL);
    return 0;
}
