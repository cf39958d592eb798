/*
 * Random pipelines through the whole engine, with random delays wherever its threads hand something
 * over: what the commands themselves have written down, and the manifests, must keep the rules.
 */
#include "live.h"

#include <time.h>

#include "jitter.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { ROUNDS = 6 };
#else
enum { ROUNDS = 12 };
#endif

enum { MOST = 40, PIPELINES = 3, POOLS = 2, RUNS = 400, LINES = 20000 };

/* ---- what is run ---- */

enum behaviour { WORKS, FAILS, FLAKY, TOO_SLOW, SUBPIPELINE };

struct plan_stage {
    enum behaviour behaviour;
    bool excused;                 /* may fail */
    unsigned fails, retries, sub; /* FLAKY: how often it fails; SUBPIPELINE: which one */
    int pool;                     /* -1: none */
    size_t needs[MOST], n_needs;
};

struct plan_pipeline {
    struct plan_stage stages[MOST];
    size_t n;
    unsigned jobs; /* 0: unset */
};

static const char *const ids[PIPELINES] = {"p", "q", "r"};

/* A run as it was seen afterwards. */
struct seen {
    char id[64], log[512];
    const struct plan_pipeline *plan;
    cJSON *manifest;
    size_t parent, stage; /* of runs, and from 0; RUNS: none */
    unsigned starts[MOST], ends[MOST];
    long first[MOST], last[MOST]; /* lines about a stage or what is below it; -1: none */
};

struct line {
    bool start;
    size_t run, stage;
};

struct round {
    unsigned long seed;
    uint64_t random;
    struct plan_pipeline plans[PIPELINES];
    unsigned pools[POOLS];
    corch_options options;
    bool cancelled;     /* somewhere in the middle */
    unsigned cancel_us; /* or a little later */
    bool disturbed;     /* something ended commands from outside */
    struct seen runs[RUNS];
    size_t n_runs;
    struct line lines[LINES];
    size_t n_lines;
};

#define RULE(r, holds)                                          \
    do {                                                        \
        if (!(holds))                                           \
            fail_msg("%s, ENGINE_SEED=%lu", #holds, (r)->seed); \
    } while (0)

static unsigned draw(struct round *r, unsigned limit)
{
    r->random += UINT64_C(0x9E3779B97F4A7C15);
    return (unsigned)(jitter_mix(r->random) % limit);
}

static void make_stage(struct round *r, size_t pipeline, struct plan_stage *s)
{
    unsigned chance = draw(r, 24);
    *s = (struct plan_stage){.pool = -1, .excused = draw(r, 3) == 0};
    s->behaviour = chance < 2 ? FAILS : chance < 5 ? FLAKY : chance == 5 ? TOO_SLOW : WORKS;
    if (chance > 21 && pipeline + 1 < PIPELINES) {
        s->behaviour = SUBPIPELINE;
        s->sub = (unsigned)pipeline + 1 + draw(r, (unsigned)(PIPELINES - 1 - pipeline));
        return;
    }
    s->pool = draw(r, 3) == 0 ? (int)draw(r, POOLS) : -1;
    s->retries = s->behaviour == FLAKY ? draw(r, 4) : s->behaviour == FAILS ? draw(r, 2) : 0;
    s->fails = s->behaviour == FLAKY ? draw(r, 3) + 1 : 0;
}

static void make_pipeline(struct round *r, size_t pipeline, size_t n)
{
    static const unsigned jobs[] = {0, 1, 2, 3, 8};
    struct plan_pipeline *p = &r->plans[pipeline];
    p->n = n;
    p->jobs = jobs[draw(r, 5)];
    for (size_t i = 0; i < n; i++) {
        struct plan_stage *s = &p->stages[i];
        make_stage(r, pipeline, s);
        for (unsigned k = draw(r, 3); i > 0 && k > 0; k--)
            s->needs[s->n_needs++] = draw(r, (unsigned)i);
    }
}

/* What a stage needs comes before it here; in the file they are in the opposite order half of the
 * time. */
static size_t place(const struct round *r, const struct plan_pipeline *p, size_t stage)
{
    return r->seed % 2 ? p->n - 1 - stage : stage;
}

static void add_command(struct round *r, struct buf *b, const struct plan_stage *s, size_t stage)
{
    static const char say[] = "say() { echo $1 $CODEX_ORCHESTRATOR_RUN_ID %zu >>$TRACE; }; ";
    buf_addf(b, ",\"kind\":\"command\",\"retries\":%u,\"retryDelayMs\":%u,\"allowFailure\":%s",
             s->retries, draw(r, 4), s->excused ? "true" : "false");
    if (s->pool >= 0)
        buf_addf(b, ",\"pool\":\"pool%d\"", s->pool);
    if (s->behaviour == TOO_SLOW)
        buf_addstr(b, ",\"timeoutSeconds\":0.03");
    buf_addstr(b, ",\"command\":\"");
    buf_addf(b, say, stage);
    if (s->behaviour == TOO_SLOW)
        buf_addstr(b, "trap 'say end; exit 0' TERM; say start; sleep 3600 & wait");
    else if (s->behaviour == FLAKY)
        buf_addf(b,
                 "say start; n=$(grep -c ^start.$CODEX_ORCHESTRATOR_RUN_ID.%zu$ $TRACE); say end; "
                 "test $n -gt %u",
                 stage, s->fails);
    else
        buf_addf(b, "say start; %ssay end; exit %d", draw(r, 3) == 0 ? "sleep 0.005; " : "",
                 s->behaviour == FAILS ? 3 : 0);
    buf_addch(b, '"');
}

static void add_stage(struct round *r, struct buf *b, const struct plan_pipeline *p, size_t i)
{
    const struct plan_stage *s = &p->stages[i];
    buf_addf(b, "{\"id\":\"s%zu\",\"needs\":[", i);
    for (size_t k = 0; k < s->n_needs; k++)
        buf_addf(b, "%s\"s%zu\"", k > 0 ? "," : "", s->needs[k]);
    buf_addch(b, ']');
    if (s->behaviour == SUBPIPELINE)
        buf_addf(b, ",\"kind\":\"subpipeline\",\"pipeline\":\"%s\",\"optional\":%s", ids[s->sub],
                 s->excused ? "true" : "false");
    else
        add_command(r, b, s, i);
    buf_addch(b, '}');
}

static void write_config(struct round *r, struct buf *b)
{
    buf_addf(b, "{\"pools\":{\"pool0\":%u,\"pool1\":%u},\"pipelines\":[", r->pools[0], r->pools[1]);
    for (size_t k = 0; k < PIPELINES; k++) {
        const struct plan_pipeline *p = &r->plans[k];
        buf_addf(b, "%s{\"id\":\"%s\",\"guardrailsRequired\":false,", k > 0 ? "," : "", ids[k]);
        if (p->jobs > 0)
            buf_addf(b, "\"jobs\":%u,", p->jobs);
        buf_addstr(b, "\"stages\":[");
        for (size_t i = 0; i < p->n; i++) {
            buf_addstr(b, i > 0 ? "," : "");
            add_stage(r, b, p, place(r, p, i));
        }
        buf_addstr(b, "]}");
    }
    buf_addstr(b, "]}");
}

static void make_round(struct round *r)
{
    static const unsigned jobs[] = {0, 0, 0, 1, 2, 4, 8};
    make_pipeline(r, 0, 5 + draw(r, MOST - 4));
    make_pipeline(r, 1, 2 + draw(r, 6));
    make_pipeline(r, 2, 1 + draw(r, 4));
    for (size_t i = 0; i < POOLS; i++)
        r->pools[i] = 1 + draw(r, 2);
    r->options = (corch_options){.pipeline = "p",
                                 .jobs = jobs[draw(r, 7)],
                                 .on_failure = (corch_policy)draw(r, 3),
                                 .timeout_ms = draw(r, 10) == 0 ? 1 + (long)draw(r, 60) : 0};
    r->cancelled = draw(r, 8) == 0;
    r->cancel_us = draw(r, 60000);
}

/* ---- what was seen ---- */

static const char *state_of(const struct round *r, size_t run, size_t stage)
{
    const struct seen *s = &r->runs[run];
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(s->manifest, "commands");
    return text_of(cJSON_GetArrayItem(list, (int)place(r, s->plan, stage)), "status");
}

static bool is(const char *state, const char *name)
{
    return strcmp(state, name) == 0;
}

static bool is_done(const struct round *r, size_t run, size_t stage)
{
    const char *state = state_of(r, run, stage);
    return is(state, "succeeded") || is(state, "skipped");
}

static size_t find_run_id(const struct round *r, const char *id)
{
    size_t i = 0;
    while (i < r->n_runs && strcmp(r->runs[i].id, id) != 0)
        i++;
    return i < r->n_runs ? i : RUNS;
}

static cJSON *read_json(const char *path)
{
    struct buf text = BUF_INIT;
    assert_int_equal(json_slurp(AT_FDCWD, path, false, &text), 0);
    cJSON *doc = cJSON_ParseWithLength(text.data, text.len);
    buf_release(&text);
    assert_non_null(doc);
    return doc;
}

static void see_runs(struct round *r, corch_run *run)
{
    corch_part part;
    char path[512];
    for (r->n_runs = 0; corch_run_part(run, r->n_runs, &part); r->n_runs++) {
        RULE(r, r->n_runs < RUNS);
        struct seen *s = &r->runs[r->n_runs];
        *s = (struct seen){.parent = RUNS};
        snprintf(s->id, sizeof s->id, "%s", part.run_id);
        snprintf(s->log, sizeof s->log, "%s/runner.ndjson", part.folder);
        snprintf(path, sizeof path, "%s/manifest.json", part.folder);
        s->manifest = read_json(path);
        for (size_t k = 0; k < PIPELINES; k++) {
            if (strcmp(text_of(s->manifest, "pipeline_id"), ids[k]) == 0)
                s->plan = &r->plans[k];
        }
        RULE(r, s->plan != NULL);
        if (part.parent_run_id) {
            s->parent = find_run_id(r, part.parent_run_id);
            RULE(r, s->parent != RUNS);
            s->stage = place(r, r->runs[s->parent].plan, part.stage - 1);
        }
        for (size_t i = 0; i < MOST; i++)
            s->first[i] = s->last[i] = -1;
    }
}

static void see_line(struct round *r, size_t run, size_t stage, bool start)
{
    long at = (long)r->n_lines;
    RULE(r, r->n_lines < LINES);
    r->lines[r->n_lines++] = (struct line){start, run, stage};
    r->runs[run].starts[stage] += start;
    r->runs[run].ends[stage] += !start;
    for (; run != RUNS; stage = r->runs[run].stage, run = r->runs[run].parent) {
        struct seen *s = &r->runs[run];
        s->first[stage] = s->first[stage] < 0 ? at : s->first[stage];
        s->last[stage] = at;
    }
}

static void see_lines(struct round *r, const char *path)
{
    char what[8], id[64];
    size_t stage;
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    r->n_lines = 0;
    while (fscanf(f, "%7s %63s %zu", what, id, &stage) == 3) {
        size_t run = find_run_id(r, id);
        if (run != RUNS) /* one of an earlier session is not looked at again */
            see_line(r, run, stage, is(what, "start"));
    }
    fclose(f);
}

/* ---- the rules ---- */

/* What the plan says of a stage that nothing disturbs. */
static const char *expected_state(const struct plan_stage *s)
{
    bool works = s->behaviour == WORKS || (s->behaviour == FLAKY && s->fails <= s->retries);
    return works ? "succeeded" : s->excused ? "skipped" : "failed";
}

static unsigned expected_attempts(const struct plan_stage *s)
{
    unsigned more = s->behaviour == FLAKY && s->fails < s->retries ? s->fails : s->retries;
    return more + 1;
}

static void check_command(const struct round *r, size_t run, size_t i)
{
    const struct seen *seen = &r->runs[run];
    const struct plan_stage *s = &seen->plan->stages[i];
    const char *state = state_of(r, run, i);
    RULE(r, !is(state, "running"));
    if (is(state, "pending")) {
        RULE(r, seen->starts[i] == 0 && seen->ends[i] == 0);
        return;
    }
    /* A cancellation that comes before its time is over has it end well, and with it perhaps the run. */
    bool in_time = s->behaviour == TOO_SLOW && (r->cancelled || r->options.timeout_ms > 0);
    if (!r->disturbed && !in_time) {
        RULE(r, is(state, expected_state(s)));
        if (s->behaviour != TOO_SLOW)
            RULE(r, seen->starts[i] == expected_attempts(s) && seen->ends[i] == seen->starts[i]);
    }
    RULE(r, seen->starts[i] <= expected_attempts(s));
    RULE(r, s->behaviour != FAILS || !is(state, "succeeded"));
}

static void check_subpipeline(const struct round *r, size_t run, size_t i)
{
    size_t children = 0;
    const char *state = state_of(r, run, i), *child = "";
    for (size_t c = run + 1; c < r->n_runs; c++) {
        if (r->runs[c].parent != run || r->runs[c].stage != i)
            continue;
        child = text_of(r->runs[c].manifest, "status");
        children++;
    }
    RULE(r, children == !is(state, "pending"));
    RULE(r, is(state, "succeeded") == is(child, "succeeded"));
    RULE(r, !is(state, "skipped") || r->runs[run].plan->stages[i].excused);
}

/* It came after all it needs; one that did not run has a reason. */
static void check_order(const struct round *r, size_t run, size_t i, bool failed)
{
    const struct seen *seen = &r->runs[run];
    const struct plan_stage *s = &seen->plan->stages[i];
    bool may = true, pending = is(state_of(r, run, i), "pending");
    for (size_t k = 0; k < s->n_needs; k++) {
        size_t need = s->needs[k];
        may &= is_done(r, run, need);
        RULE(r, seen->first[i] < 0 || seen->last[need] < seen->first[i]);
    }
    RULE(r, pending || may);
    if (r->disturbed || !pending)
        return;
    RULE(r, r->options.on_failure == CORCH_KEEP_GOING ? !may : failed);
}

static bool names_failed(const struct round *r, size_t run, const char *detail)
{
    const struct plan_pipeline *p = r->runs[run].plan;
    for (size_t i = 0; i < p->n; i++) {
        const struct plan_stage *s = &p->stages[i];
        char text[64];
        if (s->behaviour == SUBPIPELINE)
            snprintf(text, sizeof text, "subpipeline:%s:failed", ids[s->sub]);
        else
            snprintf(text, sizeof text, "stage:s%zu:%s", i,
                     s->behaviour == TOO_SLOW ? "timed-out" : "failed");
        if (is(state_of(r, run, i), "failed") && strcmp(text, detail) == 0)
            return true;
    }
    return false;
}

static void check_status(const struct round *r, size_t run, bool failed, bool all_done)
{
    const cJSON *doc = r->runs[run].manifest;
    const char *status = text_of(doc, "status"), *detail = text_of(doc, "status_detail");
    RULE(r, is(status, "succeeded") || is(status, "failed") || is(status, "cancelled"));
    RULE(r, is(status, "succeeded") == all_done);
    if (is(status, "succeeded"))
        RULE(r, is(detail, "null"));
    if (is(status, "cancelled"))
        RULE(r, r->disturbed && (run > 0 || r->cancelled) && is(detail, "run-canceled"));
    if (is(status, "failed") && !(r->options.timeout_ms > 0 && is(detail, "run-timed-out")))
        RULE(r, failed && names_failed(r, run, detail));
}

/* Each command that was executed has one beginning, one end and one assignment. */
static void check_record(const struct round *r, size_t run)
{
    const struct seen *seen = &r->runs[run];
    unsigned begins[MOST] = {0}, ends[MOST] = {0}, executed = 0;
    char *text = NULL;
    size_t room = 0;
    FILE *f = fopen(seen->log, "re");
    assert_non_null(f);
    while (getline(&text, &room, f) > 0) {
        cJSON *line = cJSON_Parse(text);
        RULE(r, line != NULL);
        int64_t index = json_get_int(line, "index", 0) - 1;
        RULE(r, index >= 0 && index < (int64_t)seen->plan->n);
        begins[index] += is(text_of(line, "type"), "command:start");
        ends[index] += is(text_of(line, "type"), "command:end");
        cJSON_Delete(line);
    }
    free(text);
    fclose(f);
    for (size_t i = 0; i < seen->plan->n; i++) {
        size_t at = place(r, seen->plan, i);
        bool ran =
            seen->plan->stages[i].behaviour != SUBPIPELINE && !is(state_of(r, run, i), "pending");
        executed += ran;
        RULE(r, begins[at] == ran && ends[at] == ran);
    }
    const cJSON *scheduler = cJSON_GetObjectItemCaseSensitive(seen->manifest, "scheduler");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(scheduler, "assignments"), *item;
    RULE(r, (unsigned)cJSON_GetArraySize(list) == executed);
    cJSON_ArrayForEach(item, list)
    {
        long worker = strtol(text_of(item, "instance_id") + strlen("worker-"), NULL, 10);
        RULE(r, worker >= 1 && worker <= json_get_int(scheduler, "max_instances", 0));
    }
}

static void check_run(const struct round *r, size_t run)
{
    const struct plan_pipeline *p = r->runs[run].plan;
    bool failed = false, all_done = true;
    for (size_t i = 0; i < p->n; i++) {
        failed |= is(state_of(r, run, i), "failed");
        all_done &= is_done(r, run, i);
    }
    for (size_t i = 0; i < p->n; i++) {
        if (p->stages[i].behaviour == SUBPIPELINE)
            check_subpipeline(r, run, i);
        else
            check_command(r, run, i);
        check_order(r, run, i, failed);
    }
    check_status(r, run, failed, all_done);
    check_record(r, run);
}

/* How many commands may run at once of a run and those below it, or 0: no limit of its own. */
static unsigned limit_of(const struct round *r, size_t run)
{
    return r->options.jobs > 0 ? r->options.jobs : r->runs[run].plan->jobs;
}

/* Who was ended from outside may have left no line: such a stage is not counted. */
static void check_limits(const struct round *r)
{
    unsigned own[RUNS] = {0}, below[RUNS] = {0}, pools[POOLS] = {0};
    for (size_t k = 0; k < r->n_lines; k++) {
        const struct line *l = &r->lines[k];
        const struct seen *s = &r->runs[l->run];
        int pool = s->plan->stages[l->stage].pool;
        unsigned by = l->start ? 1 : -1u;
        if (s->starts[l->stage] != s->ends[l->stage] ||
            s->plan->stages[l->stage].behaviour == TOO_SLOW)
            continue;
        own[l->run] += by;
        RULE(r, limit_of(r, l->run) > 0 || own[l->run] <= 1);
        for (size_t run = l->run; run != RUNS; run = r->runs[run].parent) {
            below[run] += by;
            RULE(r, limit_of(r, run) == 0 || below[run] <= limit_of(r, run));
        }
        if (pool >= 0) {
            pools[pool] += by;
            RULE(r, pools[pool] <= r->pools[pool]);
        }
    }
}

static void find_disturbance(struct round *r)
{
    r->disturbed = false;
    for (size_t run = 0; run < r->n_runs; run++) {
        for (size_t i = 0; i < r->runs[run].plan->n; i++)
            r->disturbed |=
                r->options.on_failure == CORCH_FAIL_FAST && is(state_of(r, run, i), "failed");
        const char *status = text_of(r->runs[run].manifest, "status");
        r->disturbed |= (r->options.timeout_ms > 0 || r->cancelled) && !is(status, "succeeded");
    }
}

static void forget_runs(struct round *r)
{
    for (size_t i = 0; i < r->n_runs; i++)
        cJSON_Delete(r->runs[i].manifest);
    r->n_runs = 0;
}

static void run_once(struct round *r, struct live *l)
{
    live_start(l, &r->options);
    if (r->cancelled) {
        usleep(r->cancel_us);
        corch_run_cancel(l->run, r->cancel_us % 4 == 0);
    }
    corch_run_wait(l->run);
    see_runs(r, l->run);
    see_lines(r, live_path(l, "trace"));
    corch_run_free(l->run);
    l->run = NULL;
}

/* Taken up again it runs what was not done, and nothing else. */
static void check_resume(struct round *r, struct live *l)
{
    bool done[MOST];
    unsigned starts[MOST];
    char id[64];
    snprintf(id, sizeof id, "%s", r->runs[0].id);
    for (size_t i = 0; i < r->plans[0].n; i++) {
        done[i] = is_done(r, 0, i);
        starts[i] = r->runs[0].starts[i];
    }
    forget_runs(r);
    r->options =
        (corch_options){.resume = id, .on_failure = CORCH_KEEP_GOING, .jobs = r->options.jobs};
    r->cancelled = r->disturbed = false;
    run_once(r, l);
    for (size_t i = 0; i < r->plans[0].n; i++) {
        RULE(r, !done[i] || (is_done(r, 0, i) && r->runs[0].starts[i] == starts[i]));
        check_order(r, 0, i, true);
    }
}

static void play(unsigned long seed)
{
    static struct round r;
    void *state;
    live_setup(&state);
    struct live *l = state;
    struct buf config = BUF_INIT;
    memset(&r, 0, sizeof r);
    r.seed = seed;
    r.random = seed;
    setenv("TRACE", live_path(l, "trace"), 1);
    fclose(fopen(live_path(l, "trace"), "we"));
    make_round(&r);
    write_config(&r, &config);
    live_config(l, config.data);
    jitter_begin(seed);
    run_once(&r, l);
    find_disturbance(&r);
    for (size_t run = 0; run < r.n_runs; run++)
        check_run(&r, run);
    check_limits(&r);
    if (!is(text_of(r.runs[0].manifest, "status"), "succeeded") && draw(&r, 2) == 0)
        check_resume(&r, l);
    jitter_end();
    forget_runs(&r);
    buf_release(&config);
    unsetenv("TRACE");
    live_teardown(&state);
}

static void test_engine_random__pipelines_keep_the_rules(void **state)
{
    (void)state;
    const char *given = getenv("ENGINE_SEED");
    unsigned long first = given ? strtoul(given, NULL, 10) : (unsigned long)time(NULL) * 100;
    unsigned long last = given ? first : first + ROUNDS - 1;
    print_message("seeds %lu to %lu; ENGINE_SEED=N repeats one\n", first, last);
    for (unsigned long seed = first; seed <= last; seed++)
        play(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_random__pipelines_keep_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
