/*
 * Records per second from 1 to 8 producers to one consumer: through outboxes, one ring each, and
 * through one queue under a mutex with two condition variables, of the same capacity in all, whose
 * consumer takes one record, or all there are, each time it has the lock.
 */
#include <pthread.h>
#include <sys/resource.h>

#include "bench.h"
#include "outbox.h"

enum { RECORDS = 1 << 17, ROUNDS = 31, FEWEST = 5, WARM_UP = 2, MOST = 8, NUMBER_SHIFT = 24 };
#define BUDGET (6 * BENCH_SECOND) /* for each number of producers */

enum way { OUTBOX, QUEUE_ONE, QUEUE_ALL, WAYS };
static const char *const way_names[WAYS] = {"outboxes", "queue, one a time", "queue, all a time"};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    struct record *slots, *taken;
    size_t capacity, first, n;
};

struct rig {
    unsigned producers;
    enum way way;
    pthread_barrier_t start;
    struct wake wake;
    struct outbox *outboxes;
    struct queue queue;
    uint32_t next[MOST]; /* the consumer's: what each producer's next record must be */
    size_t received;
};

struct producer {
    struct rig *rig;
    uint32_t number;
    pthread_t thread;
};

static void queue_init(struct queue *q, size_t capacity)
{
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->filled, NULL);
    pthread_cond_init(&q->emptied, NULL);
    q->slots = bench_alloc(capacity * sizeof *q->slots);
    q->taken = bench_alloc(capacity * sizeof *q->taken);
    q->capacity = capacity;
    q->first = q->n = 0;
}

static void queue_release(struct queue *q)
{
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->filled);
    pthread_cond_destroy(&q->emptied);
    free(q->slots);
    free(q->taken);
}

static void queue_push(struct queue *q, const struct record *r)
{
    pthread_mutex_lock(&q->lock);
    while (q->n == q->capacity)
        pthread_cond_wait(&q->emptied, &q->lock);
    size_t at = q->first + q->n++;
    q->slots[at < q->capacity ? at : at - q->capacity] = *r;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

/* Moves 1 to `most` records to `taken`; returns how many. */
static size_t queue_take(struct queue *q, size_t most)
{
    pthread_mutex_lock(&q->lock);
    while (q->n == 0)
        pthread_cond_wait(&q->filled, &q->lock);
    size_t n = q->n < most ? q->n : most;
    for (size_t i = 0; i < n; i++) {
        q->taken[i] = q->slots[q->first++];
        if (q->first == q->capacity)
            q->first = 0;
    }
    q->n -= n;
    if (n > 1)
        pthread_cond_broadcast(&q->emptied);
    else
        pthread_cond_signal(&q->emptied);
    pthread_mutex_unlock(&q->lock);
    return n;
}

static void *produce(void *arg)
{
    const struct producer *p = arg;
    struct rig *rig = p->rig;
    pthread_barrier_wait(&rig->start);
    for (uint32_t i = 0; i < RECORDS / rig->producers; i++) {
        struct record r = {.kind = RECORD_LINES, .index = p->number << NUMBER_SHIFT | i};
        if (rig->way == OUTBOX)
            outbox_push_wait(&rig->outboxes[p->number], &r);
        else
            queue_push(&rig->queue, &r);
    }
    return NULL;
}

static void receive(struct rig *rig, const struct record *r)
{
    uint32_t from = r->index >> NUMBER_SHIFT;
    bench_need(r->index == (from << NUMBER_SHIFT | rig->next[from]), "receive records in order");
    rig->next[from]++;
    rig->received++;
}

/* One record of each outbox, as the persister does it. */
static bool drain_round(struct rig *rig)
{
    bool any = false;
    struct record r;
    for (unsigned i = 0; i < rig->producers; i++) {
        if (outbox_pop(&rig->outboxes[i], &r)) {
            receive(rig, &r);
            any = true;
        }
    }
    return any;
}

static void consume_outboxes(struct rig *rig)
{
    for (;;) {
        uint32_t seen = wake_snapshot(&rig->wake);
        while (drain_round(rig))
            continue;
        if (rig->received == RECORDS)
            return;
        wake_wait(&rig->wake, seen, WAKE_FOREVER);
    }
}

static void consume_queue(struct rig *rig, size_t most)
{
    while (rig->received < RECORDS) {
        size_t n = queue_take(&rig->queue, most);
        for (size_t i = 0; i < n; i++)
            receive(rig, &rig->queue.taken[i]);
    }
}

static void consume(struct rig *rig)
{
    if (rig->way == OUTBOX)
        consume_outboxes(rig);
    else
        consume_queue(rig, rig->way == QUEUE_ONE ? 1 : rig->queue.capacity);
}

/* What one hand-over of all records cost. */
struct cost {
    int64_t ns, cpu_ns; /* wall time; processor time of all threads */
    long sleeps;        /* of all threads */
};

/* How often threads have gone to sleep so far. */
static long sleeps(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
}

/* Hands all records over once. */
static struct cost hand_over(struct rig *rig, enum way way)
{
    struct producer producers[MOST];
    rig->way = way;
    rig->received = 0;
    memset(rig->next, 0, sizeof rig->next);
    for (unsigned i = 0; i < rig->producers; i++) {
        producers[i] = (struct producer){.rig = rig, .number = i};
        errno = pthread_create(&producers[i].thread, NULL, produce, &producers[i]);
        bench_need(errno == 0, "start a thread");
    }
    pthread_barrier_wait(&rig->start);
    struct cost c = {.ns = -bench_now(), .cpu_ns = -bench_cpu(), .sleeps = -sleeps()};
    consume(rig);
    c.ns += bench_now();
    c.cpu_ns += bench_cpu();
    c.sleeps += sleeps();
    for (unsigned i = 0; i < rig->producers; i++)
        pthread_join(producers[i].thread, NULL);
    return c;
}

static void rig_init(struct rig *rig, unsigned producers)
{
    *rig = (struct rig){.producers = producers};
    pthread_barrier_init(&rig->start, NULL, producers + 1);
    wake_init(&rig->wake);
    rig->outboxes = aligned_alloc(64, producers * sizeof *rig->outboxes);
    bench_need(rig->outboxes != NULL, "get memory");
    memset(rig->outboxes, 0x5a, producers * sizeof *rig->outboxes);
    for (unsigned i = 0; i < producers; i++)
        bench_need(outbox_init(&rig->outboxes[i], &rig->wake, 0) == 0, "make an outbox");
    queue_init(&rig->queue, (size_t)producers * (OUTBOX_SLOTS - 1)); /* a ring keeps one free */
}

static void rig_release(struct rig *rig)
{
    for (unsigned i = 0; i < rig->producers; i++)
        outbox_release(&rig->outboxes[i]);
    free(rig->outboxes);
    queue_release(&rig->queue);
    pthread_barrier_destroy(&rig->start);
}

struct results {
    struct samples rate[WAYS], cpu[WAYS], sleeps[WAYS], ratio[WAYS];
};

/* All ways in turn, beginning with another one each time. */
static void measure_round(struct rig *rig, int round, struct results *to)
{
    struct cost costs[WAYS];
    for (int k = 0; k < WAYS; k++) {
        int way = (round + WARM_UP + k) % WAYS;
        costs[way] = hand_over(rig, (enum way)way);
    }
    for (int way = 0; way < WAYS && round >= 0; way++) {
        const struct cost *c = &costs[way];
        samples_add(&to->rate[way], RECORDS * 1e3 / (double)c->ns);
        samples_add(&to->cpu[way], (double)c->cpu_ns / RECORDS);
        samples_add(&to->sleeps[way], (double)c->sleeps * 1e3 / RECORDS);
        samples_add(&to->ratio[way], (double)c->ns / (double)costs[OUTBOX].ns);
    }
}

/* Prints a line and empties what it is made of. */
static void show(unsigned producers, struct results *r, enum way way)
{
    printf("%4u %-18s %4zu  %-20s %-20s %-18s %s\n", producers, way_names[way], r->rate[way].n,
           samples_spread(&r->rate[way], 2).text, samples_spread(&r->cpu[way], 0).text,
           samples_spread(&r->sleeps[way], 0).text,
           way == OUTBOX ? "1" : samples_spread(&r->ratio[way], 2).text);
    samples_release(&r->rate[way]);
    samples_release(&r->cpu[way]);
    samples_release(&r->sleeps[way]);
    samples_release(&r->ratio[way]);
}

static void measure(unsigned producers)
{
    struct rig rig;
    struct results results;
    rig_init(&rig, producers);
    for (int way = 0; way < WAYS; way++) {
        samples_init(&results.rate[way], ROUNDS);
        samples_init(&results.cpu[way], ROUNDS);
        samples_init(&results.sleeps[way], ROUNDS);
        samples_init(&results.ratio[way], ROUNDS);
    }
    int64_t end = bench_now() + BUDGET;
    for (int r = -WARM_UP; r < ROUNDS && (r < FEWEST || bench_now() < end); r++)
        measure_round(&rig, r, &results);
    for (int way = 0; way < WAYS; way++)
        show(producers, &results, (enum way)way);
    rig_release(&rig);
}

int main(void)
{
    bench_title("Hand-over of records from producers, as fast as they can, to one consumer");
    printf(
        "%d records a round, %u slots for each producer; median (lowest to highest).\n"
        "Time: of this way / of the outboxes in the same round; below 1, this way is faster.\n\n",
        RECORDS, OUTBOX_SLOTS - 1);
    printf("%4s %-18s %4s  %-20s %-20s %-18s %s\n", "from", "through", "runs", "million records/s",
           "CPU ns a record", "sleeps per 1,000", "time");
    for (unsigned producers = 1; producers <= MOST; producers *= 2)
        measure(producers);
    return 0;
}
