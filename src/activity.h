/* Whether anybody works on a run, as seen from outside. Any thread, with a descriptor of its own.
 */
#ifndef CORCH_ACTIVITY_H
#define CORCH_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

#include "json.h"
#include "rundir.h"

enum activity_state {
    ACTIVITY_FINISHED, /* succeeded, failed or cancelled */
    ACTIVITY_LIVE,     /* somebody works on it */
    ACTIVITY_STALE,    /* its orchestrator exists, but gives no heartbeat: it hangs or is stopped */
    ACTIVITY_INTERRUPTED /* not finished, and nobody works on it: it can be resumed */
};
const char *activity_name(enum activity_state s);

struct activity {
    enum activity_state state;
    bool locked;          /* somebody holds the run's lock; not looked for once it is finished */
    int64_t heartbeat_ms; /* the newest, of .heartbeat and the manifest, or CLOCK_NEVER */
    int64_t stale_after_ms;
};

/*
 * Reads the manifest of the run (delete it) and says how the run is doing.
 *
 * Our orchestrator holds flock(LOCK_EX) on the run's folder from before its first manifest to the
 * end of its process, so whether the lock is held decides; the heartbeat only tells "stale" from
 * "live". Other implementations take no lock, but make the folder with the usual mode, while ours
 * is open to nobody but its owner: a run in a folder open to others is live as long as its
 * heartbeat is fresh, also without a lock.
 *
 * `dir` must not be a descriptor that holds the lock itself. 0, or -1 and `e` names the manifest.
 */
int activity_look(const struct rundir *dir, cJSON **manifest, struct activity *out, struct err *e);

#endif
