/* `exec --batch`: run the lines of a file as one run, and say in their order what became of them.
 * Main thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "cmd_run.h"
#include "commands.h"
#include "json.h"
#include "output.h"
#include "sig.h"

static const char help[] =
    "Usage: codex-orchestrator exec --batch FILE [options]\n"
    "\n"
    "Runs each line of FILE (-: of stdin) with /bin/sh -c, all as one run: one manifest, and a log for\n"
    "each of them. Empty lines and those that begin with # are passed over.\n"
    "\n"
    "Options:\n"
    "  --jsonl                 print a JSON object for each command, in the order of the lines; the\n"
    "                          default unless stdout is a terminal or --output is given\n"
    "  --json                  print one JSON document instead\n"
    "  --cwd DIR               run them in this folder, as seen from the root (default: the root)\n"
    "  --task ID               task the run belongs to (default: MCP_RUNNER_TASK_ID, else 0101)\n"
    RUN_HELP
    "  --help                  this text\n"
    "\n"
    "On a terminal --output is grouped unless it is given. The file codex.orchestrator.json is not\n"
    "read.\n"
    "\n"
    "Exit code: 0 all commands succeeded; 1 some did not: their number is on stderr; 125 nothing was\n"
    "run. After SIGINT, SIGTERM or SIGHUP the run ends cancelled and the program by that signal.\n";

struct batch_options {
    const char *file, *cwd, *task;
    struct run_words how;
    corch_options run;
    enum relay_mode relay;
    bool json, jsonl, help;
};

/* The lines that are commands, and their numbers. */
struct lines {
    struct buf text; /* with a NUL behind each */
    const char **commands;
    unsigned long *numbers;
    size_t n;
};

static int parse(struct batch_options *o, int argc, char **argv, struct err *e)
{
    struct option_spec specs[RUN_SPECS + 8] = {
        {"--batch", &o->file, NULL}, {"--cwd", &o->cwd, NULL},   {"--task", &o->task, NULL},
        {"--json", NULL, &o->json},  {"--jsonl", NULL, &o->jsonl}, {"--help", NULL, &o->help},
        {"-h", NULL, &o->help},
    };
    run_specs(&o->how, specs + 7);
    struct options parser = {
        .command = "exec --batch", .specs = specs, .n_specs = RUN_SPECS + 7};
    for (int i = 0; i < argc; i++)
        o->help |= strcmp(argv[i], "--help") == 0; /* perhaps where the file should be */
    if (o->help)
        return 0;
    if (options_parse(&parser, argc, argv, e) != 0)
        return -1;
    if (o->json && o->jsonl)
        return err_set(e, "Cannot combine --json with other output modes.");
    if (run_options(parser.command, &o->how, &o->run, &o->relay, e) != 0)
        return -1;
    bool wanted = o->json || o->jsonl;
    if (!wanted && !o->how.output && isatty(STDOUT_FILENO))
        o->relay = RELAY_GROUPED;
    else if (!wanted && !o->how.output)
        o->jsonl = true;
    return 0;
}

static int read_all(int fd, struct buf *text)
{
    for (;;) {
        char *to = buf_room(text, READ_BLOCK);
        ssize_t n = to ? read(fd, to, READ_BLOCK) : -1;
        if (n == 0) {
            text->data[text->len] = '\0';
            return 0;
        }
        if (n < 0 && (!to || errno != EINTR))
            return -1;
        text->len += n > 0 ? (size_t)n : 0;
    }
}

static int read_file(const char *path, struct buf *text, struct err *e)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : read_all(fd, text);
    if (rc != 0)
        err_sys(e, "exec --batch: can't read %s", standard ? "stdin" : path);
    else if (text->len > 0 && memchr(text->data, '\0', text->len))
        rc = err_set(e, "exec --batch: %s has a NUL byte: it is no list of commands",
                     standard ? "stdin" : path);
    if (fd >= 0 && !standard)
        close(fd);
    return rc;
}

/* Adds the line if it is a command; its newline is a NUL by now. */
static void add_line(struct lines *l, char *line, unsigned long number)
{
    size_t n = strlen(line);
    if (n > 0 && line[n - 1] == '\r')
        line[n - 1] = '\0';
    const char *first = line + strspn(line, " \t");
    if (!*first || *first == '#')
        return;
    l->commands[l->n] = line;
    l->numbers[l->n++] = number;
}

static int split(struct lines *l)
{
    size_t newlines = 1;
    for (const char *p = l->text.data; p && (p = strchr(p, '\n')); p++)
        newlines++;
    l->commands = calloc(newlines, sizeof *l->commands);
    l->numbers = calloc(newlines, sizeof *l->numbers);
    if (!l->commands || !l->numbers)
        return -1;
    char *line = l->text.data;
    for (unsigned long number = 1; line; number++) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        add_line(l, line, number);
        line = end ? end + 1 : NULL;
    }
    return 0;
}

static int read_lines(const char *path, struct lines *l, struct err *e)
{
    if (read_file(path, &l->text, e) != 0)
        return -1;
    if (split(l) != 0)
        return err_sys(e, "exec --batch: can't read %s", path);
    return l->n > 0 ? 0 : err_set(e, "exec --batch: %s has no command", path);
}

static void release_lines(struct lines *l)
{
    buf_release(&l->text);
    free(l->commands);
    free(l->numbers);
}

static cJSON *describe(const corch_stage *s, const struct lines *l, size_t i)
{
    cJSON *doc = json_new();
    json_int(doc, "index", (int64_t)i + 1);
    json_int(doc, "line", (int64_t)l->numbers[i]);
    json_str(doc, "command", s->command);
    json_str(doc, "status", s->status);
    if (s->exit_code >= 0)
        json_int(doc, "exit_code", s->exit_code);
    else
        json_null(doc, "exit_code");
    if (s->duration_ms >= 0)
        json_int(doc, "duration_ms", s->duration_ms);
    else
        json_null(doc, "duration_ms");
    json_str(doc, "summary", s->summary);
    json_str(doc, "log_path", s->log_path);
    json_str(doc, "error_file", s->error_file);
    return doc;
}

/* How many commands ended how, and the first that failed. */
struct tally {
    size_t succeeded, failed, pending, first;
};

static struct tally count(corch_run *run, const struct lines *l)
{
    struct tally t = {.first = l->n};
    corch_stage s;
    for (size_t i = 0; i < l->n && corch_run_stage(run, i, &s); i++) {
        bool failed = strcmp(s.status, "failed") == 0;
        if (failed && t.first == l->n)
            t.first = i;
        t.failed += failed;
        t.succeeded += strcmp(s.status, "succeeded") == 0;
        t.pending += strcmp(s.status, "pending") == 0;
    }
    return t;
}

static void print_jsonl(corch_run *run, const struct lines *l)
{
    corch_stage s;
    for (size_t i = 0; i < l->n && corch_run_stage(run, i, &s); i++)
        output_json(describe(&s, l, i), false);
}

static void print_json(corch_run *run, const corch_result *r, const struct lines *l,
                       const struct tally *t)
{
    corch_stage s;
    cJSON *doc = json_new();
    json_str(doc, "run_id", r->run_id);
    json_str(doc, "status", r->status_name);
    json_str(doc, "status_detail", r->status_detail);
    json_str(doc, "manifest", r->manifest);
    json_str(doc, "log_path", r->log_path);
    json_int(doc, "succeeded", (int64_t)t->succeeded);
    json_int(doc, "failed", (int64_t)t->failed);
    json_int(doc, "not_run", (int64_t)t->pending);
    cJSON *commands = json_array(doc, "commands");
    for (size_t i = 0; i < l->n && corch_run_stage(run, i, &s); i++)
        json_add(commands, NULL, describe(&s, l, i));
    output_json(doc, true);
}

static void print_text(const corch_result *r, const struct lines *l, const struct tally *t)
{
    printf("%zu of %zu commands succeeded\n", t->succeeded, l->n);
    output_safe(stdout, "Manifest: ", r->manifest);
    output_safe(stdout, "Log: ", r->log_path);
}

/* What went wrong, the number of those that failed last. */
static void complain(const corch_result *r, const struct lines *l, const struct tally *t)
{
    for (size_t i = 0; r->warnings[i]; i++)
        output_message("%s", r->warnings[i]);
    if (r->status == CORCH_SUCCEEDED)
        return;
    if (t->pending > 0)
        output_message("%zu of %zu commands were not run: %s", t->pending, l->n,
                       r->status_detail ? r->status_detail : r->status_name);
    if (t->failed > 0)
        output_message("%zu of %zu commands failed, the first in line %lu", t->failed, l->n,
                       l->numbers[t->first]);
    else if (t->pending == 0)
        output_message("run failed: %s", r->status_detail ? r->status_detail : r->status_name);
}

static int report(corch_run *run, const struct batch_options *o, const struct lines *l)
{
    const corch_result *r = corch_run_wait(run);
    const struct tally t = count(run, l);
    if (o->json)
        print_json(run, r, l, &t);
    else if (o->jsonl)
        print_jsonl(run, l);
    else
        print_text(r, l, &t);
    int rc = output_end();
    complain(r, l, &t);
    return rc == 0 && r->status == CORCH_SUCCEEDED ? EXIT_OK : EXIT_RUN_FAILED;
}

static corch_run *start(const corch_config *config, struct batch_options *o, const struct lines *l,
                        struct run_wait *wait, corch_error *e)
{
    const corch_batch batch = {
        .commands = l->commands, .lines = l->numbers, .n = l->n, .cwd = o->cwd};
    o->run.watch = run_progress(&o->how, o->relay, o->json || o->jsonl);
    wait->signals = sig_open();
    if (wait->signals < 0) {
        snprintf(e->text, sizeof e->text, "can't prepare for signals: %s", strerror(errno));
        return NULL;
    }
    return corch_batch_start(config, &batch, &o->run, e);
}

static int run(struct batch_options *o, const struct lines *l)
{
    corch_error e;
    struct run_wait wait = {.signals = -1};
    int code = EXIT_EXEC_FAILED;
    corch_config *config = corch_config_builtin(NULL, o->task, &e);
    wait.run = config ? start(config, o, l, &wait, &e) : NULL;
    if (wait.run) {
        int shown = run_watch(&wait, o->relay, o->json || o->jsonl, o->run.watch);
        run_wait_end(&wait);
        code = report(wait.run, o, l);
        if (shown != 0 && code == EXIT_OK)
            code = EXIT_RUN_FAILED;
    } else {
        output_message("%s", e.text);
    }
    corch_run_free(wait.run);
    corch_config_free(config);
    if (wait.signals >= 0)
        close(wait.signals);
    if (wait.first_signal)
        sig_die(wait.first_signal);
    return code;
}

int cmd_batch(int argc, char **argv)
{
    struct batch_options o = {0};
    struct lines lines = {.text = BUF_INIT};
    struct err e = {""};
    int code = EXIT_EXEC_FAILED;
    if (parse(&o, argc, argv, &e) != 0) {
        output_message("%s", e.text);
    } else if (o.help) {
        fputs(help, stdout);
        code = output_end() == 0 ? EXIT_OK : EXIT_EXEC_FAILED;
    } else if (read_lines(o.file, &lines, &e) != 0) {
        output_message("%s", e.text);
    } else {
        code = run(&o, &lines);
    }
    release_lines(&lines);
    return code;
}
