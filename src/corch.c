/* Owns the public interface: opaque handles over config, engine and watch. */
#include "corch.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "batch.h"
#include "bounds.h"
#include "clock.h"
#include "engine.h"
#include "exec_request.h"
#include "ndjson.h"
#include "reaper.h"
#include "reasons.h"
#include "resume.h"

static_assert(sizeof(corch_error) == sizeof(struct err), "an error is handed through as it is");

struct corch_config {
    struct workspace workspace;
    struct config config;
};

struct corch_run {
    struct engine *engine;
    struct exec_request *exec; /* or NULL */
    struct batch *batch;       /* or NULL */
    struct watch *watch;       /* or NULL */
    pthread_t thread;
    bool joined;
    int done_fd;
    corch_result result;
    char *manifest_path;
    struct watch_slot *slot; /* of the frame that was handed out last */
    char data[CHUNK_BYTES];
};

static void copy_error(corch_error *to, const struct err *from)
{
    if (to)
        memcpy(to->text, from->text, sizeof to->text);
}

static int load_file(corch_config *c, struct err *e)
{
    return config_load_root(c->workspace.root, &c->config, e);
}

static int load_builtin(corch_config *c, struct err *e)
{
    return config_parse("{}", 2, "no configuration", &c->config, e);
}

static corch_config *config_new(const char *root, const char *task,
                                int (*load)(corch_config *c, struct err *e), corch_error *e)
{
    struct err why = {""};
    corch_config *c = calloc(1, sizeof *c);
    if (!c) {
        err_sys(&why, "can't read the configuration");
    } else if (workspace_open(&c->workspace, root, task, &why) != 0) {
        free(c);
        c = NULL;
    } else if (load(c, &why) != 0) {
        workspace_release(&c->workspace);
        free(c);
        c = NULL;
    }
    copy_error(e, &why);
    return c;
}

corch_config *corch_config_load(const char *root, const char *task, corch_error *e)
{
    return config_new(root, task, load_file, e);
}

corch_config *corch_config_builtin(const char *root, const char *task, corch_error *e)
{
    return config_new(root, task, load_builtin, e);
}

void corch_config_free(corch_config *config)
{
    if (!config)
        return;
    config_release(&config->config);
    workspace_release(&config->workspace);
    free(config);
}

const char *corch_config_warning(const corch_config *config, size_t i)
{
    size_t n = 0;
    while (config->config.warnings && config->config.warnings[n])
        n++;
    return i < n ? config->config.warnings[i] : NULL;
}

static void *drive(void *arg)
{
    struct corch_run *r = arg;
    engine_drive(r->engine);
    eventfd_write(r->done_fd, 1);
    return NULL;
}

/* Longer than anybody waits, and short enough to be added to a time. */
static long long or_default(long value, long long fallback)
{
    const long long most = TIMEOUT_MAX_SECONDS * 1000LL;
    return value > most ? most : value > 0 ? value : fallback;
}

static long long default_grace_ms(void)
{
    return getenv(REAPER_MARK) ? CANCEL_GRACE_NESTED_MS : CANCEL_GRACE_MS;
}

static int begin(corch_run *r, const corch_config *config, const corch_options *options,
                 struct err *e)
{
    struct run_request request = {.pipeline = config_pipeline(&config->config, options->pipeline),
                                  .target = options->target,
                                  .parent_run_id = options->parent_run,
                                  .approval_policy = options->approval_policy,
                                  .watch = r->watch,
                                  .pools = config->config.n_pools};
    if (options->jobs > JOBS_MAX && options->jobs != CORCH_JOBS_CORES)
        return err_set(e, "there can be at most %d jobs, not %u", JOBS_MAX, options->jobs);
    struct engine_limits limits = {
        .jobs = options->jobs == 0                ? JOBS_UNSET
                : options->jobs == CORCH_JOBS_CORES ? JOBS_CORES
                                                    : (int)options->jobs,
        .keep_going = options->on_failure == CORCH_KEEP_GOING,
        .fail_fast = options->on_failure == CORCH_FAIL_FAST,
        .timeout_ms = or_default(options->timeout_ms, 0),
        .chunk_pool = options->chunk_pool && options->chunk_pool < CHUNK_POOL ? options->chunk_pool
                                                                              : CHUNK_POOL,
        .cancel_grace_ms = or_default(options->cancel_grace_ms, default_grace_ms()),
        .drain_grace_ms = or_default(options->drain_grace_ms, DRAIN_GRACE_MS)};
    const struct resume_request resume = {.run_id = options->resume,
                                          .token = options->token,
                                          .actor = options->actor,
                                          .reason = options->reason,
                                          .target = options->target,
                                          .watch = r->watch};
    if (r->exec) {
        request.exec = r->exec;
        request.pipeline = &r->exec->pipeline;
    } else if (r->batch) {
        request.batch = r->batch;
        request.pipeline = &r->batch->pipeline;
    } else if (options->resume)
        request.resume = &resume;
    else if (!request.pipeline)
        return err_set(e, "Pipeline '%s' not found.",
                       options->pipeline                  ? options->pipeline
                       : config->config.default_pipeline ? config->config.default_pipeline
                                                          : "diagnostics");
    r->engine = engine_new(&config->config, &config->workspace, &request, &limits, e);
    if (!r->engine)
        return -1;
    errno = pthread_create(&r->thread, NULL, drive, r);
    return errno ? err_sys(e, "can't start the thread of a run") : 0;
}

/* A run of `exec` or of `batch`, which are taken over, or, if both are NULL, of what the options say. */
static corch_run *start(const corch_config *config, const corch_options *options,
                        struct exec_request *exec, struct batch *batch, corch_error *e)
{
    struct err why = {""};
    corch_run *r = calloc(1, sizeof *r);
    if (r) {
        r->joined = true;
        r->exec = exec;
        r->batch = batch;
        r->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r->watch = options->watch ? watch_new() : NULL;
    }
    if (!r || r->done_fd < 0 || (options->watch && !r->watch)) {
        err_sys(&why, "can't prepare a run");
    } else if (begin(r, config, options, &why) == 0) {
        r->joined = false;
        return r;
    }
    if (!r) {
        exec_request_free(exec);
        batch_free(batch);
    }
    corch_run_free(r);
    copy_error(e, &why);
    return NULL;
}

corch_run *corch_run_start(const corch_config *config, const corch_options *options,
                           corch_error *e)
{
    return start(config, options, NULL, NULL, e);
}

corch_run *corch_exec_start(const corch_config *config, const corch_exec *exec, corch_error *e)
{
    struct err why = {""};
    const corch_options options = {.watch = exec->watch,
                                   .chunk_pool = exec->chunk_pool,
                                   .cancel_grace_ms = exec->cancel_grace_ms,
                                   .drain_grace_ms = exec->drain_grace_ms};
    struct exec_request *request = exec_request_new(
        exec->argv, exec->cwd, exec->timeout_ms > 0 ? exec->timeout_ms : 0, &why);
    if (request)
        return start(config, &options, request, NULL, e);
    copy_error(e, &why);
    return NULL;
}

/* What the program that ran a single command should exit with. */
static int exit_code(const struct manifest_command *c)
{
    if (!c->has_exit_code)
        return -1;
    return c->signal ? 128 + c->signal : c->exit_code;
}

corch_run *corch_batch_start(const corch_config *config, const corch_batch *batch,
                             const corch_options *options, corch_error *e)
{
    struct err why = {""};
    struct batch *made = batch_new(batch, &why);
    if (made)
        return start(config, options, NULL, made, e);
    copy_error(e, &why);
    return NULL;
}

int corch_run_stage(corch_run *run, size_t i, corch_stage *stage)
{
    struct engine_result got;
    engine_result(run->engine, &got);
    if (i >= got.manifest->n_commands)
        return 0;
    const struct manifest_command *c = &got.manifest->commands[i];
    bool timed = c->started_ms != CLOCK_NEVER && c->completed_ms != CLOCK_NEVER;
    *stage = (corch_stage){.id = c->id,
                           .title = c->title,
                           .command = c->command,
                           .status = stage_state_name(c->state),
                           .exit_code = exit_code(c),
                           .duration_ms = timed ? c->completed_ms - c->started_ms : -1,
                           .summary = c->summary,
                           .log_path = c->log_path,
                           .error_file = c->error_file};
    return 1;
}

static void set_result(corch_run *r)
{
    struct engine_result got;
    engine_result(r->engine, &got);
    const struct manifest *m = got.manifest;
    /* the command was ended because of that */
    bool unrecorded = m->status_detail && strcmp(m->status_detail, REASON_STORAGE) == 0;
    r->manifest_path = text_join(m->artifact_root, "/manifest.json", "");
    r->result = (corch_result){
        .status = got.status == RUN_SUCCEEDED   ? CORCH_SUCCEEDED
                  : got.status == RUN_CANCELLED ? CORCH_CANCELLED
                                                : CORCH_FAILED,
        .status_name = run_status_name(got.status),
        .status_detail = m->status_detail,
        .run_id = m->run_id,
        .artifact_root = m->artifact_root,
        .manifest = r->manifest_path,
        .log_path = m->log_path,
        .summary = m->summary,
        .manifest_writes = got.manifest_writes,
        .exit_code = r->exec && !unrecorded ? exit_code(&m->commands[0]) : -1,
    };
    static const char *const none[] = {NULL};
    r->result.warnings = none;
    if (got.notices->texts)
        memcpy(&r->result.warnings, &got.notices->texts, sizeof r->result.warnings);
}

const corch_result *corch_run_wait(corch_run *run)
{
    if (!run->joined) {
        pthread_join(run->thread, NULL);
        run->joined = true;
        set_result(run);
    }
    return &run->result;
}

const char *corch_run_found(const corch_run *run, size_t i)
{
    return engine_found(run->engine, i);
}

const char *corch_run_folder(const corch_run *run)
{
    return engine_folder(run->engine);
}

int corch_run_part(corch_run *run, size_t i, corch_part *part)
{
    return engine_part(run->engine, i, part);
}

int corch_run_fd(const corch_run *run)
{
    return run->done_fd;
}

int corch_run_log_fd(const corch_run *run)
{
    return run->exec ? run->exec->grown_fd : -1;
}

void corch_run_cancel(corch_run *run, int now)
{
    engine_cancel(run->engine, now ? CANCEL_KILL : CANCEL_TERM);
}

void corch_run_free(corch_run *run)
{
    if (!run)
        return;
    if (!run->joined)
        corch_run_wait(run);
    engine_free(run->engine);
    exec_request_free(run->exec);
    batch_free(run->batch);
    watch_free(run->watch);
    if (run->done_fd >= 0)
        close(run->done_fd);
    free(run->manifest_path);
    free(run);
}

/* The inside of the JSON string that follows `key` in a line of our own making, or NULL. */
static const char *find_string(const char *line, const char *key, size_t *n)
{
    const char *at = strstr(line, key);
    if (!at)
        return NULL;
    at += strlen(key);
    size_t len = 0;
    while (at[len] && at[len] != '"')
        len += at[len] == '\\' && at[len + 1] ? 2 : 1;
    *n = len;
    return at;
}

static void set_chunk(corch_run *r, corch_frame *f)
{
    size_t n, size = (size_t)-1;
    const char *binary = find_string(f->json, "\",\"data_base64\":\"", &n);
    if (binary)
        size = ndjson_unbase64(r->data, binary, n);
    if (size == (size_t)-1) {
        const char *text = find_string(f->json, ",\"data\":\"", &n);
        size = text ? ndjson_unescape(r->data, text, n) : 0;
    }
    f->kind = CORCH_FRAME_CHUNK;
    f->stream = strstr(f->json, ",\"stream\":\"stderr\"") ? 2 : 1;
    f->data = r->data;
    f->size = size == (size_t)-1 ? 0 : size;
    r->data[f->size] = '\0';
}

/* The number behind the last `"index":` of the line; 0 if it has none. */
static size_t stage_number(const struct watch_slot *slot)
{
    static const char key[] = "\"index\":";
    for (size_t at = slot->len; at >= sizeof key; at--) {
        if (memcmp(slot->line + at - (sizeof key - 1), key, sizeof key - 1) == 0)
            return strtoul(slot->line + at, NULL, 10);
    }
    return 0;
}

static const char *state_name(corch_run *r, const char *json)
{
    size_t n;
    const char *status = find_string(json, "\"status\":\"", &n);
    if (!status || n >= sizeof r->data)
        return NULL;
    memcpy(r->data, status, n);
    r->data[n] = '\0';
    return r->data;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void set_frame(corch_run *r, corch_frame *f)
{
    const struct watch_slot *s = r->slot;
    *f = (corch_frame){.kind = CORCH_FRAME_EVENT,
                       .sequence = s->sequence,
                       .lost = s->lost,
                       .run_id = s->run_id,
                       .json = s->line,
                       .stage = stage_number(s)};
    if (starts_with(s->line, "{\"type\":\"exec:chunk\"")) {
        set_chunk(r, f);
    } else if (starts_with(s->line, "{\"type\":\"run:state\"")) {
        f->kind = CORCH_FRAME_STATE;
        f->stage = 0;
        f->status = state_name(r, s->line);
    } else if (starts_with(s->line, "{\"type\":\"stage:state\"")) {
        f->kind = CORCH_FRAME_STATE;
        f->status = state_name(r, s->line);
    }
}

int corch_run_next(corch_run *run, corch_frame *frame, int timeout_ms)
{
    bool ended = true;
    int64_t deadline =
        timeout_ms < 0 ? WAKE_FOREVER : clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    if (!run->watch)
        return 0;
    if (run->slot)
        watch_done(run->watch, run->slot);
    run->slot = watch_next(run->watch, deadline, &ended);
    if (!run->slot)
        return ended ? 0 : -1;
    set_frame(run, frame);
    return 1;
}

uint64_t corch_run_lost(const corch_run *run)
{
    return run->watch ? watch_lost(run->watch) : 0;
}
