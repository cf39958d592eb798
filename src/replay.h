/* A command's log read back from where its last execution begins: its whole output, however long it
 * is, without being kept. One thread. */
#ifndef CORCH_REPLAY_H
#define CORCH_REPLAY_H

#include <stdbool.h>

#include "exec_event.h"
#include "logtail.h"

struct replay {
    bool open;
    struct logtail log;
};

/* Opens the log of stage `index`, from 1, in a run's folder; `resumed`: it may begin with earlier
 * executions, which are passed over. 0, or -1 with errno. */
int replay_open(struct replay *r, const char *folder, size_t index, const char *id, bool resumed);
void replay_close(struct replay *r); /* again, or never opened: no harm */

/* The next line, taken apart; it lives until the next call. 1; 0: it is not written yet; -1 with
 * errno. */
int replay_next(struct replay *r, struct exec_line *line);

#endif
