/* What progress shows of runs whose frames are made up. */
#ifndef TESTS_SHOWN_H
#define TESTS_SHOWN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../src/output.c"
#include "../src/progress_runs.c"
#include "../src/progress_text.c"
#include "../src/progress_view.c"

#define NOON INT64_C(1800000000000)

/* The run "r" and its subpipelines, each with the stage of its parent that it is. */
static const corch_part parts[] = {{"r", "", NULL, 0, 0},
                                   {"child", "", "r", 1, 0},
                                   {"other", "", "r", 2, 0},
                                   {"grandchild", "", "other", 1, 0},
                                   {"again", "", "r", 1, 0}};

static inline int part_of(corch_run *run, size_t i, corch_part *part)
{
    (void)run;
    if (i >= sizeof parts / sizeof *parts)
        return 0;
    *part = parts[i];
    return 1;
}

struct shown {
    struct progress_view view;
    uint64_t stages;                             /* of the runs that states are made of */
    uint64_t done[sizeof parts / sizeof *parts]; /* by run */
    const char *running;                         /* what the next states list, as JSON */
    char text[2048];
};

static inline int shown_setup(void **state)
{
    struct shown *s = calloc(1, sizeof *s);
    assert_non_null(s);
    progress_view_init(&s->view, false);
    s->view.part = part_of;
    s->stages = 5;
    s->running = "null";
    *state = s;
    return 0;
}

static inline int shown_teardown(void **state)
{
    struct shown *s = *state;
    progress_view_release(&s->view);
    free(s);
    return 0;
}

static inline uint64_t *done_of(struct shown *s, const char *run)
{
    size_t i = 0;
    while (strcmp(parts[i].run_id, run) != 0)
        i++;
    return &s->done[i];
}

/* A state `ms` after noon; stage 0 is the run itself. */
static inline void state_of(struct shown *s, const char *run, size_t stage, const char *status,
                            const char *title, int64_t ms, uint64_t lost)
{
    struct buf json = BUF_INIT;
    cJSON *doc = json_new();
    if (stage > 0)
        json_str(doc, "title", title);
    json_int(doc, "stages", (int64_t)s->stages);
    json_int(doc, "done", (int64_t)*done_of(s, run));
    json_add(doc, "running", cJSON_Parse(s->running));
    json_time(doc, "timestamp", NOON + ms);
    assert_int_equal(json_print(doc, false, &json), 0);
    progress_view_take(&s->view, &(corch_frame){.kind = CORCH_FRAME_STATE,
                                                .run_id = run,
                                                .stage = stage,
                                                .status = status,
                                                .json = json.data,
                                                .lost = lost});
    cJSON_Delete(doc);
    buf_release(&json);
}

static inline void run_begins(struct shown *s, const char *run)
{
    state_of(s, run, 0, "in_progress", NULL, 0, 0);
}

static inline void run_ends(struct shown *s, const char *run)
{
    state_of(s, run, 0, "succeeded", NULL, 0, 0);
}

static inline void stage_begins(struct shown *s, const char *run, size_t stage, const char *title,
                                int64_t ms)
{
    state_of(s, run, stage, "running", title, ms, 0);
}

static inline void stage_ends(struct shown *s, const char *run, size_t stage, const char *status,
                              const char *title, int64_t ms)
{
    ++*done_of(s, run);
    state_of(s, run, stage, status, title, ms, 0);
}

static inline void prints_in(struct shown *s, const char *run, size_t stage, const char *bytes,
                             size_t n, uint64_t lost)
{
    progress_view_take(&s->view, &(corch_frame){.kind = CORCH_FRAME_CHUNK,
                                                .run_id = run,
                                                .stage = stage,
                                                .stream = 1,
                                                .data = bytes,
                                                .size = n,
                                                .lost = lost});
}

static inline void prints(struct shown *s, const char *run, size_t stage, const char *text)
{
    prints_in(s, run, stage, text, strlen(text), 0);
}

/* The line of what runs, `ms` after noon. */
static const char *area(struct shown *s, int64_t ms)
{
    struct buf out = BUF_INIT;
    progress_view_area(&s->view, NOON + ms, &out);
    assert_false(out.failed);
    assert_true(out.len < sizeof s->text);
    snprintf(s->text, sizeof s->text, "%s", out.data ? out.data : "");
    buf_release(&out);
    return s->text;
}

/* The lines of stages that ended since the last call. */
static const char *ended(struct shown *s)
{
    assert_true(s->view.ended.len < sizeof s->text);
    snprintf(s->text, sizeof s->text, "%s", s->view.ended.data ? s->view.ended.data : "");
    buf_clear(&s->view.ended);
    return s->text;
}

#define SHOWN_TEST(test) cmocka_unit_test_setup_teardown(test, shown_setup, shown_teardown)

#endif
