/* Owns the slots between the persister and one watcher. */
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsan.h"

struct watch {
    ck_ring_t filled, empty, spare; /* spare: empty, and for states only */
    ck_ring_buffer_t filled_slots[WATCH_FRAMES * 4], empty_slots[WATCH_FRAMES * 2];
    ck_ring_buffer_t spare_slots[WATCH_FRAMES * 2];
    struct wake arrived;
    atomic_bool ended;
    uint64_t sequence, lost; /* the producer's */
    atomic_ullong lost_ever;
    struct watch_slot slots[WATCH_FRAMES * 2]; /* the second half are the spare ones */
};

static void put(ck_ring_t *ring, ck_ring_buffer_t *buffer, struct watch_slot *slot)
{
    TSAN_UNSEEN_BEGIN();
    ck_ring_enqueue_spsc(ring, buffer, slot);
    TSAN_UNSEEN_END();
}

static struct watch_slot *take(ck_ring_t *ring, ck_ring_buffer_t *buffer)
{
    void *slot = NULL;
    TSAN_UNSEEN_BEGIN();
    bool found = ck_ring_dequeue_spsc(ring, buffer, &slot);
    TSAN_UNSEEN_END();
    return found ? slot : NULL;
}

struct watch *watch_new(void)
{
    struct watch *w = malloc(sizeof *w);
    if (!w)
        return NULL;
    ck_ring_init(&w->filled, WATCH_FRAMES * 4);
    ck_ring_init(&w->empty, WATCH_FRAMES * 2);
    ck_ring_init(&w->spare, WATCH_FRAMES * 2);
    wake_init(&w->arrived);
    atomic_init(&w->ended, false);
    w->sequence = w->lost = 0;
    atomic_init(&w->lost_ever, 0);
    for (unsigned i = 0; i < WATCH_FRAMES; i++) {
        put(&w->empty, w->empty_slots, &w->slots[i]);
        put(&w->spare, w->spare_slots, &w->slots[WATCH_FRAMES + i]);
    }
    return w;
}

void watch_free(struct watch *w)
{
    free(w);
}

/* An empty slot, or NULL. Those for states are taken first by them, so that output can't crowd out
 * the news that a stage has ended. */
static struct watch_slot *take_empty(struct watch *w, bool state)
{
    struct watch_slot *slot = state ? take(&w->spare, w->spare_slots) : NULL;
    if (!slot)
        slot = take(&w->empty, w->empty_slots);
    TSAN_ACQUIRE(&w->empty);
    return slot;
}

static void offer_line(struct watch *w, const char *run_id, const char *line, size_t n, bool state)
{
    w->sequence++;
    struct watch_slot *slot = n < CHUNK_BYTES ? take_empty(w, state) : NULL;
    if (!slot) {
        w->lost++;
        atomic_fetch_add(&w->lost_ever, 1);
        return;
    }
    slot->sequence = w->sequence;
    slot->lost = w->lost;
    snprintf(slot->run_id, sizeof slot->run_id, "%s", run_id);
    slot->len = n;
    memcpy(slot->line, line, n);
    slot->line[n] = '\0';
    w->lost = 0;
    TSAN_RELEASE(&w->filled);
    put(&w->filled, w->filled_slots, slot);
}

void watch_offer(struct watch *w, const char *run_id, const char *bytes, size_t n)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t line = end ? (size_t)(end - bytes) : n;
        offer_line(w, run_id, bytes, line, false);
        size_t step = end ? line + 1 : line;
        bytes += step;
        n -= step;
    }
    wake_signal(&w->arrived);
}

void watch_offer_state(struct watch *w, const char *run_id, const char *line, size_t n)
{
    offer_line(w, run_id, line, n, true);
    wake_signal(&w->arrived);
}

void watch_end(struct watch *w)
{
    atomic_store(&w->ended, true);
    wake_signal(&w->arrived);
}

struct watch_slot *watch_next(struct watch *w, int64_t deadline_ns, bool *ended)
{
    for (;;) {
        uint32_t seen = wake_snapshot(&w->arrived);
        *ended = atomic_load(&w->ended); /* before the look: what came before the end is seen */
        struct watch_slot *slot = take(&w->filled, w->filled_slots);
        TSAN_ACQUIRE(&w->filled);
        if (slot || *ended)
            return slot;
        if (!wake_wait(&w->arrived, seen, deadline_ns))
            return NULL;
    }
}

void watch_done(struct watch *w, struct watch_slot *slot)
{
    TSAN_RELEASE(&w->empty);
    if (slot < w->slots + WATCH_FRAMES)
        put(&w->empty, w->empty_slots, slot);
    else
        put(&w->spare, w->spare_slots, slot);
}

uint64_t watch_lost(struct watch *w)
{
    return atomic_load(&w->lost_ever);
}
