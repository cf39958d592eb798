/* Which stage may start next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "graph.h"

enum { MOST = 40, POOLS = 2 };

/* A pipeline of the test's own, and what is done with its graph. */
struct fixture {
    struct stage stages[MOST];
    size_t needs[MOST][MOST];
    struct pipeline pipeline;
    struct config_pool pools[POOLS];
    unsigned used[POOLS];
    struct graph graph;
    struct graph_room room;
};

static void make(struct fixture *f, size_t stages)
{
    *f = (struct fixture){.pools = {{NULL, 1}, {NULL, 2}}};
    f->pipeline = (struct pipeline){.stages = f->stages, .n_stages = stages};
    for (size_t i = 0; i < stages; i++)
        f->stages[i] = (struct stage){.need = f->needs[i], .pool_index = STAGE_NO_POOL};
    f->room = (struct graph_room){.command = true, .pools_used = f->used, .pools = f->pools};
}

static void need(struct fixture *f, size_t stage, size_t other)
{
    f->stages[stage].need[f->stages[stage].n_needs++] = other;
}

static void begin(struct fixture *f)
{
    assert_int_equal(graph_init(&f->graph, &f->pipeline, POOLS), 0);
}

static void begin_parallel(struct fixture *f)
{
    begin(f);
    f->graph.in_order = false;
    f->graph.subpipelines_max = 2;
}

static size_t next(struct fixture *f)
{
    return graph_next(&f->graph, &f->room);
}

static void start(struct fixture *f, size_t stage)
{
    assert_int_equal(next(f), stage);
    assert_int_equal(next(f), stage); /* asking starts nothing */
    graph_started(&f->graph, stage);
    if (f->stages[stage].pool_index != STAGE_NO_POOL)
        f->used[f->stages[stage].pool_index]++;
}

static void end(struct fixture *f, size_t stage, bool ok)
{
    graph_ended(&f->graph, stage, ok);
    if (f->stages[stage].pool_index != STAGE_NO_POOL)
        f->used[f->stages[stage].pool_index]--;
}

static void test_graph__stages_run_one_at_a_time_in_order(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 5);
    begin(&f);
    for (size_t i = 0; i < 5; i++) {
        assert_false(graph_over(&f.graph));
        assert_false(graph_exhausted(&f.graph));
        start(&f, i);
        assert_int_equal(next(&f), GRAPH_NONE);
        assert_false(graph_over(&f.graph));
        end(&f, i, true);
    }
    assert_int_equal(next(&f), GRAPH_NONE);
    assert_true(graph_over(&f.graph));
    assert_true(graph_exhausted(&f.graph));
    graph_release(&f.graph);
}

static void test_graph__in_order_what_is_needed_still_comes_first(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 4);
    need(&f, 0, 2);
    need(&f, 2, 3);
    begin(&f);
    static const size_t order[] = {1, 3, 2, 0};
    for (size_t i = 0; i < 4; i++) {
        start(&f, order[i]);
        end(&f, order[i], true);
    }
    assert_true(graph_exhausted(&f.graph));
    graph_release(&f.graph);
}

static void test_graph__nothing_starts_after_a_failure(void **state)
{
    (void)state;
    for (size_t failing = 0; failing < 5; failing++) {
        struct fixture f;
        make(&f, 5);
        begin(&f);
        for (size_t i = 0; i <= failing; i++) {
            start(&f, i);
            end(&f, i, i != failing);
        }
        assert_int_equal(next(&f), GRAPH_NONE);
        assert_true(graph_over(&f.graph));
        assert_int_equal(graph_exhausted(&f.graph), failing == 4);
        graph_release(&f.graph);
    }
}

static void test_graph__a_diamond_runs_its_sides_together(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 4);
    need(&f, 1, 0);
    need(&f, 2, 0);
    need(&f, 3, 1);
    need(&f, 3, 2);
    begin_parallel(&f);
    start(&f, 0);
    assert_int_equal(next(&f), GRAPH_NONE);
    end(&f, 0, true);
    start(&f, 1);
    start(&f, 2);
    assert_int_equal(next(&f), GRAPH_NONE);
    end(&f, 2, true);
    assert_int_equal(next(&f), GRAPH_NONE);
    end(&f, 1, true);
    start(&f, 3);
    end(&f, 3, true);
    assert_true(graph_over(&f.graph) && graph_exhausted(&f.graph));
    graph_release(&f.graph);
}

static void test_graph__keeps_going_beside_a_failure(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 4);
    need(&f, 1, 0);
    need(&f, 3, 2);
    begin_parallel(&f);
    f.graph.keep_going = true;
    start(&f, 0);
    start(&f, 2);
    end(&f, 0, false);
    assert_int_equal(next(&f), GRAPH_NONE);
    end(&f, 2, true);
    start(&f, 3);
    end(&f, 3, true);
    assert_true(graph_over(&f.graph));
    assert_false(graph_exhausted(&f.graph)); /* stage 1 never ran */
    graph_release(&f.graph);
}

static void test_graph__a_full_pool_does_not_hold_up_others(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 4);
    f.stages[0].pool_index = f.stages[1].pool_index = 0;
    f.stages[3].kind = STAGE_SUBPIPELINE;
    begin_parallel(&f);
    start(&f, 0);
    start(&f, 2); /* past stage 1 */
    f.room.command = false;
    start(&f, 3); /* takes no worker */
    f.room.command = true;
    assert_int_equal(next(&f), GRAPH_NONE);
    end(&f, 0, true);
    start(&f, 1);
    graph_release(&f.graph);
}

static void test_graph__a_pause_is_not_an_end(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 2);
    begin(&f);
    start(&f, 0);
    graph_paused(&f.graph);
    assert_int_equal(next(&f), GRAPH_NONE); /* in order: the next one waits */
    graph_stop(&f.graph);
    assert_false(graph_over(&f.graph));
    graph_resumed(&f.graph);
    end(&f, 0, true);
    assert_true(graph_over(&f.graph));
    graph_release(&f.graph);
}

static void test_graph__what_was_kept_does_not_run_and_is_done(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 5);
    need(&f, 3, 1);
    need(&f, 4, 0);
    begin(&f);
    graph_keep(&f.graph, 1);
    graph_keep(&f.graph, 4); /* although what it needs was not: it was done all the same */
    static const size_t order[] = {0, 2, 3};
    for (size_t i = 0; i < 3; i++) {
        start(&f, order[i]);
        end(&f, order[i], true);
    }
    assert_true(graph_over(&f.graph) && graph_exhausted(&f.graph));
    graph_release(&f.graph);
}

static void test_graph__without_stages_it_is_over(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 0);
    begin(&f);
    assert_int_equal(next(&f), GRAPH_NONE);
    assert_true(graph_over(&f.graph) && graph_exhausted(&f.graph));
    graph_release(&f.graph);
}

static void test_graph__levels_are_how_deep_a_stage_lies(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 5);
    need(&f, 0, 4);
    need(&f, 1, 0);
    need(&f, 1, 2);
    f.stages[2].pool_index = 1;
    size_t *level = graph_levels(&f.pipeline, f.pools, POOLS);
    static const size_t expected[] = {1, 2, 0, 0, 0};
    assert_memory_equal(level, expected, sizeof expected);
    free(level);
}

/* --- random programs against the rules, told in the simplest way --- */

enum fate { NOT_YET, UNDER_WAY, PAUSED, WELL, BADLY };

struct model {
    struct fixture f;
    enum fate fate[MOST];
    unsigned workers, busy; /* commands */
    bool failed;
    uint64_t random;
    unsigned long seed;
};

static unsigned draw(struct model *m, unsigned below)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(m->random >> 33) % below;
}

/* Numbers of stages are shuffled by `place`, so that needs point both ways. */
static void make_random(struct model *m)
{
    size_t n = draw(m, MOST) + 1, place[MOST];
    struct fixture *f = &m->f;
    make(f, n);
    for (size_t i = 0; i < n; i++)
        place[i] = i;
    for (size_t i = n; i > 1; i--) {
        size_t k = draw(m, (unsigned)i), swap = place[i - 1];
        place[i - 1] = place[k];
        place[k] = swap;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (draw(m, 6) == 0)
                need(f, place[i], place[k]);
        }
        struct stage *s = &f->stages[i];
        s->kind = draw(m, 5) == 0 ? STAGE_SUBPIPELINE : STAGE_COMMAND;
        if (s->kind == STAGE_COMMAND && draw(m, 3) == 0)
            s->pool_index = draw(m, POOLS);
    }
    m->workers = draw(m, 4) + 1;
    begin_parallel(f);
    f->graph.in_order = m->workers == 1;
    f->graph.keep_going = draw(m, 2) == 0;
}

#define RULE(m, holds)                                                                             \
    do {                                                                                           \
        if (!(holds))                                                                              \
            fail_msg("%s, seed %lu", #holds, (m)->seed);                                           \
    } while (0)

static bool all_well(const struct model *m, size_t stage)
{
    const struct stage *s = &m->f.stages[stage];
    for (size_t k = 0; k < s->n_needs; k++) {
        if (m->fate[s->need[k]] != WELL)
            return false;
    }
    return true;
}

static unsigned running(const struct model *m, enum stage_kind kind)
{
    unsigned count = 0;
    for (size_t i = 0; i < m->f.pipeline.n_stages; i++)
        count += m->fate[i] == UNDER_WAY && m->f.stages[i].kind == kind;
    return count;
}

static void check_rules(const struct model *m)
{
    RULE(m, running(m, STAGE_COMMAND) <= m->workers);
    RULE(m, running(m, STAGE_SUBPIPELINE) <= 2);
    for (size_t p = 0; p < POOLS; p++)
        RULE(m, m->f.used[p] <= m->f.pools[p].limit);
    if (m->f.graph.in_order)
        RULE(m, running(m, STAGE_COMMAND) + running(m, STAGE_SUBPIPELINE) <= 1);
}

static void start_one(struct model *m, size_t i)
{
    struct fixture *f = &m->f;
    RULE(m, m->fate[i] == NOT_YET);
    RULE(m, all_well(m, i));
    RULE(m, !m->failed || f->graph.keep_going);
    graph_started(&f->graph, i);
    m->fate[i] = UNDER_WAY;
    m->busy += f->stages[i].kind == STAGE_COMMAND;
    if (f->stages[i].pool_index != STAGE_NO_POOL)
        f->used[f->stages[i].pool_index]++;
    check_rules(m);
}

static void free_places(struct model *m, size_t i)
{
    m->busy -= m->f.stages[i].kind == STAGE_COMMAND;
    if (m->f.stages[i].pool_index != STAGE_NO_POOL)
        m->f.used[m->f.stages[i].pool_index]--;
}

/* One of those that run ends, well or badly, or pauses; or one that paused goes on. */
static void move_on(struct model *m, size_t i)
{
    struct fixture *f = &m->f;
    unsigned chance = draw(m, 10);
    if (m->fate[i] == PAUSED) {
        size_t pool = f->stages[i].pool_index;
        if (m->busy == m->workers || (pool != STAGE_NO_POOL && f->used[pool] == f->pools[pool].limit))
            return;
        graph_resumed(&f->graph);
        m->fate[i] = UNDER_WAY;
        m->busy++;
        if (pool != STAGE_NO_POOL)
            f->used[pool]++;
    } else if (chance == 0 && f->stages[i].kind == STAGE_COMMAND) {
        graph_paused(&f->graph);
        m->fate[i] = PAUSED;
        free_places(m, i);
    } else {
        graph_ended(&f->graph, i, chance > 1);
        m->fate[i] = chance > 1 ? WELL : BADLY;
        m->failed |= chance <= 1;
        free_places(m, i);
    }
    check_rules(m);
}

/* Nothing that might run was left out, and what ended did so once. */
static void check_end(const struct model *m)
{
    size_t ended = 0;
    for (size_t i = 0; i < m->f.pipeline.n_stages; i++) {
        RULE(m, m->fate[i] != UNDER_WAY && m->fate[i] != PAUSED);
        ended += m->fate[i] != NOT_YET;
        if (!m->failed || m->f.graph.keep_going)
            RULE(m, m->fate[i] != NOT_YET || !all_well(m, i));
    }
    RULE(m, graph_exhausted(&m->f.graph) == (ended == m->f.pipeline.n_stages));
}

static void run_random(unsigned long seed)
{
    static struct model m;
    memset(&m, 0, sizeof m);
    m.seed = seed;
    m.random = seed * 2654435761u + 1;
    make_random(&m);
    while (!graph_over(&m.f.graph)) {
        m.f.room.command = m.busy < m.workers;
        size_t i = next(&m.f), n = m.f.pipeline.n_stages;
        if (i != GRAPH_NONE && draw(&m, 4) > 0) {
            start_one(&m, i);
            continue;
        }
        i = draw(&m, (unsigned)n);
        for (size_t k = 0; k < n && m.fate[i] != UNDER_WAY && m.fate[i] != PAUSED; k++)
            i = (i + 1) % n;
        if (m.fate[i] == UNDER_WAY || m.fate[i] == PAUSED)
            move_on(&m, i);
        else
            RULE(&m, next(&m.f) != GRAPH_NONE); /* nothing runs, so something can start */
    }
    check_end(&m);
    graph_release(&m.f.graph);
}

static void test_graph__random_programs_keep_the_rules(void **state)
{
    (void)state;
    const char *given = getenv("GRAPH_SEED");
    unsigned long first = given ? strtoul(given, NULL, 10) : (unsigned long)time(NULL) * 1000;
    unsigned long last = given ? first : first + 3000;
    print_message("seeds %lu to %lu; GRAPH_SEED=N repeats one\n", first, last);
    for (unsigned long seed = first; seed <= last; seed++)
        run_random(seed);
}

static void test_graph__subpipelines_wait_while_there_are_too_many(void **state)
{
    (void)state;
    struct fixture f;
    make(&f, 3);
    f.stages[0].kind = f.stages[1].kind = STAGE_SUBPIPELINE;
    begin_parallel(&f);
    f.room.crowded = true;
    start(&f, 2);
    assert_int_equal(next(&f), GRAPH_NONE);
    assert_false(graph_over(&f.graph));
    f.room.crowded = false;
    start(&f, 0);
    start(&f, 1);
    graph_release(&f.graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_graph__stages_run_one_at_a_time_in_order),
        cmocka_unit_test(test_graph__in_order_what_is_needed_still_comes_first),
        cmocka_unit_test(test_graph__nothing_starts_after_a_failure),
        cmocka_unit_test(test_graph__a_diamond_runs_its_sides_together),
        cmocka_unit_test(test_graph__keeps_going_beside_a_failure),
        cmocka_unit_test(test_graph__a_full_pool_does_not_hold_up_others),
        cmocka_unit_test(test_graph__a_pause_is_not_an_end),
        cmocka_unit_test(test_graph__what_was_kept_does_not_run_and_is_done),
        cmocka_unit_test(test_graph__without_stages_it_is_over),
        cmocka_unit_test(test_graph__levels_are_how_deep_a_stage_lies),
        cmocka_unit_test(test_graph__subpipelines_wait_while_there_are_too_many),
        cmocka_unit_test(test_graph__random_programs_keep_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
