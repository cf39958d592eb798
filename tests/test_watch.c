/* A bounded look at a run: in order, numbered, and what is lost is counted. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "clock.h"
#include "tsan.h"
#include "watch.h"

#define GUARD_SECONDS 120u

#ifdef CORCH_TSAN
#define LINES 5000u
#else
#define LINES 100000u
#endif

static void offer(struct watch *w, const char *lines)
{
    watch_offer(w, "run", lines, strlen(lines));
}

/* Takes the next line, which must be there, and checks all that is said about it. */
static void expect(struct watch *w, const char *line, uint64_t sequence, uint64_t lost)
{
    bool ended;
    struct watch_slot *slot = watch_next(w, 0, &ended);
    assert_non_null(slot);
    assert_string_equal(slot->line, line);
    assert_int_equal(slot->len, strlen(line));
    assert_int_equal(slot->sequence, sequence);
    assert_int_equal(slot->lost, lost);
    watch_done(w, slot);
}

static void expect_nothing(struct watch *w, bool want_ended)
{
    bool ended = !want_ended;
    assert_null(watch_next(w, 0, &ended));
    assert_int_equal(ended, want_ended);
}

static void test_watch__lines_come_in_order_and_numbered(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    assert_non_null(w);
    offer(w, "{\"a\":1}\n{\"b\":2}\n");
    offer(w, "{\"c\":3}\n");
    expect(w, "{\"a\":1}", 1, 0);
    expect(w, "{\"b\":2}", 2, 0);
    expect(w, "{\"c\":3}", 3, 0);
    expect_nothing(w, false);
    offer(w, "later\n");
    expect(w, "later", 4, 0);
    assert_int_equal(watch_lost(w), 0);
    watch_free(w);
}

static void test_watch__says_whose_line_it_is(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    bool ended;
    watch_offer(w, "2026-11-22T17-08-00-123Z-0a1b2c3d", "x\n", 2);
    watch_offer(w, "child", "y\n", 2);
    struct watch_slot *slot = watch_next(w, 0, &ended);
    assert_string_equal(slot->run_id, "2026-11-22T17-08-00-123Z-0a1b2c3d");
    watch_done(w, slot);
    slot = watch_next(w, 0, &ended);
    assert_string_equal(slot->run_id, "child");
    watch_done(w, slot);
    watch_free(w);
}

static void test_watch__nothing_offered_is_no_line(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    watch_offer(w, "run", "", 0);
    expect_nothing(w, false);
    watch_free(w);
}

static void test_watch__loss_is_counted_and_shown_at_the_next_line(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    char line[32];
    for (unsigned i = 1; i <= WATCH_FRAMES + 10; i++) {
        snprintf(line, sizeof line, "line %u\n", i);
        offer(w, line);
    }
    assert_int_equal(watch_lost(w), 10);
    expect(w, "line 1", 1, 0);
    offer(w, "first that fits again\n");
    offer(w, "lost as well\n");
    assert_int_equal(watch_lost(w), 11);
    for (unsigned i = 2; i <= WATCH_FRAMES; i++) {
        snprintf(line, sizeof line, "line %u", i);
        expect(w, line, i, 0);
    }
    expect(w, "first that fits again", WATCH_FRAMES + 11, 10);
    offer(w, "after\n");
    expect(w, "after", WATCH_FRAMES + 13, 1);
    offer(w, "whole again\n");
    expect(w, "whole again", WATCH_FRAMES + 14, 0);
    assert_int_equal(watch_lost(w), 11);
    watch_free(w);
}

static void offer_state(struct watch *w, const char *line)
{
    watch_offer_state(w, "run", line, strlen(line));
}

static void test_watch__output_does_not_crowd_out_states(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    for (unsigned round = 0; round < 3; round++) { /* slots come back to where they belong */
        uint64_t first = (uint64_t)round * (2 * WATCH_FRAMES + 2), before = watch_lost(w);
        for (unsigned i = 0; i < WATCH_FRAMES + 1; i++)
            offer(w, "output\n");
        for (unsigned i = 0; i < WATCH_FRAMES + 1; i++)
            offer_state(w, "state");
        assert_int_equal(watch_lost(w), before + 2);
        for (unsigned i = 1; i <= WATCH_FRAMES; i++)
            expect(w, "output", first + i, round && i == 1);
        for (unsigned i = 2; i <= WATCH_FRAMES + 1; i++)
            expect(w, "state", first + WATCH_FRAMES + i, i == 2);
        expect_nothing(w, false);
    }
    watch_free(w);
}

static void test_watch__states_take_the_slots_of_output_when_theirs_are_used_up(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    for (unsigned i = 0; i < 2 * WATCH_FRAMES; i++)
        offer_state(w, "state");
    assert_int_equal(watch_lost(w), 0);
    offer_state(w, "one too many");
    offer(w, "this as well\n");
    assert_int_equal(watch_lost(w), 2);
    for (unsigned i = 1; i <= 2 * WATCH_FRAMES; i++)
        expect(w, "state", i, 0);
    expect_nothing(w, false);
    watch_free(w);
}

static void test_watch__a_slot_in_use_is_not_overwritten(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    bool ended;
    offer(w, "kept\n");
    struct watch_slot *slot = watch_next(w, 0, &ended);
    for (unsigned i = 0; i < WATCH_FRAMES - 1; i++)
        offer(w, "next\n");
    assert_int_equal(watch_lost(w), 0);
    offer(w, "one too many\n");
    assert_int_equal(watch_lost(w), 1);
    assert_string_equal(slot->line, "kept");
    assert_int_equal(slot->sequence, 1);
    watch_done(w, slot);
    offer(w, "fits\n");
    assert_int_equal(watch_lost(w), 1);
    watch_free(w);
}

static void test_watch__the_longest_line_fits_and_a_longer_one_is_lost(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    static char line[CHUNK_BYTES + 1];
    bool ended;
    memset(line, 'x', sizeof line);
    line[CHUNK_BYTES - 1] = '\n';
    watch_offer(w, "run", line, CHUNK_BYTES);
    line[CHUNK_BYTES - 1] = 'x';
    line[CHUNK_BYTES] = '\n';
    watch_offer(w, "run", line, CHUNK_BYTES + 1);
    offer(w, "next\n");
    struct watch_slot *slot = watch_next(w, 0, &ended);
    assert_int_equal(slot->len, CHUNK_BYTES - 1);
    assert_int_equal(strlen(slot->line), CHUNK_BYTES - 1);
    watch_done(w, slot);
    expect(w, "next", 3, 1);
    watch_free(w);
}

static void test_watch__the_end_is_seen_after_the_last_line(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    offer(w, "one\ntwo\n");
    watch_end(w);
    expect(w, "one", 1, 0);
    expect(w, "two", 2, 0);
    expect_nothing(w, true);
    expect_nothing(w, true);
    watch_free(w);
}

static void test_watch__waits_until_the_deadline_and_not_longer(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    bool ended = true;
    int64_t deadline = clock_mono_ns() + 20000000;
    alarm(GUARD_SECONDS);
    assert_null(watch_next(w, deadline, &ended));
    alarm(0);
    assert_false(ended);
    assert_true(clock_mono_ns() >= deadline);
    watch_free(w);
}

static void *end_watch(void *arg)
{
    watch_end(arg);
    return NULL;
}

static void test_watch__the_end_wakes_who_waits_for_ever(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    pthread_t thread;
    bool ended = false;
    alarm(GUARD_SECONDS);
    assert_int_equal(pthread_create(&thread, NULL, end_watch, w), 0);
    assert_null(watch_next(w, WAKE_FOREVER, &ended));
    assert_true(ended);
    pthread_join(thread, NULL);
    alarm(0);
    watch_free(w);
}

/* Line i is "i" and as many letters as its last digits say, so that slots get various lengths. */
static size_t make_line(char *out, unsigned i)
{
    size_t n = (size_t)snprintf(out, 300, "%u:", i);
    memset(out + n, 'a' + (int)(i % 26), i % 200);
    n += i % 200;
    out[n++] = '\n';
    return n;
}

static void *offer_many(void *arg)
{
    struct watch *w = arg;
    char lines[3 * 300];
    for (unsigned i = 1; i <= LINES;) {
        size_t n = 0;
        for (unsigned k = 0; k < 3 && i <= LINES; k++)
            n += make_line(lines + n, i++);
        watch_offer(w, "run", lines, n);
    }
    watch_end(w);
    return NULL;
}

static void check_slot(const struct watch_slot *slot, uint64_t *last)
{
    char want[300];
    assert_int_equal(slot->sequence, *last + slot->lost + 1);
    size_t n = make_line(want, (unsigned)slot->sequence) - 1;
    assert_int_equal(slot->len, n);
    assert_memory_equal(slot->line, want, n);
    assert_int_equal(slot->line[n], '\0');
    assert_string_equal(slot->run_id, "run");
    *last = slot->sequence;
}

static void test_watch__received_and_lost_are_all_that_was_offered(void **state)
{
    (void)state;
    struct watch *w = watch_new();
    pthread_t thread;
    uint64_t received = 0, lost = 0, last = 0;
    bool ended;
    struct watch_slot *slot;
    alarm(GUARD_SECONDS);
    assert_int_equal(pthread_create(&thread, NULL, offer_many, w), 0);
    while ((slot = watch_next(w, WAKE_FOREVER, &ended))) {
        check_slot(slot, &last);
        lost += slot->lost;
        received++;
        watch_done(w, slot);
    }
    assert_true(ended);
    pthread_join(thread, NULL);
    alarm(0);
    assert_true(received > 0);
    assert_int_equal(received + watch_lost(w), LINES);
    assert_int_equal(watch_lost(w),
                     lost + (LINES - last)); /* none shows what was lost at the end */
    watch_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch__lines_come_in_order_and_numbered),
        cmocka_unit_test(test_watch__says_whose_line_it_is),
        cmocka_unit_test(test_watch__nothing_offered_is_no_line),
        cmocka_unit_test(test_watch__loss_is_counted_and_shown_at_the_next_line),
        cmocka_unit_test(test_watch__output_does_not_crowd_out_states),
        cmocka_unit_test(test_watch__states_take_the_slots_of_output_when_theirs_are_used_up),
        cmocka_unit_test(test_watch__a_slot_in_use_is_not_overwritten),
        cmocka_unit_test(test_watch__the_longest_line_fits_and_a_longer_one_is_lost),
        cmocka_unit_test(test_watch__the_end_is_seen_after_the_last_line),
        cmocka_unit_test(test_watch__waits_until_the_deadline_and_not_longer),
        cmocka_unit_test(test_watch__the_end_wakes_who_waits_for_ever),
        cmocka_unit_test(test_watch__received_and_lost_are_all_that_was_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
