/* Owns the plan of a run: its items and which of them is the target. Main thread. */
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "jsontext.h"
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

static void add_metadata(struct buf *out, const struct pipeline *p, size_t index, bool cloud)
{
    const struct stage *stage = &p->stages[index];
    char hint[HINT_BYTES];
    jsontext_open(out, "metadata", '{');
    jsontext_str(out, "pipelineId", p->id);
    jsontext_str(out, "stageId", stage->id);
    jsontext_str(out, "stageKind", stage->kind == STAGE_COMMAND ? "command" : "subpipeline");
    jsontext_u64(out, "index", index);
    if (stage->plan.aliases && *stage->plan.aliases) {
        jsontext_open(out, "aliases", '[');
        for (char **alias = stage->plan.aliases; *alias; alias++)
            jsontext_str(out, NULL, *alias);
        jsontext_close(out, ']');
    }
    if (stage->plan.default_target == FLAG_TRUE)
        jsontext_bool(out, "defaultTarget", true);
    mode_stage_hint(&stage->plan, hint, sizeof hint);
    if (*hint)
        jsontext_str(out, "executionMode", hint);
    jsontext_bool(out, "requiresCloud", cloud);
    jsontext_close(out, '}');
}

static void add_item(struct buf *out, const struct plan *plan, size_t index)
{
    const struct pipeline *p = plan->pipeline;
    const struct stage *stage = &p->stages[index];
    bool cloud = mode_stage_requires_cloud(&stage->plan);
    char *id = item_id(p, stage);
    out->failed |= !id;
    /* Stages that share an id are selected together: the plan knows its target by id. */
    bool selected = id && plan->target_id && strcmp(id, plan->target_id) == 0;
    jsontext_line(out);
    jsontext_open(out, NULL, '{');
    jsontext_str(out, "id", id);
    free(id);
    jsontext_str(out, "description", stage->title);
    jsontext_bool(out, "requires_cloud", cloud);
    jsontext_bool(out, "requiresCloud", cloud);
    jsontext_bool(out, "runnable", stage->plan.runnable != FLAG_FALSE);
    add_metadata(out, p, index, cloud);
    jsontext_bool(out, "selected", selected);
    jsontext_close(out, '}');
}

void plan_print(const struct plan *plan, const char *key, struct buf *out)
{
    jsontext_open(out, key, '{');
    jsontext_open(out, "items", '[');
    for (size_t i = 0; i < plan->pipeline->n_stages; i++)
        add_item(out, plan, i);
    jsontext_close(out, ']');
    if (plan->pipeline->description)
        jsontext_str(out, "notes", plan->pipeline->description);
    jsontext_str(out, "targetId", plan->target_id);
    jsontext_close(out, '}');
}

bool plan_target_requires_cloud(const struct plan *plan)
{
    if (plan->target == plan->pipeline->n_stages)
        return false;
    return mode_stage_requires_cloud(&plan->pipeline->stages[plan->target].plan);
}
