/* Owns the persister thread, and the only place where manifest.json is replaced (I7). */
#include "persister.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "atomicfile.h"
#include "bounds.h"
#include "clock.h"
#include "logfile.h"

#define MS INT64_C(1000000)

struct persister {
    struct wake wake; /* signalled by every push */
    struct outbox *outboxes;
    unsigned n_outboxes;
    struct journal *open; /* list of the journals we own */
    atomic_bool stop;
    pthread_t thread;
};

static int replace_manifest(struct journal *j)
{
    bool overlapping = atomic_exchange(&j->writing, true);
    assert(!overlapping && "two writers of one manifest");
    (void)overlapping;
    j->manifest.updated_ms = clock_wall_ms();
    journal_flush(j);
    int rc = manifest_print(&j->manifest, &j->image);
    if (rc == 0)
        rc = atomicfile_replace(j->dir.fd, "manifest.json", j->image.data, j->image.len, 0600,
                                ATOMIC_DURABLE);
    int saved = errno;
    if (rc == 0)
        j->manifest_writes++;
    atomic_store(&j->writing, false);
    errno = saved;
    return rc;
}

int persister_write_closed(struct journal *j)
{
    assert(!j->open && "an open manifest is the persister's");
    return replace_manifest(j);
}

static void unlink_journal(struct persister *p, struct journal *j)
{
    struct journal **at = &p->open;
    while (*at && *at != j)
        at = &(*at)->next;
    if (*at)
        *at = j->next;
    j->open = false;
}

/* Gives the waiting mutations back. A close among them, always the last, hands the journal over. */
static void answer(struct persister *p, struct journal *j, int error)
{
    struct mutation *m = j->waiting, *in_order = NULL;
    j->waiting = NULL;
    j->urgent = false;
    while (m) { /* the list is newest first */
        struct mutation *next = m->next;
        m->next = in_order;
        in_order = m;
        m = next;
    }
    while (in_order) {
        m = in_order;
        in_order = m->next;
        if (m->kind == MUTATION_CLOSE)
            unlink_journal(p, j);
        m->applied(m, error);
    }
}

static void wait_for_write(struct journal *j, struct mutation *m)
{
    m->next = j->waiting;
    j->waiting = m;
    j->urgent = true;
}

static void mark_dirty(struct journal *j)
{
    if (!j->dirty)
        j->dirty_ns = clock_mono_ns();
    j->dirty = true;
}

static void apply(struct persister *p, struct mutation *m)
{
    struct journal *j = m->journal;
    int error = 0;
    switch (m->kind) {
    case MUTATION_OPEN:
        j->open = true;
        j->next = p->open;
        p->open = j;
        j->next_beat_ns = clock_mono_ns() + HEARTBEAT_SECONDS * 1000 * MS;
        journal_set_status(j, m);
        break;
    case MUTATION_STAGE_START:
        error = journal_stage_start(j, m);
        if (error != 0 && !m->awaited)
            journal_fail(j, error);
        break;
    case MUTATION_STAGE_LINES:
        journal_stage_lines(j, m);
        m->applied(m, atomic_load(&j->failed));
        return;
    case MUTATION_STAGE_END:
        error = journal_stage_end(j, m);
        break;
    case MUTATION_CLOSE:
        journal_set_status(j, m);
        break;
    }
    mark_dirty(j);
    bool waits = m->kind == MUTATION_CLOSE || (m->awaited && error == 0);
    if (waits)
        wait_for_write(j, m);
    else
        m->applied(m, error);
}

/* Chunks of one command, one behind the other. */
struct gathered {
    struct journal *journal;
    uint32_t index;
    unsigned n;
    struct chunk *chunks[GATHERED_CHUNKS];
};

/* Between the chunks of two commands there is always a mutation. */
static void gather(struct gathered *g, const struct record *r)
{
    assert(g->n == 0 || (g->journal == r->journal && g->index == r->index));
    g->journal = r->journal;
    g->index = r->index;
    g->chunks[g->n++] = r->as.chunk;
}

static void write_gathered(const struct gathered *g, struct outbox *from)
{
    struct iovec lines[GATHERED_CHUNKS];
    for (unsigned i = 0; i < g->n; i++) {
        struct chunk *c = g->chunks[i];
        lines[i] = (struct iovec){c->bytes + c->begin, c->end - c->begin};
    }
    journal_append(g->journal, g->index, lines, (int)g->n);
    for (unsigned i = 0; i < g->n; i++) {
        if (g->chunks[i]->frame)
            journal_frame(g->journal, g->index, g->chunks[i]->frame, g->chunks[i]->rule);
        outbox_give(from, g->chunks[i]);
    }
}

/* Some chunks of an outbox, or up to and with its next mutation; false: it is empty. */
static bool drain(struct persister *p, struct outbox *from)
{
    struct gathered g = {.n = 0};
    struct record r = {.kind = RECORD_LINES};
    bool any = false;
    while (r.kind == RECORD_LINES && g.n < GATHERED_CHUNKS && outbox_pop(from, &r)) {
        any = true;
        if (r.kind == RECORD_LINES)
            gather(&g, &r);
    }
    if (g.n > 0)
        write_gathered(&g, from);
    if (r.kind == RECORD_MUTATION)
        apply(p, r.as.mutation);
    return any;
}

/* A little of each outbox: nobody waits for a chatty neighbour. */
static bool drain_round(struct persister *p)
{
    bool any = false;
    for (unsigned i = 0; i < p->n_outboxes; i++)
        any |= drain(p, &p->outboxes[i]);
    return any;
}

/* When the journal's manifest is to be written: at once if somebody waits for it; otherwise a
 * moment after the change, so that the next one joins it, and seldom enough that writing takes
 * its bounded share of the time; later after a failure. */
static int64_t write_due(const struct journal *j)
{
    if (!j->dirty && !j->urgent)
        return WAKE_FOREVER;
    if (j->urgent && !j->failing_since_ns)
        return 0;
    int64_t stages = (int64_t)j->manifest.n_commands;
    int64_t soon = j->dirty_ns + (stages > COALESCE_MS ? stages : COALESCE_MS) * MS;
    return !j->failing_since_ns && soon > j->next_write_ns ? soon : j->next_write_ns;
}

/* A write that fails is tried again for WRITE_RETRY_MS; then the run can't go on. */
static void write_failed(struct persister *p, struct journal *j, int error, int64_t now)
{
    if (!j->failing_since_ns)
        j->failing_since_ns = now;
    j->next_write_ns = now + WRITE_RETRY_PAUSE_MS * MS;
    if (now - j->failing_since_ns < write_patience_ns(j->cancel))
        return;
    j->failing_since_ns = 0;
    j->dirty = false; /* not again before something changes */
    journal_fail(j, error);
    answer(p, j, error);
}

static void write_if_due(struct persister *p, struct journal *j)
{
    int64_t now = clock_mono_ns();
    if (now < write_due(j))
        return;
    if (replace_manifest(j) != 0) {
        write_failed(p, j, errno, now);
        return;
    }
    int64_t done = clock_mono_ns();
    j->dirty = false;
    j->failing_since_ns = 0;
    j->next_write_ns = done + COALESCE_FACTOR * (done - now);
    answer(p, j, 0);
}

static void tend(struct persister *p)
{
    struct journal *next;
    for (struct journal *j = p->open; j; j = next) {
        next = j->next; /* a close hands j to another thread */
        int64_t now = clock_mono_ns();
        if (now >= j->next_beat_ns) {
            journal_beat(j, clock_wall_ms());
            j->next_beat_ns = now + HEARTBEAT_SECONDS * 1000 * MS;
        }
        write_if_due(p, j);
    }
}

static int64_t next_deadline(const struct persister *p)
{
    int64_t deadline = WAKE_FOREVER;
    for (const struct journal *j = p->open; j; j = j->next) {
        int64_t due = write_due(j);
        due = due < j->next_beat_ns ? due : j->next_beat_ns;
        deadline = due < deadline ? due : deadline;
    }
    return deadline;
}

static void *persister_main(void *arg)
{
    struct persister *p = arg;
    for (;;) {
        uint32_t seen = wake_snapshot(&p->wake);
        bool stop = atomic_load(&p->stop); /* before the look: what was pushed before it is seen */
        while (drain_round(p))
            tend(p);
        tend(p);
        if (stop)
            return NULL;
        wake_wait(&p->wake, seen, next_deadline(p));
    }
}

static void release(struct persister *p)
{
    for (unsigned i = 0; i < p->n_outboxes; i++)
        outbox_release(&p->outboxes[i]);
    free(p->outboxes);
    free(p);
}

int persister_start(struct persister **out, unsigned outboxes, unsigned pool_size)
{
    struct persister *p = calloc(1, sizeof *p);
    if (!p)
        return -1;
    wake_init(&p->wake);
    atomic_init(&p->stop, false);
    p->outboxes = aligned_alloc(64, outboxes * sizeof *p->outboxes);
    int rc = p->outboxes ? 0 : -1;
    for (unsigned i = 0; rc == 0 && i < outboxes; i++) {
        rc = outbox_init(&p->outboxes[i], &p->wake, i == 0 ? 0 : pool_size);
        p->n_outboxes = i + 1;
    }
    if (rc == 0) {
        errno = pthread_create(&p->thread, NULL, persister_main, p);
        rc = errno ? -1 : 0;
    }
    if (rc != 0) {
        int saved = errno;
        release(p);
        errno = saved;
        return -1;
    }
    *out = p;
    return 0;
}

struct outbox *persister_outbox(struct persister *p, unsigned i)
{
    return &p->outboxes[i];
}

void persister_stop(struct persister *p)
{
    atomic_store(&p->stop, true);
    wake_signal(&p->wake);
    pthread_join(p->thread, NULL);
    assert(!p->open && "a journal was not closed");
    release(p);
}
