/* `start`: run a pipeline, wait for its end, say where to look. Main thread. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "corch.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "sig.h"

static const char help[] =
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
    "  --no-interactive        accepted for compatibility\n"
    "  --help                  this text\n"
    "\n"
    "Exit code: 0 the run succeeded, 1 it failed or was cancelled, 2 nothing was run.\n"
    "After SIGINT, SIGTERM or SIGHUP the run ends cancelled and the program by that signal.\n";

struct start_options {
    const char *pipeline, *task, *target, *parent_run, *approval_policy, *format;
    bool no_interactive, help;
};

static int parse(struct start_options *o, int argc, char **argv)
{
    const struct option_spec specs[] = {
        {"--task", &o->task, NULL},
        {"--target", &o->target, NULL},
        {"--target-stage", &o->target, NULL},
        {"--parent-run", &o->parent_run, NULL},
        {"--approval-policy", &o->approval_policy, NULL},
        {"--format", &o->format, NULL},
        {"--no-interactive", NULL, &o->no_interactive},
        {"--help", NULL, &o->help},
        {"-h", NULL, &o->help},
    };
    struct options parser = {.command = "start",
                             .specs = specs,
                             .n_specs = sizeof specs / sizeof *specs,
                             .positional = &o->pipeline,
                             .max_positional = 1};
    struct err e = {""};
    if (options_parse(&parser, argc, argv, &e) == 0)
        return 0;
    output_message("%s", e.text);
    return -1;
}

/* Waits for the end while signals are turned into cancellation; returns the first of them. */
static int wait_for_end(corch_run *run, int signals)
{
    int first = 0;
    struct pollfd fds[] = {{.fd = corch_run_fd(run), .events = POLLIN},
                           {.fd = signals, .events = POLLIN}};
    while (!fds[0].revents) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        int signal = fds[1].revents ? sig_read(signals) : 0;
        if (signal) {
            corch_run_cancel(run, first != 0);
            if (!first)
                output_message("signal %d: ending the run; once more kills it at once", signal);
            first = first ? first : signal;
        }
    }
    return first;
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
    output_json(doc);
}

static void print_text(const corch_result *r)
{
    printf("Run started: %s\nStatus: %s\n", r->run_id, r->status_name);
    output_safe(stdout, "Manifest: ", r->manifest);
    output_safe(stdout, "Log: ", r->log_path);
    if (r->summary) {
        printf("Summary:\n");
        output_safe(stdout, "  ", r->summary);
    }
}

static int run(const corch_config *config, const struct start_options *o, enum output_format format)
{
    corch_error e;
    int signals = sig_open();
    if (signals < 0) {
        output_message("can't prepare for signals: %s", strerror(errno));
        return EXIT_NOT_RUN;
    }
    corch_options options = {.pipeline = o->pipeline,
                             .target = o->target,
                             .parent_run = o->parent_run,
                             .approval_policy = o->approval_policy};
    corch_run *run = corch_run_start(config, &options, &e);
    if (!run) {
        output_message("%s", e.text);
        return EXIT_NOT_RUN;
    }
    int signal = wait_for_end(run, signals);
    const corch_result *result = corch_run_wait(run);
    for (size_t i = 0; result->warnings[i]; i++)
        output_message("%s", result->warnings[i]);
    if (format == FORMAT_JSON)
        print_json(result);
    else
        print_text(result);
    int code = result->status == CORCH_SUCCEEDED ? EXIT_OK : EXIT_RUN_FAILED;
    if (result->status == CORCH_FAILED && result->status_detail)
        output_message("run failed: %s", result->status_detail);
    if (output_end() != 0 && code == EXIT_OK)
        code = EXIT_RUN_FAILED;
    corch_run_free(run);
    if (signal)
        sig_die(signal);
    return code;
}

int cmd_start(int argc, char **argv)
{
    struct start_options o = {0};
    enum output_format format;
    corch_error e;
    if (parse(&o, argc, argv) != 0 || output_format("start", o.format, &format) != 0)
        return EXIT_NOT_RUN;
    if (o.help) {
        fputs(help, stdout);
        return output_end() == 0 ? EXIT_OK : EXIT_NOT_RUN;
    }
    if (!o.target)
        o.target = getenv("CODEX_ORCHESTRATOR_TARGET_STAGE");
    corch_config *config = corch_config_load(NULL, o.task, &e);
    if (!config) {
        output_message("%s", e.text);
        return EXIT_NOT_RUN;
    }
    const char *warning;
    for (size_t i = 0; (warning = corch_config_warning(config, i)); i++)
        output_message("warning: %s", warning);
    int code = run(config, &o, format);
    corch_config_free(config);
    return code;
}
