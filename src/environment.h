/* Environments as data: made for a run, extended for a stage, never changed in our own process. */
#ifndef CORCH_ENVIRONMENT_H
#define CORCH_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

struct env_var {
    const char *name, *value;
};

/* A copy of `base` (NULL-terminated "NAME=value") with `n` variables set. environment_free() it;
 * NULL: out of memory. */
char **environment_new(char *const *base, const struct env_var *set, size_t n);
void environment_free(char **env);

/* `base` with the strings of `extra` (may be NULL) replacing or following; the last of equal names
 * wins. Only the array is new: free() it. NULL: out of memory. */
char **environment_merge(char *const *base, char *const *extra);

/* Reads a decimal number, digits only. 0, or -1: it is something else, or too large. */
int environment_number(const char *text, unsigned long *out);

/* Whether a variable says yes: 1, true, on or yes in any case. */
bool environment_says_yes(const char *name);

#endif
