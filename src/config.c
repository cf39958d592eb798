/*
 * Owns the way from codex.orchestrator.json to struct config: pipelines, stage sets, what several
 * pipelines must agree on. Stages are in config_stage.c. The main thread loads; afterwards nothing
 * changes and any thread may read.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "config_links.h"
#include "config_reader.h"
#include "config_stage.h"
#include "json.h"
#include "named.h"

static const char *const root_keys[] = {"pipelines",   "defaultPipeline", "stageSets", "pools",
                                        "runtimeMode", "$schema",         NULL};
static const char *const pipeline_keys[] = {
    "id",       "title", "description", "stages", "tags", "guardrailsRequired",
    "metadata", "jobs",  NULL};
static const char *const ref_keys[] = {"kind", "ref", "id", "title", NULL};

static const char builtin_text[] =
    "{\"id\":\"diagnostics\",\"title\":\"Diagnostics Pipeline\","
    "\"description\":\"Build, lint, test, and spec-guard the repository.\",\"stages\":["
    "{\"kind\":\"command\",\"id\":\"build\",\"title\":\"npm run build\","
    "\"command\":\"npm run build\"},"
    "{\"kind\":\"command\",\"id\":\"lint\",\"title\":\"npm run lint\","
    "\"command\":\"npm run lint\"},"
    "{\"kind\":\"command\",\"id\":\"test\",\"title\":\"npm run test\","
    "\"command\":\"npm run test\"},"
    "{\"kind\":\"command\",\"id\":\"spec-guard\",\"title\":\"node scripts/spec-guard.mjs --dry-run\","
    "\"command\":\"node scripts/spec-guard.mjs --dry-run\"}]}";

static void release_pipeline(struct pipeline *p)
{
    for (size_t i = 0; i < p->n_stages; i++)
        stage_release(&p->stages[i]);
    free(p->stages);
    free(p->id);
    free(p->title);
    free(p->description);
}

void config_release(struct config *c)
{
    for (size_t i = 0; i < c->n_pipelines; i++)
        release_pipeline(&c->pipelines[i]);
    for (size_t i = 0; i < c->n_pools; i++)
        free(c->pools[i].name);
    free(c->pools);
    free(c->pipelines);
    free(c->default_pipeline);
    strings_free(c->warnings);
    release_pipeline(&c->builtin);
    *c = (struct config){0};
}

/* Checks the stages of a set, also when no pipeline refers to it. */
static int check_set(struct reader *r, const cJSON *set)
{
    cJSON *item;
    if (!cJSON_IsArray(set))
        return reader_fail(r, set, "must be an array");
    cJSON_ArrayForEach(item, set)
    {
        enum entry_kind kind;
        struct stage stage = {0};
        if (stage_read_kind(r, item, &kind) != 0)
            return -1;
        if (kind == ENTRY_REF)
            return reader_fail(r, item, "a stage set can't include stage-set references");
        int result = stage_read(r, item, kind, &stage);
        stage_release(&stage);
        if (result != 0)
            return -1;
    }
    return 0;
}

static int read_sets(struct reader *r, cJSON *sets, struct named_list *out)
{
    cJSON *set;
    if (!sets)
        return 0;
    if (!cJSON_IsObject(sets))
        return reader_fail(r, sets, "must be an object of stage arrays");
    if (reader_keys(r, sets, NULL) != 0)
        return -1;
    cJSON_ArrayForEach(set, sets)
    {
        if (cJSON_IsInvalid(set))
            continue;
        if (check_set(r, set) != 0)
            return -1;
        if (named_add(out, set->string, set) != 0)
            return reader_no_memory(r);
    }
    named_sort(out);
    return 0;
}

static int add_stage(struct reader *r, cJSON *item, enum entry_kind kind, struct pipeline *p,
                     struct named_list *ids)
{
    if ((p->n_stages & (p->n_stages - 1)) == 0) { /* full at every power of two */
        size_t cap = p->n_stages ? p->n_stages * 2 : 1;
        struct stage *grown = realloc(p->stages, cap * sizeof *grown);
        if (!grown)
            return reader_no_memory(r);
        p->stages = grown;
    }
    struct stage *s = &p->stages[p->n_stages++];
    *s = (struct stage){0};
    if (stage_read(r, item, kind, s) != 0)
        return -1;
    return named_add(ids, s->id, item) == 0 ? 0 : reader_no_memory(r);
}

/* Adds the stages of the set that `item` refers to. check_set has warned of what is in there. */
static int add_set(struct reader *r, cJSON *item, const struct named_list *sets, struct pipeline *p,
                   struct named_list *ids)
{
    const cJSON *ref = reader_member(item, "ref");
    cJSON *stage;
    int result = 0;
    if (reader_keys(r, item, ref_keys) != 0)
        return -1;
    if (!ref)
        return reader_fail(r, item, "ref is missing");
    if (!cJSON_IsString(ref))
        return reader_fail(r, ref, "must be a string");
    const struct named *set = named_find(sets, ref->valuestring);
    if (!set)
        return reader_fail(r, ref, "Pipeline \"%s\" references unknown stage set \"%s\"", p->id,
                           ref->valuestring);
    r->muted = true;
    cJSON_ArrayForEach(stage, set->item)
    {
        enum entry_kind kind;
        if (stage_read_kind(r, stage, &kind) != 0 || add_stage(r, stage, kind, p, ids) != 0) {
            result = -1;
            break;
        }
    }
    r->muted = false;
    return result;
}

static int warn_of_same_ids(struct reader *r, const struct pipeline *p, struct named_list *ids)
{
    named_sort(ids);
    for (size_t i = 1; i < ids->n; i++) {
        if (strcmp(ids->at[i - 1].name, ids->at[i].name) == 0 &&
            reader_warn(r, reader_member(ids->at[i].item, "id"),
                        "pipeline \"%s\" has another stage \"%s\"", p->id, ids->at[i].name) != 0)
            return -1;
    }
    return 0;
}

static int read_stages(struct reader *r, const cJSON *pipeline, const struct named_list *sets,
                       const struct config *c, struct pipeline *p)
{
    const cJSON *stages = reader_member(pipeline, "stages");
    struct named_list ids = {0};
    cJSON *item;
    int result = 0;
    if (!stages)
        return reader_fail(r, pipeline, "stages is missing");
    if (!cJSON_IsArray(stages))
        return reader_fail(r, stages, "must be an array");
    cJSON_ArrayForEach(item, stages)
    {
        enum entry_kind kind;
        result = stage_read_kind(r, item, &kind);
        if (result == 0)
            result = kind == ENTRY_REF ? add_set(r, item, sets, p, &ids)
                                       : add_stage(r, item, kind, p, &ids);
        if (result != 0)
            break;
    }
    if (result == 0 && p->n_stages == 0)
        result = reader_fail(r, stages, "must hold at least one stage");
    if (result == 0)
        result = warn_of_same_ids(r, p, &ids);
    if (result == 0)
        result = links_resolve(r, c, p, &ids);
    named_release(&ids);
    return result;
}

static int read_jobs(struct reader *r, const cJSON *item, struct pipeline *p)
{
    unsigned long jobs = 0;
    bool given = reader_member(item, "jobs");
    if (reader_number_of(r, item, "jobs", 0, JOBS_MAX, &jobs) != 0)
        return -1;
    p->jobs = given ? (int)jobs : JOBS_UNSET;
    return 0;
}

static int read_pipeline(struct reader *r, cJSON *item, const struct named_list *sets,
                         const struct config *c, struct pipeline *p)
{
    if (!cJSON_IsObject(item))
        return reader_fail(r, item, "must be an object");
    if (reader_keys(r, item, pipeline_keys) != 0 || reader_name(r, item, "id", &p->id) != 0 ||
        reader_title(r, item, p->id, &p->title) != 0 ||
        reader_str(r, item, "description", &p->description) != 0 ||
        reader_flag(r, item, "guardrailsRequired", &p->guardrails_required) != 0 ||
        read_jobs(r, item, p) != 0)
        return -1;
    return read_stages(r, item, sets, c, p);
}

/* Two pipelines of one id, and pipelines that contain themselves. `list` has c's pipelines. */
static int check_pipelines(struct reader *r, const struct config *c, const cJSON *list,
                           struct named_list *ids)
{
    named_sort(ids);
    for (size_t i = 1; i < ids->n; i++) {
        if (strcmp(ids->at[i - 1].name, ids->at[i].name) == 0)
            return reader_fail(r, reader_member(ids->at[i].item, "id"),
                               "another pipeline has the id \"%s\"", ids->at[i].name);
    }
    return links_check_subpipelines(r, c, list);
}

static int read_pipelines(struct reader *r, const cJSON *list, const struct named_list *sets,
                          struct config *c)
{
    struct named_list ids = {0};
    cJSON *item;
    int result = 0;
    if (!list)
        return 0;
    if (!cJSON_IsArray(list))
        return reader_fail(r, list, "must be an array");
    c->pipelines = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *c->pipelines);
    if (!c->pipelines)
        return reader_no_memory(r);
    cJSON_ArrayForEach(item, list)
    {
        struct pipeline *p = &c->pipelines[c->n_pipelines++];
        result = read_pipeline(r, item, sets, c, p);
        if (result == 0 && named_add(&ids, p->id, item) != 0)
            result = reader_no_memory(r);
        if (result != 0)
            break;
    }
    if (result == 0)
        result = check_pipelines(r, c, list, &ids);
    named_release(&ids);
    return result;
}

static int read_root(struct reader *r, cJSON *root, struct config *c)
{
    struct named_list sets = {0};
    if (!cJSON_IsObject(root))
        return reader_fail(r, root, "must be an object");
    int result = reader_keys(r, root, root_keys);
    if (result == 0)
        result = links_read_pools(r, reader_member(root, "pools"), c);
    if (result == 0)
        result = read_sets(r, reader_member(root, "stageSets"), &sets);
    if (result == 0)
        result = read_pipelines(r, reader_member(root, "pipelines"), &sets, c);
    if (result == 0 && reader_member(root, "defaultPipeline"))
        result = reader_name(r, root, "defaultPipeline", &c->default_pipeline);
    named_release(&sets);
    return result;
}

static int add_builtin(struct config *c, struct err *e)
{
    struct reader r = {.t = {"diagnostics", builtin_text, sizeof builtin_text - 1, NULL}, .e = e};
    const struct named_list no_sets = {0};
    cJSON *doc = json_parse(builtin_text, sizeof builtin_text - 1, r.t.name, e);
    r.t.root = doc;
    int result = doc ? read_pipeline(&r, doc, &no_sets, c, &c->builtin) : -1;
    c->builtin.builtin = true;
    cJSON_Delete(doc);
    return result;
}

static int check_text(const struct json_text *t, struct err *e)
{
    const char *at, *fault = json_text_fault(t, &at);
    unsigned line, column;
    if (!fault)
        return 0;
    json_locate(t->text, at, &line, &column);
    errno = EINVAL;
    return err_set(e, "%s:%u:%u: %s", t->name, line, column, fault);
}

static int read_document(cJSON *doc, const struct json_text *t, struct config *out, struct err *e)
{
    struct reader r = {.t = *t, .e = e};
    int result = check_text(t, e);
    if (result == 0)
        result = read_root(&r, doc, out);
    out->warnings = r.warnings;
    return result;
}

int config_parse(const char *text, size_t len, const char *name, struct config *out, struct err *e)
{
    *out = (struct config){0};
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark */
        text += 3;
        len -= 3;
    }
    cJSON *doc = json_parse(text, len, name, e);
    if (!doc)
        return -1;
    const struct json_text t = {name, text, len, doc};
    int result = read_document(doc, &t, out, e);
    if (result == 0)
        result = add_builtin(out, e);
    int saved = errno;
    cJSON_Delete(doc);
    if (result != 0)
        config_release(out);
    errno = saved;
    return result;
}

int config_load(const char *path, struct config *out, struct err *e)
{
    struct buf text = BUF_INIT;
    int result;
    if (json_slurp(AT_FDCWD, path, true, &text) == 0)
        result = config_parse(text.data, text.len, path, out, e);
    else if (errno == ENOENT)
        result = config_parse("{}", 2, path, out, e);
    else
        result = err_sys(e, "%s: can't be read", path);
    int saved = errno;
    buf_release(&text);
    errno = saved;
    return result;
}

int config_load_root(const char *root, struct config *out, struct err *e)
{
    char *path = text_join(root, "/codex.orchestrator.json", "");
    int rc = path ? config_load(path, out, e) : err_sys(e, "can't read the configuration");
    free(path);
    return rc;
}

const struct pipeline *config_pipeline(const struct config *c, const char *id)
{
    const char *wanted = id ? id : c->default_pipeline ? c->default_pipeline : "diagnostics";
    for (size_t i = 0; i < c->n_pipelines; i++) {
        if (strcmp(c->pipelines[i].id, wanted) == 0)
            return &c->pipelines[i];
    }
    return strcmp(c->builtin.id, wanted) == 0 ? &c->builtin : NULL;
}

bool mentions_guardrail(const char *id, const char *title, const char *command)
{
    const char *const texts[] = {id, title, command};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i] &&
            (strcasestr(texts[i], "spec-guard") || strcasestr(texts[i], "specguardrunner")))
            return true;
    }
    return false;
}

bool pipeline_guardrails_required(const struct pipeline *p)
{
    return p->guardrails_required != FLAG_FALSE;
}
