/*
 * One orchestrator per run: an open-file-description lock on the run's .heartbeat. It dies with
 * its process, works where flock on a folder does not (NFS), and can be asked for without taking it.
 * Any thread.
 */
#ifndef CORCH_RUN_LOCK_H
#define CORCH_RUN_LOCK_H

#include <stdbool.h>

#include "ids.h"

/* Locks the run whose folder is `dirfd`. Returns the descriptor that holds the lock until it is
 * closed, or -1 with errno; EWOULDBLOCK: somebody else holds it. */
int run_lock(int dirfd);

/* For who is refused later, and for who comes after us: that we hold it, for the engine `instance`. The
 * lock itself does not tell. Not to know is no harm. */
void run_lock_note(int dirfd, const char *instance);

/* Who noted it last: a process, and the instance of an engine (reaper.h); 0 and "": not known, or the folder
 * is a copy of the one it was noted in. */
struct run_holder {
    long pid;
    char instance[ID_UUID_LEN + 1];
};
void run_lock_holder(int dirfd, struct run_holder *h);

/* Whether somebody holds it. */
bool run_is_locked(int dirfd);

#endif
