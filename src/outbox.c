/* Owns the rings between a producer and the persister, and the producer's chunk buffers. */
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>

#include "journal.h"
#include "tsan.h"

CK_RING_PROTOTYPE(record, record)

int outbox_init(struct outbox *o, struct wake *persister, unsigned pool_size)
{
    ck_ring_init(&o->forward, OUTBOX_SLOTS);
    ck_ring_init(&o->backward, OUTBOX_SLOTS);
    wake_init(&o->room);
    o->persister = persister;
    o->spare = NULL;
    o->pool = pool_size ? malloc(pool_size * sizeof *o->pool) : NULL;
    if (pool_size && !o->pool) {
        errno = ENOMEM;
        return -1;
    }
    for (unsigned i = 0; i < pool_size; i++)
        ck_ring_enqueue_spsc(&o->backward, o->chunks, &o->pool[i]);
    return 0;
}

void outbox_release(struct outbox *o)
{
    free(o->pool);
    o->pool = NULL;
}

static bool enqueue(struct outbox *o, const struct record *r)
{
    struct record copy = *r;
    TSAN_UNSEEN_BEGIN();
    bool fits = ck_ring_enqueue_spsc_record(&o->forward, o->records, &copy);
    TSAN_UNSEEN_END();
    return fits;
}

bool outbox_push_quietly(struct outbox *o, const struct record *r)
{
    TSAN_RELEASE(&o->forward);
    return enqueue(o, r);
}

bool outbox_push(struct outbox *o, const struct record *r)
{
    if (!outbox_push_quietly(o, r))
        return false;
    wake_signal(o->persister);
    return true;
}

struct record outbox_mutation(struct mutation *m)
{
    return (struct record){.journal = m->journal,
                           .kind = RECORD_MUTATION,
                           .index = (uint32_t)m->index,
                           .as.mutation = m};
}

void outbox_push_wait(struct outbox *o, const struct record *r)
{
    for (;;) {
        uint32_t seen = wake_snapshot(&o->room);
        if (outbox_push(o, r))
            return;
        wake_signal(o->persister); /* it may sleep over what was pushed quietly */
        wake_wait(&o->room, seen, WAKE_FOREVER);
    }
}

static bool dequeue(struct outbox *o, struct record *out)
{
    TSAN_UNSEEN_BEGIN();
    bool found = ck_ring_dequeue_spsc_record(&o->forward, o->records, out);
    TSAN_UNSEEN_END();
    return found;
}

bool outbox_pop(struct outbox *o, struct record *out)
{
    if (!dequeue(o, out))
        return false;
    TSAN_ACQUIRE(&o->forward);
    /* Who sleeps on a full ring is woken when half of it is free, not for every slot. It can't be
     * missed: while its producer sleeps a ring only empties, and each of these pops signals. */
    if (ck_ring_size(&o->forward) <= OUTBOX_SLOTS / 2)
        wake_signal(&o->room);
    return true;
}

static struct chunk *dequeue_chunk(struct outbox *o)
{
    void *c = NULL;
    TSAN_UNSEEN_BEGIN();
    bool found = ck_ring_dequeue_spsc(&o->backward, o->chunks, &c);
    TSAN_UNSEEN_END();
    return found ? c : NULL;
}

struct chunk *outbox_take(struct outbox *o)
{
    struct chunk *c = o->spare;
    o->spare = NULL;
    if (!c)
        c = dequeue_chunk(o);
    TSAN_ACQUIRE(&o->backward);
    return c;
}

void outbox_untake(struct outbox *o, struct chunk *c)
{
    o->spare = c;
}

static void enqueue_chunk(struct outbox *o, struct chunk *c)
{
    TSAN_UNSEEN_BEGIN();
    ck_ring_enqueue_spsc(&o->backward, o->chunks, c);
    TSAN_UNSEEN_END();
}

void outbox_give(struct outbox *o, struct chunk *c)
{
    TSAN_RELEASE(&o->backward);
    enqueue_chunk(o, c);
    wake_signal(&o->room);
}
