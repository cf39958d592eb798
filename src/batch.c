/* Owns the pipeline of a batch. Main thread. */
#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "atomicfile.h"
#include "bounds.h"
#include "config_stage.h"
#include "ndjson.h"
#include "outcome.h"

/* `id` is taken over. */
static int fill_stage(struct stage *s, const char *command, char *id, const char *cwd)
{
    stage_init(s);
    s->id = id;
    s->title = cut_text(command, strlen(command), BATCH_TITLE_UNITS, NULL);
    s->command = strdup(command);
    s->cwd = cwd ? strdup(cwd) : NULL;
    return s->id && s->title && s->command && (!cwd || s->cwd) ? 0 : -1;
}

/* Room for `n` stages; they are counted as they are filled. */
static struct batch *make(size_t n, const char *cwd)
{
    struct batch *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->cwd = cwd ? strdup(cwd) : NULL;
    b->pipeline = (struct pipeline){.id = strdup(BATCH_PIPELINE),
                                    .title = strdup("CLI Exec Batch"),
                                    .stages = calloc(n, sizeof *b->pipeline.stages),
                                    .guardrails_required = FLAG_FALSE,
                                    .jobs = JOBS_UNSET};
    if (b->pipeline.id && b->pipeline.title && b->pipeline.stages && (!cwd || b->cwd))
        return b;
    batch_free(b);
    return NULL;
}

static int add(struct batch *b, const char *command, char *id)
{
    return fill_stage(&b->pipeline.stages[b->pipeline.n_stages++], command, id, b->cwd);
}

static char *line_id(unsigned long number)
{
    struct buf id = BUF_INIT;
    buf_addf(&id, "line-%lu", number);
    return buf_detach(&id);
}

/* What can't be recorded as it is is not run: the record would be about something else. */
static int check(const corch_batch *batch, struct err *e)
{
    if (batch->n == 0)
        return err_set(e, "a batch needs at least one command");
    for (size_t i = 0; i < batch->n; i++) {
        if (!ndjson_is_text(batch->commands[i]))
            return err_set(e, "command %lu of the batch is not UTF-8",
                           batch->lines ? batch->lines[i] : (unsigned long)i + 1);
    }
    return !batch->cwd || ndjson_is_text(batch->cwd)
               ? 0
               : err_set(e, "the name of the batch's folder is not UTF-8");
}

struct batch *batch_new(const corch_batch *batch, struct err *e)
{
    if (check(batch, e) != 0)
        return NULL;
    struct batch *b = make(batch->n, batch->cwd);
    int rc = b ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < batch->n; i++)
        rc = add(b, batch->commands[i], line_id(batch->lines ? batch->lines[i] : i + 1));
    if (rc == 0)
        return b;
    err_sys(e, "can't prepare the batch");
    batch_free(b);
    return NULL;
}

int batch_write(const struct batch *b, int dirfd)
{
    struct buf text = BUF_INIT;
    cJSON *doc = json_new();
    json_str(doc, "cwd", b->cwd);
    int rc = json_print(doc, true, &text);
    buf_addch(&text, '\n');
    cJSON_Delete(doc);
    if (rc == 0)
        rc = atomicfile_replace(dirfd, "batch.json", text.data, text.len, 0600, ATOMIC_DURABLE);
    int saved = errno;
    buf_release(&text);
    errno = saved;
    return rc;
}

static struct batch *read_stages(const struct manifest *m, const char *cwd, struct err *e)
{
    struct batch *b = make(m->n_commands + 1, cwd);
    int rc = b ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < m->n_commands; i++) {
        const struct manifest_command *c = &m->commands[i];
        rc = add(b, c->command ? c->command : "", strdup(c->id));
    }
    if (rc == 0)
        return b;
    err_sys(e, "can't prepare the batch");
    batch_free(b);
    return NULL;
}

struct batch *batch_read(const struct manifest *m, int dirfd, struct err *e)
{
    struct buf text = BUF_INIT;
    cJSON *doc = NULL;
    if (json_slurp(dirfd, "batch.json", false, &text) != 0)
        err_sys(e, "run %s is a batch, and its batch.json can't be read", m->run_id);
    else
        doc = json_parse(text.data, text.len, "batch.json", e);
    struct batch *b = doc ? read_stages(m, json_get_str(doc, "cwd"), e) : NULL;
    cJSON_Delete(doc);
    buf_release(&text);
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->pipeline.n_stages; i++)
        stage_release(&b->pipeline.stages[i]);
    free(b->pipeline.stages);
    free(b->pipeline.id);
    free(b->pipeline.title);
    free(b->cwd);
    free(b);
}
