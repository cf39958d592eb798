/*
 * The one place that decides "mcp or cloud". Each call site has its own precedence and spelling,
 * kept from the original; docs/execution-mode.md has the table, tests/test_mode.c a test per cell.
 * Pure functions, any thread.
 */
#ifndef CORCH_MODE_H
#define CORCH_MODE_H

#include <stdbool.h>

#include "config.h"

enum mode_site {
    MODE_CLI_POLICY, /* executionMode, then mode; not trimmed, any case; cloud, mcp */
    MODE_MANAGER,    /* mode, then executionMode; trimmed, any case; cloud true 1 yes, mcp false 0 no */
    MODE_PLANNER     /* one hint, trimmed and lower-cased by the caller's rules; cloud, mcp */
};

struct mode_input {
    enum flag flags[3];         /* in the site's order; the first that is set decides */
    const char *execution_mode; /* metadata, or NULL */
    const char *mode;           /* metadata, or NULL */
    bool parallel;              /* the task asks for parallel execution */
};

/* Whether the run or stage asks for the cloud: the first flag that is set, else the first metadata
 * value (in the site's order) that parses, else `parallel`. Nothing executes differently here. */
bool mode_requires_cloud(enum mode_site site, const struct mode_input *in);

/* The planner's answer for a stage, and its hint as recorded (trimmed, lower-cased; "" if none;
 * `hint` has room for `size` bytes, longer hints are cut). */
bool mode_stage_requires_cloud(const struct plan_hints *hints);
void mode_stage_hint(const struct plan_hints *hints, char *hint, unsigned size);

const char *mode_name(bool cloud); /* "cloud" or "mcp" */

#endif
