/* The rings between producers and the persister. A lost wake-up hangs: alarm() makes it fail. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "outbox.h"
#include "tsan.h"

#define GUARD_SECONDS 120u

/* More producers than cores: a producer is often preempted in the middle of a push. */
#define PRODUCERS 8

#ifdef CORCH_TSAN
#define RECORDS 5000u
#define ROUNDS 20000u
#else
#define RECORDS 100000u
#define ROUNDS 200000u
#endif
#define CHUNK_ROUNDS (RECORDS / 5)

static void pause_at_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    for (volatile unsigned spin = *seed >> 24; spin > 0;)
        spin = spin - 1;
}

/* Takes the next record, sleeping for ever until there is one. */
static void pop_wait(struct outbox *o, struct record *out)
{
    for (;;) {
        uint32_t seen = wake_snapshot(o->persister);
        if (outbox_pop(o, out))
            return;
        wake_wait(o->persister, seen, WAKE_FOREVER);
    }
}

static struct record lines_record(struct chunk *c, uint32_t index)
{
    return (struct record){.kind = RECORD_LINES, .index = index, .as.chunk = c};
}

static struct record mutation_record(uint32_t index)
{
    return (struct record){.kind = RECORD_MUTATION, .index = index};
}

static void test_outbox__records_come_out_as_they_went_in(void **state)
{
    (void)state;
    struct wake persister;
    struct outbox o;
    wake_init(&persister);
    assert_int_equal(outbox_init(&o, &persister, 1), 0);
    struct chunk *c = outbox_take(&o);
    struct journal *journal = (struct journal *)(void *)&o;
    struct mutation *mutation = (struct mutation *)(void *)&persister;
    struct record first = {journal, RECORD_LINES, 7, {.chunk = c}}, out;
    struct record second = {journal, RECORD_MUTATION, 8, {.mutation = mutation}};
    assert_false(outbox_pop(&o, &out));
    uint32_t seen = wake_snapshot(&persister);
    assert_true(outbox_push(&o, &first));
    assert_true(outbox_push(&o, &second));
    assert_int_not_equal(wake_snapshot(&persister), seen);
    assert_true(outbox_pop(&o, &out));
    assert_ptr_equal(out.journal, journal);
    assert_int_equal(out.kind, RECORD_LINES);
    assert_int_equal(out.index, 7);
    assert_ptr_equal(out.as.chunk, c);
    assert_true(outbox_pop(&o, &out));
    assert_int_equal(out.kind, RECORD_MUTATION);
    assert_int_equal(out.index, 8);
    assert_ptr_equal(out.as.mutation, mutation);
    assert_false(outbox_pop(&o, &out));
    outbox_release(&o);
}

static void test_outbox__a_full_ring_refuses_and_the_record_is_kept(void **state)
{
    (void)state;
    struct wake persister;
    struct outbox o;
    wake_init(&persister);
    assert_int_equal(outbox_init(&o, &persister, 0), 0);
    for (uint32_t i = 0; i < OUTBOX_SLOTS - 1; i++) {
        struct record r = mutation_record(i);
        assert_true(outbox_push(&o, &r));
    }
    struct record late = mutation_record(1000), same = late, out;
    uint32_t seen = wake_snapshot(&persister);
    assert_false(outbox_push(&o, &late));
    assert_int_equal(wake_snapshot(&persister), seen);
    assert_memory_equal(&late, &same, sizeof late);
    assert_true(outbox_pop(&o, &out));
    assert_int_equal(out.index, 0);
    assert_true(outbox_push(&o, &late));
    assert_false(outbox_push(&o, &late));
    for (uint32_t i = 1; i < OUTBOX_SLOTS - 1; i++) {
        assert_true(outbox_pop(&o, &out));
        assert_int_equal(out.index, i);
    }
    assert_true(outbox_pop(&o, &out));
    assert_int_equal(out.index, 1000);
    assert_false(outbox_pop(&o, &out));
    outbox_release(&o);
}

static void test_outbox__holds_the_whole_pool_and_its_mutations(void **state)
{
    (void)state;
    struct wake persister;
    struct outbox o;
    wake_init(&persister);
    assert_int_equal(outbox_init(&o, &persister, CHUNK_POOL), 0);
    for (uint32_t i = 0; i < CHUNK_POOL; i++) {
        struct record r = lines_record(outbox_take(&o), i);
        assert_non_null(r.as.chunk);
        assert_true(outbox_push(&o, &r));
    }
    for (uint32_t i = 0; i < OUTBOX_MUTATIONS; i++) {
        struct record r = mutation_record(i);
        assert_true(outbox_push(&o, &r));
    }
    outbox_release(&o);
}

static void test_outbox__the_pool_is_bounded_and_comes_back(void **state)
{
    (void)state;
    for (unsigned size = 0; size <= CHUNK_POOL; size++) {
        struct wake persister;
        struct outbox o;
        struct chunk *taken[CHUNK_POOL];
        wake_init(&persister);
        assert_int_equal(outbox_init(&o, &persister, size), 0);
        for (int round = 0; round < 5; round++) {
            for (unsigned i = 0; i < size; i++) {
                taken[i] = outbox_take(&o);
                assert_non_null(taken[i]);
                for (unsigned k = 0; k < i; k++)
                    assert_ptr_not_equal(taken[i], taken[k]);
            }
            assert_null(outbox_take(&o));
            uint32_t seen = wake_snapshot(&o.room);
            for (unsigned i = 0; i < size; i++)
                outbox_give(&o, taken[i]);
            assert_int_equal(wake_snapshot(&o.room) != seen, size > 0);
        }
        outbox_release(&o);
    }
}

static void test_outbox__a_buffer_not_needed_is_the_next_one_taken(void **state)
{
    (void)state;
    struct wake persister;
    struct outbox o;
    wake_init(&persister);
    assert_int_equal(outbox_init(&o, &persister, 2), 0);
    struct chunk *first = outbox_take(&o);
    outbox_untake(&o, first);
    assert_ptr_equal(outbox_take(&o), first);
    struct chunk *second = outbox_take(&o);
    assert_non_null(second);
    assert_ptr_not_equal(second, first);
    outbox_untake(&o, second);
    assert_ptr_equal(outbox_take(&o), second);
    assert_null(outbox_take(&o));
    outbox_release(&o);
}

struct producer {
    struct outbox outbox;
    uint32_t records;
    bool spin; /* pause for a random moment after each record */
    pthread_t thread;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    uint32_t seed = 1;
    for (uint32_t i = 0; i < p->records; i++) {
        struct record r = mutation_record(i);
        outbox_push_wait(&p->outbox, &r);
        if (p->spin)
            pause_at_random(&seed);
    }
    return NULL;
}

static void start(struct producer *p, struct wake *persister, void *(*run)(void *))
{
    unsigned pool = run == produce ? 0 : 2;
    assert_int_equal(outbox_init(&p->outbox, persister, pool), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, run, p), 0);
}

static void finish(struct producer *p)
{
    struct record r;
    pthread_join(p->thread, NULL);
    assert_false(outbox_pop(&p->outbox, &r));
    outbox_release(&p->outbox);
}

/* Drains the outboxes round-robin as the persister does, until all records have come. */
static void consume_all(struct producer *producers, struct wake *persister)
{
    uint32_t next[PRODUCERS] = {0};
    uint64_t left = 0;
    struct record r;
    for (int i = 0; i < PRODUCERS; i++)
        left += producers[i].records;
    while (left > 0) {
        uint32_t seen = wake_snapshot(persister);
        uint64_t before = left;
        for (int i = 0; i < PRODUCERS; i++) {
            while (outbox_pop(&producers[i].outbox, &r)) {
                assert_int_equal(r.index, next[i]);
                next[i]++;
                left--;
            }
        }
        if (left == before)
            wake_wait(persister, seen, WAKE_FOREVER);
    }
}

static void test_outbox__many_producers_lose_nothing_and_keep_their_order(void **state)
{
    (void)state;
    static struct producer producers[PRODUCERS];
    struct wake persister;
    wake_init(&persister);
    alarm(GUARD_SECONDS);
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i].records = RECORDS;
        start(&producers[i], &persister, produce);
    }
    consume_all(producers, &persister);
    for (int i = 0; i < PRODUCERS; i++)
        finish(&producers[i]);
    alarm(0);
}

static void test_outbox__a_consumer_that_sleeps_after_every_record_is_woken(void **state)
{
    (void)state;
    static struct producer p;
    struct wake persister;
    struct record r;
    wake_init(&persister);
    p.records = ROUNDS;
    p.spin = true;
    alarm(GUARD_SECONDS);
    start(&p, &persister, produce);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        pop_wait(&p.outbox, &r);
        assert_int_equal(r.index, i);
    }
    finish(&p);
    alarm(0);
}

static void test_outbox__a_producer_that_sleeps_on_a_full_ring_is_woken(void **state)
{
    (void)state;
    static struct producer p;
    struct wake persister;
    struct record r;
    uint32_t seed = 7;
    wake_init(&persister);
    p.records = ROUNDS;
    alarm(GUARD_SECONDS);
    start(&p, &persister, produce);
    for (uint32_t i = 0; i < ROUNDS; i++) { /* slower than the producer: the ring is full */
        pop_wait(&p.outbox, &r);
        assert_int_equal(r.index, i);
        pause_at_random(&seed);
    }
    finish(&p);
    alarm(0);
}

/* Fills buffers of a pool of two and waits while both are under way, as a worker does. */
static void *produce_chunks(void *arg)
{
    struct producer *p = arg;
    for (uint32_t i = 0; i < p->records; i++) {
        struct chunk *c;
        for (;;) {
            uint32_t seen = wake_snapshot(&p->outbox.room);
            c = outbox_take(&p->outbox);
            if (c)
                break;
            wake_wait(&p->outbox.room, seen, WAKE_FOREVER);
        }
        c->begin = i % 100;
        c->end = c->begin + 64;
        memset(c->bytes + c->begin, (int)(i % 251), 64);
        struct record r = lines_record(c, i);
        outbox_push_wait(&p->outbox, &r);
    }
    return NULL;
}

static void check_chunk(const struct record *r, uint32_t index)
{
    const struct chunk *c = r->as.chunk;
    assert_int_equal(r->index, index);
    assert_int_equal(c->begin, index % 100);
    assert_int_equal(c->end, index % 100 + 64);
    assert_int_equal((unsigned char)c->bytes[c->begin], index % 251);
    assert_int_equal((unsigned char)c->bytes[c->end - 1], index % 251);
}

static void test_outbox__buffers_go_round_whole_while_the_pool_runs_dry(void **state)
{
    (void)state;
    static struct producer p;
    struct wake persister;
    struct record r;
    wake_init(&persister);
    p.records = CHUNK_ROUNDS;
    alarm(GUARD_SECONDS);
    start(&p, &persister, produce_chunks);
    for (uint32_t i = 0; i < CHUNK_ROUNDS; i++) {
        pop_wait(&p.outbox, &r);
        check_chunk(&r, i);
        memset(r.as.chunk, 0xEE, 512); /* a buffer that came back may hold anything */
        outbox_give(&p.outbox, r.as.chunk);
    }
    pthread_join(p.thread, NULL);
    alarm(0);
    assert_non_null(outbox_take(&p.outbox));
    assert_non_null(outbox_take(&p.outbox));
    assert_null(outbox_take(&p.outbox));
    assert_false(outbox_pop(&p.outbox, &r));
    outbox_release(&p.outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outbox__records_come_out_as_they_went_in),
        cmocka_unit_test(test_outbox__a_full_ring_refuses_and_the_record_is_kept),
        cmocka_unit_test(test_outbox__holds_the_whole_pool_and_its_mutations),
        cmocka_unit_test(test_outbox__the_pool_is_bounded_and_comes_back),
        cmocka_unit_test(test_outbox__a_buffer_not_needed_is_the_next_one_taken),
        cmocka_unit_test(test_outbox__many_producers_lose_nothing_and_keep_their_order),
        cmocka_unit_test(test_outbox__a_consumer_that_sleeps_after_every_record_is_woken),
        cmocka_unit_test(test_outbox__a_producer_that_sleeps_on_a_full_ring_is_woken),
        cmocka_unit_test(test_outbox__buffers_go_round_whole_while_the_pool_runs_dry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
