/* Owns the request to run a single command. Main thread. */
#include "exec_request.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "config_stage.h"
#include "environment.h"
#include "fd.h"
#include "ndjson.h"
#include "quote.h"

/* What can't be recorded as it is is not run: the record would be about something else. */
static int check_words(const char *const *argv, const char *cwd, struct err *e)
{
    if (!argv || !argv[0])
        return err_set(e, "exec requires a command to run");
    for (size_t i = 0; argv[i]; i++) {
        if (!ndjson_is_text(argv[i]))
            return err_set(e, "exec: word %zu of the command is not UTF-8", i + 1);
    }
    return !cwd || ndjson_is_text(cwd) ? 0 : err_set(e, "exec: the name of the folder is not UTF-8");
}

static int read_max_chunks(unsigned long *out, struct err *e)
{
    static const char name[] = "CODEX_ORCHESTRATOR_EXEC_EVENT_MAX_CHUNKS";
    const char *text = getenv(name);
    *out = 0;
    if (!text || !*text)
        return 0;
    if (environment_number(text, out) != 0)
        return err_set(e, "%s is \"%s\": not a number from 0", name, text);
    return 0;
}

static char **copy_words(const char *const *words)
{
    size_t n = 0;
    while (words[n])
        n++;
    char **copy = calloc(n + 1, sizeof *copy);
    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = strdup(words[i]);
        if (!copy[i]) {
            strings_free(copy);
            return NULL;
        }
    }
    return copy;
}

static int fill_request(struct exec_request *x, const char *const *argv, const char *cwd)
{
    struct stage *s = &x->stage;
    x->pipeline = (struct pipeline){.id = strdup("exec"),
                                    .title = strdup("CLI Exec Command"),
                                    .stages = s,
                                    .n_stages = 1,
                                    .guardrails_required = FLAG_FALSE,
                                    .jobs = JOBS_UNSET};
    stage_init(s);
    s->id = strdup("exec");
    s->command = quote_words(argv);
    s->cwd = cwd ? strdup(cwd) : NULL;
    s->title = s->command ? text_join("Execute ", s->command, "") : NULL;
    x->argv = copy_words(argv);
    return x->pipeline.id && x->pipeline.title && s->id && s->title && x->argv && (!cwd || s->cwd)
               ? 0
               : -1;
}

struct exec_request *exec_request_new(const char *const *argv, const char *cwd, int64_t timeout_ms,
                                      struct err *e)
{
    unsigned long max_chunks;
    if (check_words(argv, cwd, e) != 0 || read_max_chunks(&max_chunks, e) != 0)
        return NULL;
    struct exec_request *x = calloc(1, sizeof *x);
    if (x)
        x->grown_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!x || x->grown_fd < 0 || fill_request(x, argv, cwd) != 0) {
        err_sys(e, "can't prepare the command");
        exec_request_free(x);
        return NULL;
    }
    x->max_chunks = max_chunks;
    x->stage.timeout_ms = timeout_ms;
    return x;
}

void exec_request_free(struct exec_request *x)
{
    if (!x)
        return;
    free(x->pipeline.id);
    free(x->pipeline.title);
    stage_release(&x->stage);
    strings_free(x->argv);
    fd_close(&x->grown_fd);
    free(x);
}
