/* How a command's end reads: its summary and the file about its failure. Pure; its worker. */
#ifndef CORCH_OUTCOME_H
#define CORCH_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "json.h"

#define OUTCOME_TIMED_OUT 124 /* as timeout(1) has it */

struct outcome {
    int exit_code; /* -1: ended by `signal` */
    int signal;    /* 0: none */
    bool timed_out;     /* it was ended because its time, or its run's, was over */
    bool interrupted;   /* it was ended because its run is to end, for whatever reason */
    int64_t timeout_ms; /* its own; 0: none, or it was the run's */
    const char *out, *err; /* the ends of its streams as text; trimmed where they are used */
    bool out_cut, err_cut; /* there was more in front of that */
};

/* What the manifest records as exit code: the command's, 128 for any signal, or 124 if it timed out.
 */
int outcome_code(const struct outcome *o);

/* The stage's hint if it has one; else, with at most SUMMARY_UNITS UTF-16 units of output, what
 * ended it and its stderr when it failed, its stdout, its stderr, or that it completed. free() it. */
char *outcome_summary(const struct outcome *o, const struct stage *stage);

/* The "details" of the error file. Caller deletes. */
cJSON *outcome_details(const struct outcome *o);

/* The first `units` UTF-16 units of text[0, n), never half a character, with "…" behind it if there
 * was more (`*cut` says so; may be NULL). free() it. */
char *cut_text(const char *text, size_t n, size_t units, bool *cut);

/* What JavaScript's trim() leaves of `text`: puts its length into `*n`, returns its start. */
const char *trim_text(const char *text, size_t *n);

#endif
