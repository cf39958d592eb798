/*
 * One orchestrator per run: an open-file-description lock on the run's .heartbeat. It dies with
 * its process, works where flock on a folder does not (NFS), and can be asked for without taking it.
 * Any thread.
 */
#ifndef CORCH_RUN_LOCK_H
#define CORCH_RUN_LOCK_H

#include <stdbool.h>

/* Locks the run whose folder is `dirfd`. Returns the descriptor that holds the lock until it is
 * closed, or -1 with errno; EWOULDBLOCK: somebody else holds it. */
int run_lock(int dirfd);

/* Whether somebody holds it. */
bool run_is_locked(int dirfd);

#endif
