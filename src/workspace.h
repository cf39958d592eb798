/* Where a run lives: repository root, runs and outputs folders, task. Main thread. */
#ifndef CORCH_WORKSPACE_H
#define CORCH_WORKSPACE_H

#include "err.h"

struct workspace {
    char *root; /* absolute; commands run here */
    char *runs; /* absolute, normally root/.runs */
    char *out;  /* absolute, normally root/out */
    char *task_id;
    char *task_slug; /* of tasks/index.json, else the task id */
};

/* From the environment: CODEX_ORCHESTRATOR_ROOT (else the current folder), _RUNS_DIR and _OUT_DIR
 * (below the root unless absolute). `root` and `task` override it if not NULL; without a task
 * MCP_RUNNER_TASK_ID, else "0101". Creates nothing. 0, or -1 and `e` names the variable, option
 * or file concerned. */
int workspace_open(struct workspace *w, const char *root, const char *task, struct err *e);
void workspace_release(struct workspace *w);

/* `path` (absolute) as seen from the root: "a/b", "../x", "." – the form manifests use.
 * free() it; NULL: out of memory. */
char *workspace_relative(const struct workspace *w, const char *path);

/* A path relative to folder `from` that leads to `to`, both absolute and normal. free() it. */
char *path_relative(const char *from, const char *to);

/* `path` made absolute against `base` and normal: no ".", "..", "//". Links stay. free() it. */
char *path_absolute(const char *base, const char *path);

#endif
