/* Owns the plan of a run: its items and which of them is the target. Main thread. */
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mode.h"

#define HINT_BYTES 256 /* of an execution-mode hint as shown; "cloud" and "mcp" need far less */

static char *item_id(const struct pipeline *p, const struct stage *stage)
{
    char *id;
    if (asprintf(&id, "%s:%s", p->id, stage->id) < 0) {
        errno = ENOMEM;
        return NULL;
    }
    return id;
}

static bool is_item(const struct pipeline *p, const struct stage *stage, const char *target)
{
    size_t n = strlen(p->id);
    return strncmp(target, p->id, n) == 0 && target[n] == ':' &&
           strcmp(target + n + 1, stage->id) == 0;
}

static bool answers_to(const struct stage *stage, const char *name)
{
    if (strcasecmp(stage->id, name) == 0)
        return true;
    for (char **alias = stage->plan.aliases; alias && *alias; alias++) {
        if (strcasecmp(*alias, name) == 0)
            return true;
    }
    return false;
}

/* Index of the stage that was asked for, or n_stages. */
static size_t find_target(const struct pipeline *p, const char *target)
{
    for (size_t i = 0; i < p->n_stages; i++) {
        if (is_item(p, &p->stages[i], target))
            return i;
    }
    const char *colon = strrchr(target, ':');
    const char *name = colon ? colon + 1 : target;
    size_t i = 0;
    while (i < p->n_stages && !answers_to(&p->stages[i], name))
        i++;
    return i;
}

static size_t default_target(const struct pipeline *p)
{
    for (size_t i = 0; i < p->n_stages; i++) {
        if (p->stages[i].plan.default_target == FLAG_TRUE)
            return i;
    }
    for (size_t i = 0; i < p->n_stages; i++) {
        if (p->stages[i].plan.runnable != FLAG_FALSE)
            return i;
    }
    return 0;
}

int plan_build(const struct pipeline *p, const char *target, struct plan *out)
{
    *out = (struct plan){.pipeline = p, .target = p->n_stages};
    if (target && *target) {
        out->target = find_target(p, target);
        out->target_unknown = out->target == p->n_stages;
    }
    if (out->target == p->n_stages)
        out->target = default_target(p);
    if (out->target == p->n_stages)
        return 0;
    out->target_id = item_id(p, &p->stages[out->target]);
    return out->target_id ? 0 : -1;
}

void plan_release(struct plan *plan)
{
    free(plan->target_id);
    *plan = (struct plan){0};
}

static void add_metadata(cJSON *item, const struct pipeline *p, size_t index, bool cloud)
{
    const struct stage *stage = &p->stages[index];
    char hint[HINT_BYTES];
    cJSON *metadata = json_object(item, "metadata");
    json_str(metadata, "pipelineId", p->id);
    json_str(metadata, "stageId", stage->id);
    json_str(metadata, "stageKind", stage->kind == STAGE_COMMAND ? "command" : "subpipeline");
    json_int(metadata, "index", (int64_t)index);
    if (stage->plan.aliases && *stage->plan.aliases) {
        cJSON *aliases = json_array(metadata, "aliases");
        for (char **alias = stage->plan.aliases; *alias; alias++)
            json_str(aliases, NULL, *alias);
    }
    if (stage->plan.default_target == FLAG_TRUE)
        json_bool(metadata, "defaultTarget", true);
    mode_stage_hint(&stage->plan, hint, sizeof hint);
    if (*hint)
        json_str(metadata, "executionMode", hint);
    json_bool(metadata, "requiresCloud", cloud);
}

static void add_item(cJSON *items, const struct plan *plan, size_t index)
{
    const struct pipeline *p = plan->pipeline;
    const struct stage *stage = &p->stages[index];
    bool cloud = mode_stage_requires_cloud(&stage->plan);
    cJSON *item = json_element(items);
    char *id = item_id(p, stage);
    /* Stages that share an id are selected together: the plan knows its target by id. */
    bool selected = id && plan->target_id && strcmp(id, plan->target_id) == 0;
    json_add(item, "id", id ? cJSON_CreateString(id) : NULL); /* NULL: remembered as no memory */
    free(id);
    json_str(item, "description", stage->title);
    json_bool(item, "requires_cloud", cloud);
    json_bool(item, "requiresCloud", cloud);
    json_bool(item, "runnable", stage->plan.runnable != FLAG_FALSE);
    add_metadata(item, p, index, cloud);
    json_bool(item, "selected", selected);
}

cJSON *plan_json(const struct plan *plan)
{
    cJSON *doc = json_new();
    cJSON *items = json_array(doc, "items");
    for (size_t i = 0; i < plan->pipeline->n_stages; i++)
        add_item(items, plan, i);
    if (plan->pipeline->description)
        json_str(doc, "notes", plan->pipeline->description);
    json_str(doc, "targetId", plan->target_id);
    return doc;
}

bool plan_target_requires_cloud(const struct plan *plan)
{
    if (plan->target == plan->pipeline->n_stages)
        return false;
    return mode_stage_requires_cloud(&plan->pipeline->stages[plan->target].plan);
}
