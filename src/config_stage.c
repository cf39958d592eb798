/* Owns the reading of one stage: what its keys mean. Main thread. */
#include "config_stage.h"

#include <stdlib.h>
#include <string.h>

#include "bounds.h"

#define MODE_KEYS                                                                               \
    "executionMode", "execution_mode", "mode", "requires_cloud", "requiresCloud", "cloudEnvId", \
        "cloud_env_id"

static const char *const command_keys[] = {"kind",        "id",      "title",   "command",
                                           "cwd",         "env",     "plan",    "allowFailure",
                                           "summaryHint", "session", "needs",   "pool",
                                           "timeoutSeconds", "retries", "retryDelayMs",
                                           MODE_KEYS,     NULL};
static const char *const subpipeline_keys[] = {"kind",     "id",    "title",   "pipeline", "plan",
                                               "optional", "needs", MODE_KEYS, NULL};
/* What only a command can have, and who writes it at a subpipeline counts on it. */
static const char *const command_only[] = {"pool", "timeoutSeconds", "retries", "retryDelayMs"};
static const char *const session_keys[] = {"id", "persist", "reuse", NULL};
static const char *const plan_keys[] = {
    "aliases",        "defaultTarget", "default",    "primary",      "runnable", "requiresCloud",
    "requires_cloud", "executionMode", "cloudEnvId", "cloud_env_id", NULL};

void strings_free(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

void stage_init(struct stage *s)
{
    *s = (struct stage){.kind = STAGE_COMMAND,
                        .plan = {.runnable = FLAG_UNSET,
                                 .default_target = FLAG_UNSET,
                                 .plan_requiresCloud = FLAG_UNSET,
                                 .plan_requires_cloud = FLAG_UNSET,
                                 .stage_requires_cloud = FLAG_UNSET,
                                 .stage_requiresCloud = FLAG_UNSET},
                        .session_reuse = FLAG_UNSET,
                        .pool_index = STAGE_NO_POOL};
}

void stage_release(struct stage *s)
{
    char *const texts[] = {s->id,
                           s->title,
                           s->plan.plan_executionMode,
                           s->plan.stage_executionMode,
                           s->plan.stage_execution_mode,
                           s->plan.stage_mode,
                           s->command,
                           s->cwd,
                           s->summary_hint,
                           s->session_id,
                           s->pool,
                           s->pipeline};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    strings_free(s->plan.aliases);
    strings_free(s->needs);
    free(s->need);
    strings_free(s->env);
}

/* An alias that is a number or a boolean counts as its text. */
static int read_alias(struct reader *r, const cJSON *item, char **out)
{
    if (cJSON_IsString(item))
        *out = strdup(item->valuestring);
    else if (cJSON_IsNumber(item) || cJSON_IsBool(item))
        *out = cJSON_PrintUnformatted(item);
    else
        return reader_fail(r, item, "must be a string");
    return *out ? 0 : reader_no_memory(r);
}

static int read_aliases(struct reader *r, const cJSON *plan, struct plan_hints *h)
{
    const cJSON *list = reader_member(plan, "aliases");
    const cJSON *item;
    size_t n = 0;
    if (!list)
        return 0;
    if (!cJSON_IsArray(list))
        return reader_fail(r, list, "must be an array");
    h->aliases = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *h->aliases);
    if (!h->aliases)
        return reader_no_memory(r);
    cJSON_ArrayForEach(item, list)
    {
        if (read_alias(r, item, &h->aliases[n++]) != 0)
            return -1;
    }
    return 0;
}

/* The first of three spellings that is there counts. */
static int read_default_target(struct reader *r, const cJSON *plan, enum flag *out)
{
    static const char *const keys[] = {"defaultTarget", "default", "primary"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        enum flag flag;
        if (reader_flag(r, plan, keys[i], &flag) != 0)
            return -1;
        if (*out == FLAG_UNSET)
            *out = flag;
    }
    return 0;
}

static int read_plan(struct reader *r, cJSON *plan, struct plan_hints *h)
{
    if (!plan)
        return 0;
    if (!cJSON_IsObject(plan))
        return reader_fail(r, plan, "must be an object");
    if (reader_keys(r, plan, plan_keys) != 0 || read_aliases(r, plan, h) != 0 ||
        read_default_target(r, plan, &h->default_target) != 0 ||
        reader_flag(r, plan, "runnable", &h->runnable) != 0 ||
        reader_loose_flag(r, plan, "requiresCloud", &h->plan_requiresCloud) != 0 ||
        reader_loose_flag(r, plan, "requires_cloud", &h->plan_requires_cloud) != 0)
        return -1;
    return reader_loose_str(r, plan, "executionMode", &h->plan_executionMode);
}

static int read_hints(struct reader *r, const cJSON *stage, struct plan_hints *h)
{
    h->runnable = h->default_target = FLAG_UNSET;
    h->plan_requiresCloud = h->plan_requires_cloud = FLAG_UNSET;
    if (reader_loose_flag(r, stage, "requires_cloud", &h->stage_requires_cloud) != 0 ||
        reader_loose_flag(r, stage, "requiresCloud", &h->stage_requiresCloud) != 0 ||
        reader_loose_str(r, stage, "executionMode", &h->stage_executionMode) != 0 ||
        reader_loose_str(r, stage, "execution_mode", &h->stage_execution_mode) != 0 ||
        reader_loose_str(r, stage, "mode", &h->stage_mode) != 0)
        return -1;
    return read_plan(r, reader_member(stage, "plan"), h);
}

static int read_variable(struct reader *r, const cJSON *item, char **out)
{
    if (!*item->string)
        return reader_fail(r, item, "the name of a variable must not be empty");
    if (strchr(item->string, '='))
        return reader_fail(r, item, "the name of a variable must not hold '='");
    if (!cJSON_IsString(item))
        return reader_fail(r, item, "must be a string");
    struct buf b = BUF_INIT;
    buf_addf(&b, "%s=%s", item->string, item->valuestring);
    *out = buf_detach(&b);
    return *out ? 0 : reader_no_memory(r);
}

static int read_env(struct reader *r, cJSON *env, struct stage *s)
{
    const cJSON *item;
    size_t n = 0;
    if (!env)
        return 0;
    if (!cJSON_IsObject(env))
        return reader_fail(r, env, "must be an object");
    if (reader_keys(r, env, NULL) != 0)
        return -1;
    s->env = calloc((size_t)cJSON_GetArraySize(env) + 1, sizeof *s->env);
    if (!s->env)
        return reader_no_memory(r);
    cJSON_ArrayForEach(item, env)
    {
        if (!cJSON_IsInvalid(item) && read_variable(r, item, &s->env[n++]) != 0)
            return -1;
    }
    return 0;
}

static int read_session(struct reader *r, cJSON *session, struct stage *s)
{
    s->session_reuse = FLAG_UNSET;
    if (!session)
        return 0;
    if (!cJSON_IsObject(session))
        return reader_fail(r, session, "must be an object");
    if (reader_keys(r, session, session_keys) != 0 ||
        reader_str(r, session, "id", &s->session_id) != 0 ||
        reader_bool(r, session, "persist", &s->session_persist) != 0)
        return -1;
    return reader_flag(r, session, "reuse", &s->session_reuse);
}

static int read_needs(struct reader *r, const cJSON *stage, struct stage *s)
{
    const cJSON *list = reader_member(stage, "needs"), *item;
    if (!list)
        return 0;
    if (!cJSON_IsArray(list))
        return reader_fail(r, list, "must be an array of stage ids");
    size_t n = (size_t)cJSON_GetArraySize(list);
    s->needs = calloc(n + 1, sizeof *s->needs);
    s->need = calloc(n + 1, sizeof *s->need);
    if (!s->needs || !s->need)
        return reader_no_memory(r);
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return reader_fail(r, item, "must be a string");
        s->needs[s->n_needs] = strdup(item->valuestring);
        if (!s->needs[s->n_needs++])
            return reader_no_memory(r);
    }
    return 0;
}

static int read_timeout(struct reader *r, const cJSON *stage, struct stage *s)
{
    const cJSON *item = reader_member(stage, "timeoutSeconds");
    if (!item)
        return 0;
    double seconds = cJSON_IsNumber(item) ? item->valuedouble : 0;
    if (!(seconds >= 0.001 && seconds <= TIMEOUT_MAX_SECONDS))
        return reader_fail(r, item, "must be a number of seconds from 0.001 to %d",
                           TIMEOUT_MAX_SECONDS);
    s->timeout_ms = (int64_t)(seconds * 1000 + 0.5);
    return 0;
}

static int read_retries(struct reader *r, const cJSON *stage, struct stage *s)
{
    unsigned long retries = 0, delay = RETRY_DELAY_MS;
    if (reader_number_of(r, stage, "retries", 0, RETRIES_MAX, &retries) != 0 ||
        reader_number_of(r, stage, "retryDelayMs", 0, RETRY_DELAY_MAX_MS, &delay) != 0)
        return -1;
    s->retries = (unsigned)retries;
    s->retry_delay_ms = (int64_t)delay;
    s->retries_given = reader_member(stage, "retries");
    s->retry_delay_given = reader_member(stage, "retryDelayMs");
    return 0;
}

static int read_command(struct reader *r, const cJSON *stage, struct stage *s)
{
    if (reader_name(r, stage, "command", &s->command) != 0 ||
        reader_str(r, stage, "cwd", &s->cwd) != 0 ||
        reader_str(r, stage, "summaryHint", &s->summary_hint) != 0 ||
        reader_bool(r, stage, "allowFailure", &s->allow_failure) != 0 ||
        read_env(r, reader_member(stage, "env"), s) != 0 ||
        reader_str(r, stage, "pool", &s->pool) != 0 || read_timeout(r, stage, s) != 0 ||
        read_retries(r, stage, s) != 0)
        return -1;
    return read_session(r, reader_member(stage, "session"), s);
}

static int read_subpipeline(struct reader *r, const cJSON *stage, struct stage *s)
{
    for (size_t i = 0; i < sizeof command_only / sizeof *command_only; i++) {
        const cJSON *item = reader_member(stage, command_only[i]);
        if (item)
            return reader_fail(r, item, "a subpipeline can't have it: give it to its stages");
    }
    if (reader_name(r, stage, "pipeline", &s->pipeline) != 0)
        return -1;
    return reader_bool(r, stage, "optional", &s->optional);
}

int stage_read_kind(struct reader *r, const cJSON *entry, enum entry_kind *out)
{
    static const char *const kinds[] = {"command", "subpipeline", "stage-set"};
    if (!cJSON_IsObject(entry))
        return reader_fail(r, entry, "must be an object");
    const cJSON *kind = reader_member(entry, "kind");
    if (!kind)
        return reader_fail(r, entry, "kind is missing");
    for (size_t i = 0; cJSON_IsString(kind) && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kind->valuestring, kinds[i]) == 0) {
            *out = (enum entry_kind)i;
            return 0;
        }
    }
    return reader_fail(r, kind, "must be \"command\", \"subpipeline\" or \"stage-set\"");
}

int stage_read(struct reader *r, cJSON *entry, enum entry_kind kind, struct stage *s)
{
    bool command = kind == ENTRY_COMMAND;
    s->kind = command ? STAGE_COMMAND : STAGE_SUBPIPELINE;
    s->pool_index = STAGE_NO_POOL;
    if (reader_keys(r, entry, command ? command_keys : subpipeline_keys) != 0 ||
        reader_name(r, entry, "id", &s->id) != 0 || reader_title(r, entry, s->id, &s->title) != 0 ||
        read_hints(r, entry, &s->plan) != 0 || read_needs(r, entry, s) != 0)
        return -1;
    return command ? read_command(r, entry, s) : read_subpipeline(r, entry, s);
}
