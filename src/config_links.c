/* Owns what the parts of a configuration say of each other. Main thread. */
#include "config_links.h"

#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "cycle.h"

int links_read_pools(struct reader *r, cJSON *pools, struct config *c)
{
    cJSON *item;
    if (!pools)
        return 0;
    if (!cJSON_IsObject(pools))
        return reader_fail(r, pools, "must be an object of numbers");
    if (reader_keys(r, pools, NULL) != 0)
        return -1;
    c->pools = calloc((size_t)cJSON_GetArraySize(pools) + 1, sizeof *c->pools);
    if (!c->pools)
        return reader_no_memory(r);
    cJSON_ArrayForEach(item, pools)
    {
        unsigned long limit;
        if (cJSON_IsInvalid(item))
            continue;
        if (!*item->string)
            return reader_fail(r, item, "the name of a pool must not be empty");
        if (reader_number(r, item, 1, JOBS_MAX, &limit) != 0)
            return -1;
        struct config_pool *pool = &c->pools[c->n_pools++];
        pool->limit = (unsigned)limit;
        pool->name = strdup(item->string);
        if (!pool->name)
            return reader_no_memory(r);
    }
    return 0;
}

static int resolve_pool(struct reader *r, const struct config *c, struct stage *s,
                        const cJSON *item)
{
    s->pool_index = STAGE_NO_POOL;
    for (size_t i = 0; s->pool && i < c->n_pools; i++) {
        if (strcmp(c->pools[i].name, s->pool) == 0)
            s->pool_index = i;
    }
    if (!s->pool || s->pool_index != STAGE_NO_POOL)
        return 0;
    return reader_fail(r, reader_member(item, "pool"),
                       "no pool \"%s\" is defined in the \"pools\" of this file", s->pool);
}

static int resolve_need(struct reader *r, const struct pipeline *p, const struct named_list *ids,
                        const char *name, const cJSON *item, size_t *out)
{
    const struct named *found = named_find(ids, name);
    if (!found)
        return reader_fail(r, item, "pipeline \"%s\" has no stage \"%s\"", p->id, name);
    const struct named *end = ids->at + ids->n;
    if ((found > ids->at && strcmp(found[-1].name, name) == 0) ||
        (found + 1 < end && strcmp(found[1].name, name) == 0))
        return reader_fail(r, item, "pipeline \"%s\" has more than one stage \"%s\"", p->id, name);
    *out = found->order;
    return 0;
}

static int resolve_needs(struct reader *r, const struct pipeline *p, const struct named_list *ids,
                         struct stage *s, const cJSON *stage)
{
    const cJSON *item = s->n_needs > 0 ? reader_member(stage, "needs")->child : NULL;
    for (size_t i = 0; i < s->n_needs; i++, item = item->next) {
        if (resolve_need(r, p, ids, s->needs[i], item, &s->need[i]) != 0)
            return -1;
    }
    return 0;
}

static size_t need(const void *context, size_t node, size_t i)
{
    const struct stage *s = &((const struct pipeline *)context)->stages[node];
    return i < s->n_needs ? s->need[i] : CYCLE_END;
}

static const char *stage_name(const void *context, size_t node)
{
    return ((const struct pipeline *)context)->stages[node].id;
}

static const cJSON *json_of(const struct named_list *ids, size_t order)
{
    size_t i = 0;
    while (ids->at[i].order != order)
        i++;
    return ids->at[i].item;
}

static int check_needs(struct reader *r, const struct pipeline *p, const struct named_list *ids)
{
    const struct cycle_graph g = {p->n_stages, p, need, stage_name};
    struct buf names = BUF_INIT;
    size_t first;
    int result = cycle_find(&g, &names, &first);
    if (result < 0)
        reader_no_memory(r);
    else if (result > 0)
        reader_fail(r, reader_member(json_of(ids, first), "needs"),
                    "stages of pipeline \"%s\" need each other: %s", p->id, names.data);
    buf_release(&names);
    return result == 0 ? 0 : -1;
}

int links_resolve(struct reader *r, const struct config *c, struct pipeline *p,
                  const struct named_list *ids)
{
    bool any = false;
    for (size_t i = 0; i < ids->n; i++) {
        struct stage *s = &p->stages[ids->at[i].order];
        if (resolve_pool(r, c, s, ids->at[i].item) != 0 ||
            resolve_needs(r, p, ids, s, ids->at[i].item) != 0)
            return -1;
        any |= s->n_needs > 0;
    }
    return any ? check_needs(r, p, ids) : 0;
}

struct pipelines {
    const struct config *config;
    struct named_list index; /* `order` is the place in config->pipelines */
};

static size_t subpipeline(const void *context, size_t node, size_t i)
{
    const struct pipelines *all = context;
    const struct pipeline *p = &all->config->pipelines[node];
    if (i == p->n_stages)
        return CYCLE_END;
    const char *name = p->stages[i].pipeline;
    const struct named *to = name ? named_find(&all->index, name) : NULL;
    return to ? to->order : CYCLE_SKIP;
}

static const char *pipeline_name(const void *context, size_t node)
{
    return ((const struct pipelines *)context)->config->pipelines[node].id;
}

int links_check_subpipelines(struct reader *r, const struct config *c, const cJSON *list)
{
    struct pipelines all = {.config = c};
    const struct cycle_graph g = {c->n_pipelines, &all, subpipeline, pipeline_name};
    struct buf names = BUF_INIT;
    size_t first;
    int result = 0;
    for (size_t i = 0; result == 0 && i < c->n_pipelines; i++)
        result = named_add(&all.index, c->pipelines[i].id, NULL);
    if (result == 0) {
        named_sort(&all.index);
        result = cycle_find(&g, &names, &first);
    }
    if (result < 0)
        reader_no_memory(r);
    else if (result > 0)
        reader_fail(r, cJSON_GetArrayItem(list, (int)first), "subpipeline cycle: %s", names.data);
    named_release(&all.index);
    buf_release(&names);
    return result == 0 ? 0 : -1;
}
