/* Command-line options: `--name value`, `--name=value`, flags, `--`, unknown ones refused. */
#ifndef CORCH_OPTIONS_H
#define CORCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

/* One of `value` and `flag` is set: where the option's value or presence goes. */
struct option_spec {
    const char *name; /* with its dashes */
    const char **value;
    bool *flag;
};

struct options {
    const char *command; /* for messages: "start" */
    const struct option_spec *specs;
    size_t n_specs;
    const char **positional; /* room for max_positional */
    size_t max_positional, n_positional;
};

/* Reads argv[0, argc), the words behind the command. The last of a repeated option wins. 0, or -1
 * and `e` names the option and what to do. */
int options_parse(struct options *o, int argc, char **argv, struct err *e);

/* The value of --jobs: a number up to JOBS_MAX, for 0 CORCH_JOBS_CORES. 0, or -1 and `e` says what is
 * wrong. The same of --timeout: seconds, perhaps with a fraction, to milliseconds. */
int options_jobs(const char *command, const char *text, unsigned *out, struct err *e);
int options_timeout(const char *command, const char *text, long *out, struct err *e);

/* The one of `names` (NULL-terminated) that `word` is most likely a slip of, or NULL. */
const char *nearest_word(const char *word, const char *const *names);

#endif
