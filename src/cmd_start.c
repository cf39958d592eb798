/* `start` and `resume`: run a pipeline, wait for its end, say where to look. Main thread. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd_run.h"
#include "commands.h"
#include "corch.h"
#include "json.h"
#include "output.h"
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
    "  --format json|text      how the result is printed (default: text)\n"
    RUN_HELP
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
    "  --format json|text      how the result is printed (default: text)\n"
    RUN_HELP
    "  --help                  this text\n"
    "\n"
    "Exit code: 0 the run succeeded, 1 it failed or was cancelled, 2 nothing was run.\n";

struct words {
    const char *positional, *task, *format, *run;
    corch_options run_options;
    struct run_words how;
    bool help;
};

/* How a run and its result are shown. */
struct manner {
    enum output_format format;
    enum relay_mode relay;
};

enum { SPECS_MAX = 24 };

/* Reads the options of one of the commands, and those that both have. */
static int parse(const char *command, const struct option_spec *own, size_t n_own, struct words *o,
                 int argc, char **argv)
{
    const struct option_spec shared[] = {
        {"--target", &o->run_options.target, NULL},
        {"--target-stage", &o->run_options.target, NULL},
        {"--format", &o->format, NULL},
        {"--help", NULL, &o->help},
        {"-h", NULL, &o->help},
    };
    enum { SHARED = sizeof shared / sizeof *shared };
    struct option_spec specs[SPECS_MAX];
    assert(n_own + SHARED + RUN_SPECS <= SPECS_MAX);
    memcpy(specs, own, n_own * sizeof *own);
    memcpy(specs + n_own, shared, sizeof shared);
    run_specs(&o->how, specs + n_own + SHARED);
    struct options parser = {.command = command,
                             .specs = specs,
                             .n_specs = n_own + SHARED + RUN_SPECS,
                             .positional = &o->positional,
                             .max_positional = 1};
    struct err e = {""};
    if (options_parse(&parser, argc, argv, &e) == 0)
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
    if (!o->help && o->run && o->positional)
        output_message("resume: unexpected argument '%s': --run names the run", o->positional);
    else if (o->help || (o->run_options.resume && *o->run_options.resume))
        return 0;
    else
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
static int report(const corch_result *result, bool resumed, enum output_format format, bool signalled)
{
    for (size_t i = 0; result->warnings[i]; i++)
        output_message("%s", result->warnings[i]);
    if (format == FORMAT_JSON)
        print_json(result);
    else
        print_text(result, resumed);
    int code = result->status == CORCH_SUCCEEDED ? EXIT_OK : EXIT_RUN_FAILED;
    if (result->status == CORCH_FAILED || (result->status == CORCH_CANCELLED && !signalled))
        output_message("run %s: %s", result->status_name,
                       result->status_detail ? result->status_detail : "no memory for the reason");
    return output_end() == 0 ? code : EXIT_RUN_FAILED;
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
    const char *found;
    for (size_t i = 0; (found = corch_run_found(run, i)); i++)
        output_message("%s", found);
    struct run_wait wait = {.run = run, .signals = signals};
    int shown = run_watch(&wait, manner->relay, manner->format == FORMAT_JSON, options->watch);
    run_wait_end(&wait);
    int code = report(corch_run_wait(run), options->resume != NULL, manner->format,
                      wait.first_signal != 0);
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
    o->run_options.watch = run_progress(&o->how, manner->relay, manner->format == FORMAT_JSON);
    int code = run(config, &o->run_options, manner);
    corch_config_free(config);
    return code;
}

static int read_manner(const char *command, struct words *o, struct manner *manner)
{
    struct err e = {""};
    if (run_options(command, &o->how, &o->run_options, &manner->relay, &e) == 0)
        return output_format(command, o->format, &manner->format);
    output_message("%s", e.text);
    return -1;
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
