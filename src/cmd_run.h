/* What the commands share that run many stages: how much at once, what a failure does, what is shown
 * meanwhile. Main thread. */
#ifndef CORCH_CMD_RUN_H
#define CORCH_CMD_RUN_H

#include "cmd_wait.h"
#include "options.h"
#include "relay.h"

struct run_words {
    const char *jobs, *timeout, *output;
    bool keep_going, fail_fast, interactive, no_interactive;
};

/* Lines of help about these options. */
#define RUN_HELP                                                                                   \
    "  --jobs N, -j N          commands at once; 0: as many as there are processors (default: the\n" \
    "                          pipeline's \"jobs\", else 1: one stage after the other)\n"            \
    "  --keep-going, -k        after a failure, run all that does not need what failed\n"          \
    "  --fail-fast             after a failure, end what runs; by default that finishes, and\n"    \
    "                          nothing new starts\n"                                               \
    "  --timeout SECONDS       end the run after this time, as failed\n"                           \
    "  --output MODE           what commands print is shown: lines (each behind the name of its\n" \
    "                          stage), grouped (when a command has ended), errors (only of those\n" \
    "                          that failed) or none (default)\n"                                   \
    "  --interactive, --ui     say why if there is no progress; there is on a terminal\n"          \
    "  --no-interactive        no progress\n"

/* Their specifications. */
enum { RUN_SPECS = 10 };
void run_specs(struct run_words *w, struct option_spec specs[RUN_SPECS]);

/* What they say, into `to` and `*relay`. 0, or -1 and `e` names the option that is wrong. */
int run_options(const char *command, const struct run_words *w, corch_options *to,
                enum relay_mode *relay, struct err *e);

/* Whether there will be progress: for corch_options.watch. Why not is said if it was asked for. */
bool run_progress(const struct run_words *w, enum relay_mode relay, bool json);

/* Waits for the end of the run and shows what is to be shown meanwhile. 0, or -1: not all could be
 * shown. */
int run_watch(struct run_wait *wait, enum relay_mode relay, bool json, bool progress);

#endif
