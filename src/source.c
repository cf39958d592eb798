/* Owns what is known of the stages whose output is shown. One thread. */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"
#include "json.h"
#include "rundir.h"

static void release_stage(struct source *s)
{
    free(s->id);
    free(s->label);
    free(s->title);
    buf_release(&s->streams[0].rest);
    buf_release(&s->streams[1].rest);
}

void sources_release(struct sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        for (size_t k = 0; k < s->runs[i].n; k++)
            release_stage(&s->runs[i].stages[k]);
        free(s->runs[i].stages);
    }
    free(s->runs);
    *s = (struct sources){NULL, 0};
}

/* An array with room for `wanted` elements of that size, the new ones zero; NULL: out of memory. */
static void *grown(void *array, size_t *n, size_t wanted, size_t size)
{
    if (wanted <= *n)
        return array;
    char *more = reallocarray(array, wanted, size);
    if (!more)
        return NULL;
    memset(more + *n * size, 0, (wanted - *n) * size);
    *n = wanted;
    return more;
}

struct source *source_get(struct sources *s, size_t part, size_t index)
{
    struct source_run *runs = grown(s->runs, &s->n, part + 1, sizeof *runs);
    if (!runs)
        return NULL;
    s->runs = runs;
    struct source_run *r = &runs[part];
    struct source *stages = grown(r->stages, &r->n, index, sizeof *stages);
    if (!stages)
        return NULL;
    r->stages = stages;
    return &stages[index - 1];
}

/* `above` with a slash, if there is one, and a text, safe to show: free() it. */
static char *safe_join(const char *above, const char *text)
{
    struct buf out = BUF_INIT;
    if (above)
        buf_addf(&out, "%s/", above);
    shown_safe(text, strlen(text), false, &out);
    buf_addstr(&out, "");
    return buf_detach(&out);
}

static int set_names(struct source *s, const struct source *above, size_t index, const char *id,
                     const char *title)
{
    char number[24];
    snprintf(number, sizeof number, "#%zu", index);
    s->number = index + (above ? above->number : 0);
    s->id = id ? strdup(id) : NULL;
    s->label = safe_join(above ? above->label : NULL, id ? id : number);
    s->title = id && title && strcmp(title, id) != 0 ? safe_join(NULL, title) : NULL;
    return s->label && (s->id || !id) ? 0 : -1;
}

/* The manifest in a run's folder, or NULL. */
static cJSON *read_manifest(const char *path)
{
    struct buf text = BUF_INIT;
    int folder = open_folder(path);
    cJSON *doc = NULL;
    if (folder >= 0 && json_slurp(folder, "manifest.json", false, &text) == 0)
        doc = json_parse(text.data, text.len, "manifest.json", NULL);
    fd_close(&folder);
    buf_release(&text);
    return doc;
}

/* Names all stages that the manifest of a run names. */
static int name_all(struct sources *s, const struct source *above, const char *folder, size_t part)
{
    cJSON *doc = read_manifest(folder);
    const cJSON *entry, *list = cJSON_GetObjectItemCaseSensitive(doc, "commands");
    size_t index = 0;
    int rc = 0;
    cJSON_ArrayForEach(entry, list)
    {
        struct source *stage = source_get(s, part, ++index);
        const char *id = json_get_str(entry, "id");
        if (!stage || (id && !stage->label &&
                       set_names(stage, above, index, id, json_get_str(entry, "title")) != 0))
            rc = -1;
    }
    cJSON_Delete(doc);
    return rc;
}

struct source *source_name(struct sources *s, const struct follow *f, size_t part, size_t index)
{
    struct source *above = NULL, *stage = source_get(s, part, index);
    if (!stage || stage->label)
        return stage;
    const corch_part *run = follow_part(f, part);
    size_t parent = follow_parent(f, part);
    if (parent != FOLLOW_NONE && !(above = source_name(s, f, parent, run->stage)))
        return NULL;
    if (name_all(s, above, run->folder, part) != 0)
        return NULL;
    stage = source_get(s, part, index);
    if (stage && !stage->label && set_names(stage, above, index, NULL, NULL) != 0)
        return NULL;
    return stage;
}
