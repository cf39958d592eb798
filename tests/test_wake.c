/* The eventcount. A wake-up that is lost makes a test hang: alarm() turns that into a failure. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "clock.h"
#include "tsan.h"
#include "wake.h"

#define GUARD_SECONDS 120u

#ifdef CORCH_TSAN
#define ROUNDS 20000
#else
#define ROUNDS 200000
#endif
#define TURNS (ROUNDS / 10)
#define WAKINGS (ROUNDS / 100)
#define SLEEPERS 4

/* Waits until the deadline, however often it is woken for no reason. */
static void wait_out(struct wake *w, uint32_t seen, int64_t deadline_ns)
{
    while (wake_wait(w, seen, deadline_ns))
        assert_int_equal(wake_snapshot(w), seen);
}

static void test_wake__every_signal_changes_the_snapshot(void **state)
{
    (void)state;
    struct wake w;
    wake_init(&w);
    uint32_t seen = wake_snapshot(&w);
    assert_int_equal(wake_snapshot(&w), seen);
    for (int i = 0; i < 1000; i++) {
        uint32_t before = wake_snapshot(&w);
        wake_signal(&w);
        assert_int_not_equal(wake_snapshot(&w), before);
        assert_int_not_equal(wake_snapshot(&w), seen);
    }
}

static void test_wake__does_not_sleep_on_an_old_snapshot(void **state)
{
    (void)state;
    struct wake w;
    wake_init(&w);
    uint32_t seen = wake_snapshot(&w);
    wake_signal(&w);
    alarm(GUARD_SECONDS);
    assert_true(wake_wait(&w, seen, WAKE_FOREVER));
    assert_true(wake_wait(&w, seen, 0)); /* also when it is late already */
    alarm(0);
}

static void test_wake__gives_up_at_the_deadline_and_not_before(void **state)
{
    (void)state;
    struct wake w;
    wake_init(&w);
    uint32_t seen = wake_snapshot(&w);
    int64_t start = clock_mono_ns();
    alarm(GUARD_SECONDS);
    wait_out(&w, seen, start + 30000000);
    alarm(0);
    assert_true(clock_mono_ns() >= start + 30000000);
}

static void test_wake__a_deadline_in_the_past_does_not_sleep(void **state)
{
    (void)state;
    struct wake w;
    wake_init(&w);
    uint32_t seen = wake_snapshot(&w);
    alarm(GUARD_SECONDS);
    wait_out(&w, seen, clock_mono_ns() - 1);
    wait_out(&w, seen, 0);
    wait_out(&w, seen, -1);
    wait_out(&w, seen, INT64_MIN);
    alarm(0);
}

/* Sleepers who are woken by one signal a round. `data` is plain: whoever sees the signal has to see
 * what was written before it. */
struct crowd {
    struct wake wake;
    atomic_uint ready;
    unsigned data;
};

struct sleeper {
    struct crowd *crowd;
    pthread_t thread;
    unsigned right; /* rounds after which it saw the right data */
};

static void *sleep_every_round(void *arg)
{
    struct sleeper *s = arg;
    struct crowd *c = s->crowd;
    for (unsigned round = 1; round <= WAKINGS; round++) {
        uint32_t seen = wake_snapshot(&c->wake);
        atomic_fetch_add(&c->ready, 1);
        while (wake_snapshot(&c->wake) == seen)
            wake_wait(&c->wake, seen, WAKE_FOREVER);
        s->right += c->data == round;
    }
    return NULL;
}

static void test_wake__one_signal_wakes_all_who_sleep(void **state)
{
    (void)state;
    static struct crowd c;
    struct sleeper sleepers[SLEEPERS];
    wake_init(&c.wake);
    alarm(GUARD_SECONDS);
    for (int i = 0; i < SLEEPERS; i++) {
        sleepers[i] = (struct sleeper){.crowd = &c};
        assert_int_equal(pthread_create(&sleepers[i].thread, NULL, sleep_every_round, &sleepers[i]),
                         0);
    }
    for (unsigned round = 1; round <= WAKINGS; round++) {
        while (atomic_load(&c.ready) < round * SLEEPERS)
            sched_yield();
        c.data = round;
        wake_signal(&c.wake);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        pthread_join(sleepers[i].thread, NULL);
        assert_int_equal(sleepers[i].right, WAKINGS);
    }
    alarm(0);
}

/* A counter that one thread raises and another waits for. */
struct feed {
    struct wake wake;
    atomic_uint made;
};

static void *make_at_random(void *arg)
{
    struct feed *f = arg;
    uint32_t seed = 1;
    for (unsigned i = 1; i <= ROUNDS; i++) {
        atomic_store_explicit(&f->made, i, memory_order_relaxed);
        wake_signal(&f->wake);
        seed = seed * 1664525 + 1013904223;
        for (volatile unsigned spin = seed >> 24; spin > 0;)
            spin = spin - 1;
    }
    return NULL;
}

static void test_wake__loses_no_signal_between_look_and_sleep(void **state)
{
    (void)state;
    static struct feed f;
    pthread_t maker;
    wake_init(&f.wake);
    alarm(GUARD_SECONDS);
    assert_int_equal(pthread_create(&maker, NULL, make_at_random, &f), 0);
    unsigned last = 0;
    while (last < ROUNDS) {
        uint32_t seen = wake_snapshot(&f.wake);
        unsigned now = atomic_load_explicit(&f.made, memory_order_relaxed);
        assert_true(now >= last);
        if (now == last)
            wake_wait(&f.wake, seen, WAKE_FOREVER);
        last = now;
    }
    pthread_join(maker, NULL);
    alarm(0);
}

/* Two threads that take turns. */
struct game {
    struct wake wakes[2];
    unsigned turns;
    atomic_uint whose;
};

static void play(struct game *g, unsigned me)
{
    for (unsigned i = 0; i < TURNS; i++) {
        for (;;) {
            uint32_t seen = wake_snapshot(&g->wakes[me]);
            if (atomic_load(&g->whose) == me)
                break;
            wake_wait(&g->wakes[me], seen, WAKE_FOREVER);
        }
        g->turns++;
        atomic_store(&g->whose, 1 - me);
        wake_signal(&g->wakes[1 - me]);
    }
}

static void *play_second(void *arg)
{
    play(arg, 1);
    return NULL;
}

static void test_wake__two_threads_take_turns_for_ever(void **state)
{
    (void)state;
    static struct game g;
    pthread_t second;
    wake_init(&g.wakes[0]);
    wake_init(&g.wakes[1]);
    alarm(GUARD_SECONDS);
    assert_int_equal(pthread_create(&second, NULL, play_second, &g), 0);
    play(&g, 0);
    pthread_join(second, NULL);
    alarm(0);
    assert_int_equal(g.turns, 2 * TURNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wake__every_signal_changes_the_snapshot),
        cmocka_unit_test(test_wake__does_not_sleep_on_an_old_snapshot),
        cmocka_unit_test(test_wake__gives_up_at_the_deadline_and_not_before),
        cmocka_unit_test(test_wake__a_deadline_in_the_past_does_not_sleep),
        cmocka_unit_test(test_wake__one_signal_wakes_all_who_sleep),
        cmocka_unit_test(test_wake__loses_no_signal_between_look_and_sleep),
        cmocka_unit_test(test_wake__two_threads_take_turns_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
