/* `start` and `resume`: run a pipeline, wait for its end, say where to look. Main thread. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd_wait.h"
#include "commands.h"
#include "corch.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "relay.h"
#include "sig.h"

static const char start_help[] =
    "Usage: codex-orchestrator start [options] [pipeline]\n"
    "\n"
    "Runs a pipeline of codex.orchestrator.json: the named one, else the configuration's\n"
    "defaultPipeline, else \"diagnostics\".\n"
    "\n"
    "Options:\n"
    "  --task ID               task the run belongs to (default: MCP_RUNNER_TASK_ID, else 0101)\n"
    "  --target STAGE          stage recorded as the plan's target: id, pipeline:id or alias\n"
    "  --target-stage STAGE    the same\n"
    "  --parent-run ID         run that is recorded as this one's parent\n"
    "  --approval-policy NAME  recorded in the manifest\n"
    "  --jobs N, -j N          commands at once; 0: as many as there are processors (default: the\n"
    "                          pipeline's \"jobs\", else 1: one stage after the other)\n"
    "  --keep-going, -k        after a failure, run all that does not need what failed\n"
    "  --fail-fast             after a failure, end what runs; by default that finishes, and\n"
    "                          nothing new starts\n"
    "  --timeout SECONDS       end the run after this time, as failed\n"
    "  --format json|text      how the result is printed (default: text)\n"
    "  --output MODE           what commands print is shown: lines (each behind the name of its\n"
    "                          stage), grouped (when a command has ended), errors (only of those\n"
    "                          that failed) or none (default)\n"
    "  --interactive, --ui     say why if there is no progress; there is on a terminal\n"
    "  --no-interactive        no progress\n"
    "  --help                  this text\n"
    "\n"
    "Exit code: 0 the run succeeded, 1 it failed or was cancelled, 2 nothing was run.\n"
    "After SIGINT, SIGTERM or SIGHUP the run ends cancelled and the program by that signal.\n";

static const char resume_help[] =
    "Usage: codex-orchestrator resume [options] --run ID\n"
    "       codex-orchestrator resume [options] ID\n"
    "\n"
    "Takes up a run again: stages that succeeded or were skipped are kept, the others run.\n"
    "\n"
    "Options:\n"
    "  --run ID                the run\n"
    "  --token TOKEN           refused unless it is the run's (.resume-token in its folder)\n"
    "  --actor NAME            recorded: who resumes (default: cli)\n"
    "  --reason TEXT           recorded: why (default: manual-resume)\n"
    "  --target STAGE          stage recorded as the plan's target: id, pipeline:id or alias\n"
    "  --target-stage STAGE    the same\n"
    "  --jobs N, -j N          commands at once; 0: as many as there are processors (default: the\n"
    "                          pipeline's \"jobs\", else 1: one stage after the other)\n"
    "  --keep-going, -k        after a failure, run all that does not need what failed\n"
    "  --fail-fast             after a failure, end what runs; by default that finishes, and\n"
    "                          nothing new starts\n"
    "  --timeout SECONDS       end the run after this time, as failed\n"
    "  --format json|text      how the result is printed (default: text)\n"
    "  --output MODE           what commands print is shown: lines (each behind the name of its\n"
    "                          stage), grouped (when a command has ended), errors (only of those\n"
    "                          that failed) or none (default)\n"
    "  --interactive, --ui     say why if there is no progress; there is on a terminal\n"
    "  --no-interactive        no progress\n"
    "  --help                  this text\n"
    "\n"
    "Exit code: 0 the run succeeded, 1 it failed or was cancelled, 2 nothing was run.\n";

struct words {
    const char *positional, *task, *format, *output, *run, *jobs, *timeout;
    corch_options run_options;
    bool keep_going, fail_fast, interactive, no_interactive, help;
};

/* How a run and its result are shown. */
struct manner {
    enum output_format format;
    enum relay_mode relay;
};

enum { SPECS_MAX = 24 };

/* How much at once, for how long, and what a failure does. */
static int set_limits(const char *command, struct words *o, struct err *e)
{
    corch_options *to = &o->run_options;
    if (o->keep_going && o->fail_fast)
        return err_set(e, "%s: --keep-going and --fail-fast contradict each other", command);
    to->on_failure = o->keep_going  ? CORCH_KEEP_GOING
                     : o->fail_fast ? CORCH_FAIL_FAST
                                    : CORCH_FINISH;
    if (o->jobs && options_jobs(command, o->jobs, &to->jobs, e) != 0)
        return -1;
    return o->timeout ? options_timeout(command, o->timeout, &to->timeout_ms, e) : 0;
}

/* Reads the options of one of the commands, and those that both have. */
static int parse(const char *command, const struct option_spec *own, size_t n_own, struct words *o,
                 int argc, char **argv)
{
    const struct option_spec shared[] = {
        {"--target", &o->run_options.target, NULL},
        {"--target-stage", &o->run_options.target, NULL},
        {"--jobs", &o->jobs, NULL},
        {"-j", &o->jobs, NULL},
        {"--keep-going", NULL, &o->keep_going},
        {"-k", NULL, &o->keep_going},
        {"--fail-fast", NULL, &o->fail_fast},
        {"--timeout", &o->timeout, NULL},
        {"--format", &o->format, NULL},
        {"--output", &o->output, NULL},
        {"--interactive", NULL, &o->interactive},
        {"--ui", NULL, &o->interactive},
        {"--no-interactive", NULL, &o->no_interactive},
        {"--help", NULL, &o->help},
        {"-h", NULL, &o->help},
    };
    enum { SHARED = sizeof shared / sizeof *shared };
    struct option_spec specs[SPECS_MAX];
    assert(n_own + SHARED <= SPECS_MAX);
    memcpy(specs, own, n_own * sizeof *own);
    memcpy(specs + n_own, shared, sizeof shared);
    struct options parser = {.command = command,
                             .specs = specs,
                             .n_specs = n_own + SHARED,
                             .positional = &o->positional,
                             .max_positional = 1};
    struct err e = {""};
    if (options_parse(&parser, argc, argv, &e) == 0 && set_limits(command, o, &e) == 0)
        return 0;
    output_message("%s", e.text);
    return -1;
}

static int parse_start(struct words *o, int argc, char **argv)
{
    const struct option_spec own[] = {
        {"--task", &o->task, NULL},
        {"--parent-run", &o->run_options.parent_run, NULL},
        {"--approval-policy", &o->run_options.approval_policy, NULL},
    };
    int rc = parse("start", own, sizeof own / sizeof *own, o, argc, argv);
    o->run_options.pipeline = o->positional;
    return rc;
}

static int parse_resume(struct words *o, int argc, char **argv)
{
    const struct option_spec own[] = {
        {"--run", &o->run, NULL},
        {"--token", &o->run_options.token, NULL},
        {"--actor", &o->run_options.actor, NULL},
        {"--reason", &o->run_options.reason, NULL},
    };
    if (parse("resume", own, sizeof own / sizeof *own, o, argc, argv) != 0)
        return -1;
    o->run_options.resume = o->run ? o->run : o->positional;
    if (o->help || (o->run_options.resume && *o->run_options.resume))
        return 0;
    output_message("resume requires --run ID");
    return -1;
}

static void print_json(const corch_result *r)
{
    cJSON *doc = json_new();
    json_str(doc, "run_id", r->run_id);
    json_str(doc, "status", r->status_name);
    json_str(doc, "status_detail", r->status_detail);
    json_str(doc, "artifact_root", r->artifact_root);
    json_str(doc, "manifest", r->manifest);
    json_str(doc, "log_path", r->log_path);
    json_str(doc, "summary", r->summary);
    output_json(doc, true);
}

static void print_text(const corch_result *r, bool resumed)
{
    printf("Run %s: %s\nStatus: %s\n", resumed ? "resumed" : "started", r->run_id, r->status_name);
    output_safe(stdout, "Manifest: ", r->manifest);
    output_safe(stdout, "Log: ", r->log_path);
    if (r->summary) {
        printf("Summary:\n");
        output_safe(stdout, "  ", r->summary);
    }
}

/* What the result says goes to stdout, what went wrong on the way to stderr. */
static int report(const corch_result *result, bool resumed, enum output_format format)
{
    for (size_t i = 0; result->warnings[i]; i++)
        output_message("%s", result->warnings[i]);
    if (format == FORMAT_JSON)
        print_json(result);
    else
        print_text(result, resumed);
    int code = result->status == CORCH_SUCCEEDED ? EXIT_OK : EXIT_RUN_FAILED;
    if (result->status == CORCH_FAILED && result->status_detail)
        output_message("run failed: %s", result->status_detail);
    return output_end() == 0 ? code : EXIT_RUN_FAILED;
}

/* Whether there is progress. Why not is said if it was asked for. */
static bool progress_wanted(const struct words *o, const struct manner *manner)
{
    const struct progress_options options = {.refused = o->no_interactive,
                                             .json = manner->format == FORMAT_JSON,
                                             .output = manner->relay != RELAY_NONE};
    const char *why[PROGRESS_OBSTACLES];
    size_t n = progress_obstacles(&options, STDERR_FILENO, why);
    for (size_t i = 0; o->interactive && i < n; i++)
        output_message("progress is off: %s", why[i]);
    return n == 0;
}

static void wait_for_end(struct run_wait *wait, struct progress *progress)
{
    wait->progress = progress;
    while (!wait->over) {
        struct pollfd timer = {.fd = progress_fd(progress), .events = POLLIN};
        run_wait_once(wait, &timer, 1);
        progress_update(progress, wait->run);
    }
    wait->progress = NULL;
    progress_end(progress, wait->run);
}

static int run(const corch_config *config, const corch_options *options,
               const struct manner *manner)
{
    corch_error e;
    int signals = sig_open();
    if (signals < 0) {
        output_message("can't prepare for signals: %s", strerror(errno));
        return EXIT_NOT_RUN;
    }
    corch_run *run = corch_run_start(config, options, &e);
    if (!run) {
        output_message("%s", e.text);
        close(signals);
        return EXIT_NOT_RUN;
    }
    struct run_wait wait = {.run = run, .signals = signals};
    int shown = 0;
    if (manner->relay != RELAY_NONE)
        shown = relay_run(&wait, manner->relay, manner->format == FORMAT_JSON);
    else
        wait_for_end(&wait, options->watch ? progress_new(STDERR_FILENO) : NULL);
    int code = report(corch_run_wait(run), options->resume != NULL, manner->format);
    if (shown != 0 && code == EXIT_OK)
        code = EXIT_RUN_FAILED;
    corch_run_free(run);
    close(signals);
    if (wait.first_signal)
        sig_die(wait.first_signal);
    return code;
}

static int load_and_run(struct words *o, const char *help, const struct manner *manner)
{
    corch_error e;
    if (o->help) {
        fputs(help, stdout);
        return output_end() == 0 ? EXIT_OK : EXIT_NOT_RUN;
    }
    if (!o->run_options.target)
        o->run_options.target = getenv("CODEX_ORCHESTRATOR_TARGET_STAGE");
    corch_config *config = corch_config_load(NULL, o->task, &e);
    if (!config) {
        output_message("%s", e.text);
        return EXIT_NOT_RUN;
    }
    const char *warning;
    for (size_t i = 0; (warning = corch_config_warning(config, i)); i++)
        output_message("warning: %s", warning);
    o->run_options.watch = progress_wanted(o, manner);
    int code = run(config, &o->run_options, manner);
    corch_config_free(config);
    return code;
}

static int read_manner(const char *command, const struct words *o, struct manner *manner)
{
    int rc = output_format(command, o->format, &manner->format);
    return rc == 0 ? relay_mode(command, o->output, &manner->relay) : rc;
}

int cmd_start(int argc, char **argv)
{
    struct words o = {0};
    struct manner manner;
    if (parse_start(&o, argc, argv) != 0 || read_manner("start", &o, &manner) != 0)
        return EXIT_NOT_RUN;
    return load_and_run(&o, start_help, &manner);
}

int cmd_resume(int argc, char **argv)
{
    struct words o = {0};
    struct manner manner;
    if (parse_resume(&o, argc, argv) != 0 || read_manner("resume", &o, &manner) != 0)
        return EXIT_NOT_RUN;
    return load_and_run(&o, resume_help, &manner);
}
