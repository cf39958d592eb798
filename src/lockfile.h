/*
 * Lock files of a task, compatible with the original's: the file exists while the lock is held
 * and holds its owner's token. Ours is locked with flock as well and so is known to be stale as
 * soon as its process is gone; one without flock is stale after LOCK_STALE_MS without a change.
 */
#ifndef CORCH_LOCKFILE_H
#define CORCH_LOCKFILE_H

#include <stdbool.h>

#include "err.h"

#define LOCK_STALE_MS (5LL * 60 * 1000)

struct lockfile {
    char *path;
    int fd;      /* -1: not held */
    bool healed; /* its holder before was killed: what it worked on may have been left half done */
};

/* Takes the lock, waiting up to `wait_ms`. The folder must exist. 1: held, 0: somebody else kept
 * it, -1: failed (`e` says why). */
int lockfile_take(struct lockfile *l, const char *path, long long wait_ms, struct err *e);
void lockfile_drop(struct lockfile *l); /* removes the file; nothing if it is not held */

#endif
