/* Owns the transition table of stages. Pure functions, any thread. */
#include "stage_state.h"

#include <stddef.h>
#include <string.h>

#define NEVER (-1)

/* Columns: start, succeed, fail, excuse, resume, retry. A pending stage fails without having run
 * when its start can't be recorded; an excused one is "skipped", as in the original. A resumed run
 * starts failed and interrupted stages again and keeps what succeeded or was skipped. */
static const signed char table[STAGE_STATES][STAGE_EVENTS] = {
    [STAGE_PENDING] = {STAGE_RUNNING, NEVER, STAGE_FAILED, STAGE_SKIPPED, STAGE_PENDING, NEVER},
    [STAGE_RUNNING] = {NEVER, STAGE_SUCCEEDED, STAGE_FAILED, STAGE_SKIPPED, STAGE_PENDING,
                       STAGE_RUNNING},
    [STAGE_SUCCEEDED] = {NEVER, NEVER, NEVER, NEVER, STAGE_SUCCEEDED, NEVER},
    [STAGE_FAILED] = {NEVER, NEVER, NEVER, NEVER, STAGE_PENDING, NEVER},
    [STAGE_SKIPPED] = {NEVER, NEVER, NEVER, NEVER, STAGE_SKIPPED, NEVER},
};

static const char *const names[STAGE_STATES] = {"pending", "running", "succeeded", "failed",
                                                "skipped"};

int stage_next(enum stage_state *state, enum stage_event event)
{
    int next = table[*state][event];
    if (next == NEVER)
        return -1;
    *state = (enum stage_state)next;
    return 0;
}

bool stage_is_final(enum stage_state state)
{
    return state >= STAGE_SUCCEEDED;
}

const char *stage_state_name(enum stage_state state)
{
    return names[state];
}

bool stage_state_parse(const char *name, enum stage_state *out)
{
    for (size_t i = 0; name && i < STAGE_STATES; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum stage_state)i;
            return true;
        }
    }
    return false;
}
