/* What may happen to a stage: state x event, one table for live runs and for resume. Pure. */
#ifndef CORCH_STAGE_STATE_H
#define CORCH_STAGE_STATE_H

#include <stdbool.h>

enum stage_state { STAGE_PENDING, STAGE_RUNNING, STAGE_SUCCEEDED, STAGE_FAILED, STAGE_SKIPPED };
enum { STAGE_STATES = STAGE_SKIPPED + 1 };

enum stage_event {
    STAGE_EV_START,   /* handed to a worker, or a subpipeline begun */
    STAGE_EV_SUCCEED, /* exit code 0, or the child run succeeded */
    STAGE_EV_FAIL,    /* anything else */
    STAGE_EV_EXCUSE,  /* it failed, but allowFailure or optional says that is fine */
    STAGE_EV_RESUME,  /* its run is taken up again */
    STAGE_EV_RETRY    /* an attempt failed, and another will follow */
};
enum { STAGE_EVENTS = STAGE_EV_RETRY + 1 };

/* Puts the next state into `*state` and returns 0, or returns -1 and leaves it if the event can't
 * happen in that state. */
int stage_next(enum stage_state *state, enum stage_event event);

bool stage_is_final(enum stage_state state);
const char *stage_state_name(enum stage_state state); /* as in the manifest */

/* The state of that name; false if there is none. */
bool stage_state_parse(const char *name, enum stage_state *out);

#endif
