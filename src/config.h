/*
 * codex.orchestrator.json: parsed, validated whole, stage sets expanded. Immutable afterwards,
 * so any thread may read it. Format: docs/formats.md.
 */
#ifndef CORCH_CONFIG_H
#define CORCH_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum stage_kind { STAGE_COMMAND, STAGE_SUBPIPELINE };

/* A boolean that may be absent. */
enum flag { FLAG_UNSET = -1, FLAG_FALSE = 0, FLAG_TRUE = 1 };

/* What the planner reads of a stage; which spelling wins is decided in mode.c and plan.c. */
struct plan_hints {
    char **aliases; /* NULL or NULL-terminated */
    enum flag runnable, default_target;
    enum flag plan_requiresCloud, plan_requires_cloud;   /* plan.requiresCloud, … */
    enum flag stage_requires_cloud, stage_requiresCloud; /* the stage's own */
    /* Strings as written, or NULL: plan.executionMode, and the stage's three spellings. */
    char *plan_executionMode, *stage_executionMode, *stage_execution_mode, *stage_mode;
};

struct stage {
    enum stage_kind kind;
    char *id, *title; /* title is the id if the file has none */
    struct plan_hints plan;
    char **needs; /* ids of stages of the same pipeline, NULL or NULL-terminated */
    size_t *need; /* and their places in it */
    size_t n_needs;

    /* STAGE_COMMAND */
    char *command;
    char *cwd;          /* as written, or NULL */
    char *summary_hint; /* or NULL */
    char **env;         /* "NAME=value" in file order, NULL-terminated; NULL if none */
    bool allow_failure;
    char *session_id; /* or NULL */
    bool session_persist;
    enum flag session_reuse;
    char *pool;             /* or NULL */
    size_t pool_index;      /* in the configuration's pools, or STAGE_NO_POOL */
    int64_t timeout_ms;     /* 0: none */
    unsigned retries;       /* attempts after the first */
    int64_t retry_delay_ms; /* before the first of them; each further one waits twice as long */
    bool retries_given, retry_delay_given; /* they are in the file */

    /* STAGE_SUBPIPELINE */
    char *pipeline;
    bool optional;
};

#define STAGE_NO_POOL ((size_t)-1)

/* How many commands of a pipeline run at once. */
#define JOBS_UNSET (-1) /* one, in the order written */
#define JOBS_CORES 0    /* as many as there are processors for us */

struct pipeline {
    char *id, *title, *description; /* description may be NULL */
    struct stage *stages;
    size_t n_stages;
    enum flag guardrails_required;
    int jobs; /* JOBS_UNSET, JOBS_CORES or a number up to JOBS_MAX */
    bool builtin; /* from this program, not from the file: "source": "default" */
};

/* A kind of command of which only so many run at once, whatever pipeline they are from. */
struct config_pool {
    char *name;
    unsigned limit;
};

struct config {
    struct config_pool *pools;
    size_t n_pools;
    struct pipeline *pipelines; /* the file's; the built-in one is found by config_pipeline */
    size_t n_pipelines;
    char *default_pipeline; /* or NULL: "diagnostics" */
    char **warnings;        /* NULL or NULL-terminated, one line each, for stderr */
    struct pipeline builtin;
};

/*
 * Reads `path`. A missing file is no error: only the built-in pipeline is there then. On failure
 * -1, nothing to release, and `e` says "path:line:column: …" (position of the value concerned).
 * Refused: not JSON, not an object, wrong types, empty ids, two pipelines with one id, no stages,
 * an unknown kind or ref, a stage set within a stage set, a subpipeline that reaches itself,
 * needs and pools that are not there, stages that need each other, strings with a NUL, environment names that are empty or hold '='. Warned of: unknown keys,
 * two stages of a pipeline with one id, keys given twice. A subpipeline that names no known
 * pipeline is no error here: the stage fails when it is reached (as in the original).
 */
int config_load(const char *path, struct config *out, struct err *e);

/* The same of the codex.orchestrator.json in the folder `root`. */
int config_load_root(const char *root, struct config *out, struct err *e);

/* The same from memory; `name` stands for the path in messages. */
int config_parse(const char *text, size_t len, const char *name, struct config *out, struct err *e);

void config_release(struct config *c);

/* The pipeline with that id, the file's before the built-in "diagnostics"; NULL if none.
 * `id` NULL: the configured default, else "diagnostics". */
const struct pipeline *config_pipeline(const struct config *c, const char *id);

/* Whether a guardrail is asked for: it is, unless guardrailsRequired is false. */
bool pipeline_guardrails_required(const struct pipeline *p);

/* Whether one of the texts (NULL is passed over) mentions "spec-guard" or "specguardrunner", in
 * any case. */
bool mentions_guardrail(const char *id, const char *title, const char *command);

#endif
