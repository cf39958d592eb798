/*
 * What the commands of a run print, shown while it goes on. The run's logs are the buffer: a slow
 * reader slows nothing down and takes no memory, and one who goes away ends nothing. Main thread.
 */
#ifndef CORCH_RELAY_H
#define CORCH_RELAY_H

#include "cmd_wait.h"
#include "err.h"

enum relay_mode {
    RELAY_NONE,
    RELAY_LINES,   /* each line when it is finished, behind the name of its stage */
    RELAY_GROUPED, /* all of a command when it has ended */
    RELAY_ERRORS   /* the same, of those that failed */
};

/* The value of --output (NULL: none). 0, or -1: it is none of these, and `e` says so. */
int relay_mode(const char *command, const char *value, enum relay_mode *out, struct err *e);

/* Waits for the run's end, and until all its output has been shown: on stdout and stderr as the
 * commands had it, all on stderr if stdout is for JSON. 0, or -1: not all could be shown, and not
 * because nobody wants to see it; why has been said. */
int relay_run(struct run_wait *wait, enum relay_mode mode, bool json);

#endif
