/* `plan`: what a start would do. Creates nothing. Main thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "config.h"
#include "graph.h"
#include "heap.h"
#include "jobs.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "plan.h"
#include "workspace.h"

static const char help[] =
    "Usage: codex-orchestrator plan [options] [pipeline]\n"
    "\n"
    "Prints what `start` would do with the same pipeline, and creates nothing.\n"
    "\n"
    "Options:\n"
    "  --task ID             task the run would belong to (default: MCP_RUNNER_TASK_ID, else "
    "0101)\n"
    "  --target STAGE        stage to be the plan's target: id, pipeline:id or alias\n"
    "                        (default: CODEX_ORCHESTRATOR_TARGET_STAGE, else the configured one)\n"
    "  --target-stage STAGE  the same\n"
    "  --format json|text    how the plan is printed (default: text)\n"
    "  --no-interactive, --interactive, --ui\n"
    "                        accepted for compatibility\n"
    "  --help                this text\n"
    "\n"
    "Exit code: 0, or 2 if the pipeline can't be planned.\n";

struct plan_options {
    const char *pipeline, *task, *target, *format;
    bool ignored, help;
};

static int parse(struct plan_options *o, int argc, char **argv)
{
    const struct option_spec specs[] = {
        {"--task", &o->task, NULL},
        {"--target", &o->target, NULL},
        {"--target-stage", &o->target, NULL},
        {"--format", &o->format, NULL},
        {"--no-interactive", NULL, &o->ignored},
        {"--interactive", NULL, &o->ignored},
        {"--ui", NULL, &o->ignored},
        {"--help", NULL, &o->help},
        {"-h", NULL, &o->help},
    };
    struct options parser = {.command = "plan",
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

static const char *source(const struct pipeline *p)
{
    return p->builtin ? "default" : "user";
}

static const char *kind(const struct stage *s)
{
    return s->kind == STAGE_COMMAND ? "command" : "subpipeline";
}

static void add_env(cJSON *stage, char **env)
{
    if (!env) {
        json_null(stage, "env");
        return;
    }
    cJSON *vars = json_object(stage, "env");
    for (; *env; env++) {
        char *name = strndup(*env, strcspn(*env, "="));
        json_add(vars, name ? name : "", name ? cJSON_CreateString(strchr(*env, '=') + 1) : NULL);
        free(name);
    }
}

/* What is not in the file is not in the plan: plans of earlier versions stay the same. */
static void add_graph(cJSON *stage, const struct stage *s, const size_t *level)
{
    cJSON *needs = s->needs ? json_array(stage, "needs") : NULL;
    for (char **id = s->needs; id && *id; id++)
        json_str(needs, NULL, *id);
    if (s->pool)
        json_str(stage, "pool", s->pool);
    if (s->timeout_ms > 0)
        json_add(stage, "timeoutSeconds", cJSON_CreateNumber((double)s->timeout_ms / 1000));
    if (s->retries_given)
        json_int(stage, "retries", s->retries);
    if (s->retry_delay_given)
        json_int(stage, "retryDelayMs", s->retry_delay_ms);
    if (level)
        json_int(stage, "level", (int64_t)*level + 1);
}

static void add_stage(cJSON *stages, const struct stage *s, size_t index, const size_t *level)
{
    cJSON *stage = json_element(stages);
    json_int(stage, "index", (int64_t)index + 1);
    json_str(stage, "id", s->id);
    json_str(stage, "title", s->title);
    json_str(stage, "kind", kind(s));
    if (s->kind == STAGE_SUBPIPELINE) {
        json_str(stage, "pipeline", s->pipeline);
        json_bool(stage, "optional", s->optional);
        add_graph(stage, s, level);
        return;
    }
    json_str(stage, "command", s->command);
    json_str(stage, "cwd", s->cwd);
    add_env(stage, s->env);
    json_bool(stage, "allowFailure", s->allow_failure);
    json_str(stage, "summaryHint", s->summary_hint);
    add_graph(stage, s, level);
}

static void add_plan(cJSON *doc, const struct plan *plan)
{
    struct buf text = BUF_INIT;
    plan_print(plan, NULL, &text);
    json_add(doc, "plan", text.failed ? NULL : cJSON_ParseWithLength(text.data, text.len));
    buf_release(&text);
}

static void print_json(const struct plan *plan, const size_t *levels)
{
    const struct pipeline *p = plan->pipeline;
    cJSON *doc = json_new();
    cJSON *pipeline = json_object(doc, "pipeline");
    json_str(pipeline, "id", p->id);
    json_str(pipeline, "title", p->title);
    json_str(pipeline, "description", p->description);
    json_str(pipeline, "source", source(p));
    if (p->jobs != JOBS_UNSET)
        json_int(pipeline, "jobs", p->jobs);
    cJSON *stages = json_array(doc, "stages");
    for (size_t i = 0; i < p->n_stages; i++)
        add_stage(stages, &p->stages[i], i, levels ? &levels[i] : NULL);
    add_plan(doc, plan);
    json_str(doc, "targetId", plan->target_id);
    output_json(doc, true);
}

static void describe_command(struct buf *out, const struct stage *s)
{
    buf_addf(out, "     command: %s\n", s->command);
    if (s->cwd && *s->cwd)
        buf_addf(out, "     cwd: %s\n", s->cwd);
    for (char **var = s->env; var && *var; var++)
        buf_addf(out, "%s%s%s", var == s->env ? "     env: " : ", ", *var, var[1] ? "" : "\n");
    if (s->allow_failure)
        buf_addstr(out, "     allowFailure: true\n");
    if (s->summary_hint && *s->summary_hint)
        buf_addf(out, "     summaryHint: %s\n", s->summary_hint);
}

static void describe_subpipeline(struct buf *out, const struct stage *s)
{
    buf_addf(out, "     pipeline: %s\n", s->pipeline);
    if (s->optional)
        buf_addstr(out, "     optional: true\n");
}

static void describe_graph(struct buf *out, const struct stage *s)
{
    for (char **id = s->needs; id && *id; id++)
        buf_addf(out, "%s%s%s", id == s->needs ? "     needs: " : ", ", *id, id[1] ? "" : "\n");
    if (s->pool)
        buf_addf(out, "     pool: %s\n", s->pool);
    if (s->timeout_ms > 0)
        buf_addf(out, "     timeoutSeconds: %.15g\n", (double)s->timeout_ms / 1000);
    if (s->retries_given)
        buf_addf(out, "     retries: %u\n", s->retries);
    if (s->retry_delay_given)
        buf_addf(out, "     retryDelayMs: %lld\n", (long long)s->retry_delay_ms);
}

static void describe_stage(struct buf *out, const struct stage *s, size_t index)
{
    buf_addf(out, "  %zu. [%s] %s (%s)\n", index + 1, kind(s), s->title, s->id);
    if (s->kind == STAGE_COMMAND)
        describe_command(out, s);
    else
        describe_subpipeline(out, s);
    describe_graph(out, s);
}

static void describe_jobs(struct buf *out, int jobs)
{
    unsigned n = jobs == JOBS_UNSET ? 1 : jobs_number(jobs);
    buf_addf(out, "Levels (%u job%s", n, n == 1 ? "" : "s");
    if (jobs == JOBS_CORES)
        buf_addstr(out, ", as many as processors");
    if (n == 1)
        buf_addstr(out, ": one stage after the other, in the order above as far as needs allow");
    buf_addstr(out, "):\n");
}

static void describe_levels(struct buf *out, const struct pipeline *p, const size_t *levels)
{
    struct heap order = {0};
    size_t n = p->n_stages, at = 0;
    describe_jobs(out, p->jobs);
    out->failed |= heap_reserve(&order, n) != 0;
    for (size_t i = 0; !out->failed && i < n; i++)
        heap_add(&order, (int64_t)(levels[i] * n + i), NULL);
    while (order.n > 0) {
        size_t key = (size_t)heap_take(&order).key, level = key / n + 1;
        if (level == at)
            buf_addstr(out, ", ");
        else
            buf_addf(out, "%s  %zu. ", at == 0 ? "" : "\n", level);
        buf_addstr(out, p->stages[key % n].id);
        at = level;
    }
    buf_addch(out, '\n');
    heap_release(&order);
}

static void print_text(const struct plan *plan, const size_t *levels)
{
    const struct pipeline *p = plan->pipeline;
    bool described = p->description && *p->description;
    struct buf out = BUF_INIT;
    buf_addf(&out, "Pipeline: %s — %s [%s]\n", p->id, p->title, source(p));
    if (described)
        buf_addf(&out, "Description: %s\n", p->description);
    buf_addstr(&out, "Stages:\n");
    for (size_t i = 0; i < p->n_stages; i++)
        describe_stage(&out, &p->stages[i], i);
    if (levels)
        describe_levels(&out, p, levels);
    if (described)
        buf_addf(&out, "Notes: %s\n", p->description);
    if (out.failed)
        output_message("can't print the plan: %s", strerror(ENOMEM));
    else
        output_safe(stdout, "", out.data);
    buf_release(&out);
}

/* Only where something may run otherwise than one after the other, or in another order. */
static bool has_levels(const struct pipeline *p)
{
    size_t i = 0;
    while (i < p->n_stages && p->stages[i].n_needs == 0)
        i++;
    return i < p->n_stages || p->jobs != JOBS_UNSET;
}

static int print_found(const struct config *config, const struct plan *plan,
                       enum output_format format)
{
    const struct pipeline *p = plan->pipeline;
    bool leveled = has_levels(p);
    size_t *levels = leveled ? graph_levels(p, config->pools, config->n_pools) : NULL;
    if (leveled && !levels) {
        output_message("can't plan pipeline '%s': %s", p->id, strerror(ENOMEM));
        return EXIT_NOT_RUN;
    }
    if (format == FORMAT_JSON)
        print_json(plan, levels);
    else
        print_text(plan, levels);
    free(levels);
    return output_end() == 0 ? EXIT_OK : EXIT_NOT_RUN;
}

static int print_plan(const struct config *config, const struct plan_options *o,
                      enum output_format format)
{
    struct plan plan;
    const struct pipeline *p = config_pipeline(config, o->pipeline);
    if (!p) {
        output_message("Pipeline '%s' not found.",
                       o->pipeline ? o->pipeline : config->default_pipeline);
        return EXIT_NOT_RUN;
    }
    if (plan_build(p, o->target, &plan) != 0) {
        output_message("can't plan pipeline '%s': %s", p->id, strerror(errno));
        return EXIT_NOT_RUN;
    }
    if (plan.target_unknown)
        output_message(
            "no stage of pipeline '%s' answers to the target asked for; the target is %s", p->id,
            plan.target_id);
    int code = print_found(config, &plan, format);
    plan_release(&plan);
    return code;
}

int cmd_plan(int argc, char **argv)
{
    struct plan_options o = {0};
    enum output_format format;
    struct workspace w;
    struct config config;
    struct err e = {""};
    if (parse(&o, argc, argv) != 0 || output_format("plan", o.format, &format) != 0)
        return EXIT_NOT_RUN;
    if (o.help) {
        fputs(help, stdout);
        return output_end() == 0 ? EXIT_OK : EXIT_NOT_RUN;
    }
    if (!o.target)
        o.target = getenv("CODEX_ORCHESTRATOR_TARGET_STAGE");
    if (workspace_open(&w, NULL, o.task, &e) != 0) {
        output_message("%s", e.text);
        return EXIT_NOT_RUN;
    }
    int code = EXIT_NOT_RUN;
    if (config_load_root(w.root, &config, &e) != 0) {
        output_message("%s", e.text);
    } else {
        for (char **warning = config.warnings; warning && *warning; warning++)
            output_message("warning: %s", *warning);
        code = print_plan(&config, &o, format);
        config_release(&config);
    }
    workspace_release(&w);
    return code;
}
