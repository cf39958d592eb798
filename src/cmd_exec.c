/* `exec`: run a single command as a run of its own, show what it prints, exit as it does. Main
 * thread. The run's log is the buffer between the command and whoever reads our stdout: a slow
 * reader slows nothing down, and takes no memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bounds.h"
#include "cmd_wait.h"
#include "commands.h"
#include "corch.h"
#include "exec_event.h"
#include "logtail.h"
#include "options.h"
#include "output.h"
#include "quote.h"
#include "rundir.h"
#include "sig.h"
#include "sink.h"
#include "squeeze.h"

static const char help[] =
    "Usage: codex-orchestrator exec [options] [--] command [argument…]\n"
    "       codex-orchestrator exec --batch FILE [options]\n"
    "\n"
    "Runs a single command as a run of its own, with logs, manifest and record. Its words are\n"
    "passed on as they are; those that begin with -- need the -- in front of the command.\n"
    "\n"
    "Options:\n"
    "  --jsonl                 print its events while it runs, one JSON object a line, and its\n"
    "                          record at the end; the default unless stdout is a terminal\n"
    "  --json[=pretty|compact] print its record at the end; pretty by default\n"
    "  --cwd DIR               run it in this folder, as seen from the root (default: the root)\n"
    "  --task ID               task the run belongs to (default: MCP_RUNNER_TASK_ID, else 0101)\n"
    "  --timeout SECONDS       end it after this time; its exit code is 124 then\n"
    "  --batch FILE            run the commands of a file instead, one a line; see\n"
    "                          codex-orchestrator exec --batch --help\n"
    "  --help                  this text\n"
    "\n"
    "On a terminal, without --jsonl and --json, the command's own output is shown. The file\n"
    "codex.orchestrator.json is not read.\n"
    "\n"
    "Exit code: the command's; 128+N if signal N ended it; 124 it timed out; 127 command not found;\n"
    "125 exec itself failed: a wrong option, a folder that can't be entered, no place for the\n"
    "record, or a stdout that can't be written (one that was closed is no failure).\n"
    "After SIGINT, SIGTERM or SIGHUP the command is ended, and the program ends by that signal.\n";

enum exec_mode { MODE_UNSET, MODE_SHOW, MODE_JSONL, MODE_JSON };

struct exec_options {
    const char **words; /* of the command, NULL-terminated */
    size_t n_words;
    const char *cwd, *task, *timeout;
    long timeout_ms;
    enum exec_mode mode;
    bool compact, help;
};

static int set_mode(struct exec_options *o, enum exec_mode mode, const char *name, struct err *e)
{
    if (o->mode != MODE_UNSET && o->mode != mode)
        return err_set(e, "Cannot combine %s with other output modes.", name);
    o->mode = mode;
    return 0;
}

static bool is_style(const char *word)
{
    return word && (strcmp(word, "compact") == 0 || strcmp(word, "pretty") == 0);
}

static int set_json(struct exec_options *o, const char *style, struct err *e)
{
    if (style && !is_style(style))
        return err_set(e, "exec: --json must be pretty or compact, not '%s'", style);
    o->compact = style && strcmp(style, "compact") == 0;
    return set_mode(o, MODE_JSON, "--json", e);
}

static int unknown(const char *name, struct err *e)
{
    static const char *const names[] = {"--json", "--jsonl",   "--cwd", "--task",
                                        "--help", "--timeout", "--batch", NULL};
    const char *near = nearest_word(name, names);
    if (near)
        return err_set(e, "Unknown exec option: %s; did you mean %s?", name, near);
    return err_set(e, "Unknown exec option: %s. Options of the command go behind --", name);
}

/* Takes the option argv[*i], and its value. */
static int take_option(struct exec_options *o, char **argv, int *i, struct err *e)
{
    char name[32] = "";
    const char *word = argv[*i], *value = strchr(word, '=');
    size_t len = value ? (size_t)(value - word) : strlen(word);
    snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : 0), word);
    value = value ? value + 1 : NULL;
    if (strcmp(name, "--json") == 0)
        return set_json(o, !value && is_style(argv[*i + 1]) ? argv[++*i] : value, e);
    const char **to = strcmp(name, "--cwd") == 0       ? &o->cwd
                      : strcmp(name, "--task") == 0    ? &o->task
                      : strcmp(name, "--timeout") == 0 ? &o->timeout
                                                       : NULL;
    if (to) {
        *to = value ? value : argv[*i + 1] ? argv[++*i] : "";
        return **to ? 0 : err_set(e, "exec: option %s needs a value", name);
    }
    bool jsonl = strcmp(name, "--jsonl") == 0;
    if (!jsonl && strcmp(name, "--help") != 0)
        return unknown(name, e);
    if (value)
        return err_set(e, "exec: option %s takes no value", name);
    if (jsonl)
        return set_mode(o, MODE_JSONL, name, e);
    o->help = true;
    return 0;
}

/* Options may stand between the words of the command, as they always could; `--` ends them. Only
 * what begins with two dashes is one. */
static int parse(struct exec_options *o, int argc, char **argv, struct err *e)
{
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        bool option = !only_words && strncmp(argv[i], "--", 2) == 0;
        if (option && argv[i][2] == '\0')
            only_words = true;
        else if (!only_words && o->n_words == 0 && strcmp(argv[i], "-h") == 0)
            o->help = true;
        else if (!option)
            o->words[o->n_words++] = argv[i];
        else if (take_option(o, argv, &i, e) != 0)
            return -1;
    }
    if (o->n_words == 0 && !o->help)
        return err_set(e, "exec requires a command to run: codex-orchestrator exec -- command…");
    if (o->mode == MODE_UNSET)
        o->mode = isatty(1) ? MODE_SHOW : MODE_JSONL;
    return o->timeout ? options_timeout("exec", o->timeout, &o->timeout_ms, e) : 0;
}

/* What is shown of a run, piece by piece, while it is waited for. */
struct show {
    const struct exec_options *options;
    struct run_wait wait;
    enum { SHOW_LOG, SHOW_RECORD, SHOW_DONE } step;
    struct logtail log;
    struct exec_log *seen;
    int record_fd;
    struct squeeze squeeze;
    struct sink sink;
    bool failed; /* not all could be shown, and not because nobody wants to see it */
};

static void give_up(struct show *s, const char *what)
{
    bool closed = errno == EPIPE;
    if (closed)
        output_message("stdout was closed: the command goes on, and is recorded");
    else
        output_message("can't %s: %s", what, strerror(errno));
    s->failed |= !closed;
    s->step = SHOW_DONE;
    sink_clear(&s->sink);
}

static void open_log(struct show *s)
{
    int folder = open_folder(corch_run_folder(s->wait.run));
    if (folder < 0 || logtail_open(&s->log, folder, "runner.ndjson") != 0)
        give_up(s, "read the run's log");
    if (folder >= 0)
        close(folder);
}

static void open_record(struct show *s)
{
    int folder = open_folder(corch_run_folder(s->wait.run));
    s->record_fd = folder < 0 ? -1
                              : openat(folder, "run-summary.json",
                                       O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (s->record_fd < 0)
        give_up(s, "read the run's record");
    if (folder >= 0)
        close(folder);
}

static void add_line(struct show *s, const char *text, size_t n)
{
    struct exec_line line;
    exec_line_parse(&line, text, n);
    if (exec_log_take(s->seen, &line) != 0) {
        give_up(s, "show the run's log");
    } else if (s->options->mode == MODE_SHOW && line.kind == EXEC_CHUNK) {
        buf_add(sink_to(&s->sink, s->seen->stream), s->seen->bytes, s->seen->size);
    } else if (s->options->mode == MODE_JSONL && line.kind != EXEC_OTHER) {
        exec_line_print(&line, s->seen, EXEC_FORM_STREAM, sink_to(&s->sink, 1));
        buf_addch(sink_to(&s->sink, 1), '\n');
    }
}

static void fill_from_log(struct show *s)
{
    int got = 1;
    while (got == 1 && s->step == SHOW_LOG && sink_fd(&s->sink) < 0) {
        char *text;
        size_t n;
        got = logtail_next(&s->log, &text, &n);
        if (got == 1)
            add_line(s, text, n);
    }
    if (got < 0)
        give_up(s, "read the run's log");
    else if (got == 0 && s->wait.over)
        s->step = s->options->mode == MODE_SHOW ? SHOW_DONE : SHOW_RECORD;
}

static void fill_from_record(struct show *s)
{
    bool one_line = s->options->mode == MODE_JSONL || s->options->compact;
    if (s->record_fd < 0)
        open_record(s);
    while (s->step == SHOW_RECORD && sink_fd(&s->sink) < 0) {
        struct buf *out = sink_to(&s->sink, 1);
        char *to = buf_room(out, READ_BLOCK);
        errno = ENOMEM;
        ssize_t n = to ? read(s->record_fd, to, READ_BLOCK) : -1;
        if (n < 0 && errno != EINTR) {
            give_up(s, "read the run's record");
        } else if (n == 0) {
            s->step = SHOW_DONE;
            if (one_line)
                buf_addch(out, '\n');
        } else if (n > 0) {
            out->len = one_line ? squeeze(&s->squeeze, to, (size_t)n) : (size_t)n;
        }
    }
}

/* Makes what is to be written next; nothing if that is still to come. */
static void fill(struct show *s)
{
    if (s->step == SHOW_LOG)
        fill_from_log(s);
    if (s->step == SHOW_RECORD && s->wait.over)
        fill_from_record(s);
    if (s->sink.bytes.failed) {
        errno = ENOMEM;
        give_up(s, "show the run");
    }
}

/* Shows the run until it is over and all of it has been shown. */
static void show_run(struct show *s)
{
    if (s->step == SHOW_LOG)
        open_log(s);
    for (;;) {
        if (sink_fd(&s->sink) < 0)
            fill(s);
        int to = sink_fd(&s->sink);
        if (to < 0 && s->step == SHOW_DONE && s->wait.over)
            return;
        enum { OUT, LOG, FDS };
        int log = corch_run_log_fd(s->wait.run);
        struct pollfd fds[FDS] = {
            [OUT] = {.fd = to, .events = POLLOUT},
            [LOG] = {.fd = to < 0 && s->step == SHOW_LOG ? log : -1, .events = POLLIN}};
        run_wait_once(&s->wait, fds, FDS);
        eventfd_t grown;
        if (fds[LOG].revents)
            eventfd_read(log, &grown);
        if (fds[OUT].revents && sink_write(&s->sink) != 0)
            give_up(s, to == 1 ? "write to stdout" : "write to stderr");
    }
}

static void close_show(struct show *s)
{
    logtail_close(&s->log);
    exec_log_free(s->seen);
    if (s->record_fd >= 0)
        close(s->record_fd);
    sink_release(&s->sink);
}

static void print_head(const struct exec_options *o, struct buf *out)
{
    char *command = quote_words(o->words), *text = NULL;
    size_t n = 0;
    FILE *head = open_memstream(&text, &n);
    if (head) {
        output_safe(head, "$ ", command ? command : "");
        if (fclose(head) == 0)
            buf_add(out, text, n);
    }
    free(text);
    free(command);
}

static void print_end(const corch_result *r)
{
    printf("\n%s %s\n", r->run_id, r->status == CORCH_SUCCEEDED ? "SUCCEEDED" : "FAILED");
    output_safe(stdout, "Manifest: ", r->manifest);
    output_safe(stdout, "Log: ", r->log_path);
    fflush(stdout);
}

/* The exit code, and on stderr what went wrong on our side. */
static int judge(const corch_result *r, bool failed)
{
    const char *summary = r->summary ? r->summary : "";
    for (size_t i = 0; r->warnings[i]; i++)
        output_message("%s", r->warnings[i]);
    if (r->exit_code > 0)
        return r->exit_code;
    if (r->exit_code == 0 && r->status == CORCH_SUCCEEDED)
        return failed ? EXIT_EXEC_FAILED : EXIT_OK;
    if (r->exit_code < 0) /* its first line says why; what follows is about guardrails */
        output_message("%.*s", (int)strcspn(summary, "\n"), summary);
    else
        output_message("exec failed: %s\n%s", r->status_detail ? r->status_detail : "", summary);
    return EXIT_EXEC_FAILED;
}

static int show_and_judge(const struct exec_options *o, corch_run *run, int signals,
                          struct exec_log *seen)
{
    struct show s = {.options = o,
                     .wait = {.run = run, .signals = signals},
                     .step = o->mode == MODE_JSON ? SHOW_RECORD : SHOW_LOG,
                     .log = LOGTAIL_INIT,
                     .seen = seen,
                     .record_fd = -1};
    if (o->mode == MODE_SHOW)
        print_head(o, sink_to(&s.sink, STDOUT_FILENO));
    show_run(&s);
    run_wait_end(&s.wait);
    const corch_result *result = corch_run_wait(run);
    if (o->mode == MODE_SHOW && !s.failed)
        print_end(result);
    int code = judge(result, s.failed), signal = s.wait.first_signal;
    close_show(&s);
    corch_run_free(run);
    close(signals);
    if (signal)
        sig_die(signal);
    return code;
}

static int run(const struct exec_options *o)
{
    corch_error e;
    corch_config *config = corch_config_builtin(NULL, o->task, &e);
    if (!config) {
        output_message("%s", e.text);
        return EXIT_EXEC_FAILED;
    }
    struct exec_log *seen = exec_log_new();
    int signals = seen ? sig_open() : -1, code = EXIT_EXEC_FAILED;
    corch_run *run = NULL;
    if (signals < 0)
        output_message("can't prepare for the run: %s", strerror(errno));
    else if (!(run = corch_exec_start(
                 config,
                 &(corch_exec){.argv = o->words, .cwd = o->cwd, .timeout_ms = o->timeout_ms}, &e)))
        output_message("%s", e.text);
    if (run)
        code = show_and_judge(o, run, signals, seen);
    else
        exec_log_free(seen);
    corch_config_free(config);
    return code;
}

/* Whether the words in front of `--` ask for a batch. */
static bool is_batch(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--batch") == 0 || strncmp(argv[i], "--batch=", 8) == 0)
            return true;
    }
    return false;
}

int cmd_exec(int argc, char **argv)
{
    if (is_batch(argc, argv))
        return cmd_batch(argc, argv);
    struct exec_options o = {.words = calloc((size_t)argc + 1, sizeof *o.words)};
    struct err e = {""};
    int code = EXIT_EXEC_FAILED;
    if (!o.words) {
        output_message("can't read the options: %s", strerror(errno));
    } else if (parse(&o, argc, argv, &e) != 0) {
        output_message("%s", e.text);
    } else {
        if (o.help)
            fputs(help, stdout);
        code = !o.help ? run(&o) : output_end() == 0 ? EXIT_OK : EXIT_EXEC_FAILED;
    }
    free(o.words);
    return code;
}
