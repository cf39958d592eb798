/* Owns the worker threads and their job queue. */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "fd.h"
#include "proc.h"

struct pool_thread {
    struct pool *pool;
    struct worker worker;
    pthread_t thread;
};

struct pool {
    pthread_mutex_t lock; /* of the queue and `stopping` */
    pthread_cond_t work;
    struct job **queue; /* a ring of `room` */
    unsigned room, head, queued;
    bool stopping;
    unsigned workers, started;
    struct pool_thread *threads;
};

static bool half_empty(const struct pool *p)
{
    return p->queued <= p->room / 2;
}

/* Who finds the queue half empty tells what has ended so far, so that it is filled again. */
static struct job *next_job(struct pool *p, struct worker *w)
{
    struct job *job = NULL;
    pthread_mutex_lock(&p->lock);
    if (half_empty(p))
        worker_tell(w);
    while (p->queued == 0 && !p->stopping)
        pthread_cond_wait(&p->work, &p->lock);
    if (p->queued > 0) {
        job = p->queue[p->head];
        p->head = (p->head + 1) % p->room;
        p->queued--;
    }
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void *worker_main(void *arg)
{
    struct pool_thread *t = arg;
    struct job *job;
    while ((job = next_job(t->pool, &t->worker)))
        worker_run(&t->worker, job);
    return NULL;
}

bool pool_try_add(struct pool *p, struct job *job)
{
    pthread_mutex_lock(&p->lock);
    bool room = p->queued < p->room;
    if (room) {
        p->queue[(p->head + p->queued) % p->room] = job;
        p->queued++;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return room;
}

bool pool_wants_more(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    bool more = half_empty(p);
    pthread_mutex_unlock(&p->lock);
    return more;
}

void pool_nudge(struct pool *p)
{
    for (unsigned i = 0; i < p->started; i++) {
        eventfd_write(p->threads[i].worker.nudge_fd, 1);
        wake_signal(&p->threads[i].worker.outbox->room);
    }
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->started; i++)
        pthread_join(p->threads[i].thread, NULL);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    for (unsigned i = 0; p->threads && i < p->workers; i++) {
        guard_free(p->threads[i].worker.guards[0]);
        guard_free(p->threads[i].worker.guards[1]);
        fd_close(&p->threads[i].worker.nudge_fd);
    }
    free(p->queue);
    free(p->threads);
    free(p);
}

static int make_guards(struct worker *w, bool enforce)
{
    for (int i = 0; i < 2; i++) {
        w->guards[i] = guard_new(enforce);
        if (!w->guards[i])
            return ENOMEM;
    }
    return 0;
}

static int start_worker(struct pool *p, unsigned i, const struct pool_limits *limits,
                        struct persister *persister, uint64_t signals)
{
    struct pool_thread *t = &p->threads[i];
    t->pool = p;
    t->worker.number = i + 1;
    t->worker.signals = signals;
    t->worker.outbox = persister_outbox(persister, i + 1);
    t->worker.cancel_grace_ms = limits->cancel_grace_ms;
    t->worker.drain_grace_ms = limits->drain_grace_ms;
    t->worker.nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = t->worker.nudge_fd < 0 ? errno : make_guards(&t->worker, limits->enforce_privacy);
    return error ? error : pthread_create(&t->thread, NULL, worker_main, t);
}

int pool_start(struct pool **out, const struct pool_limits *limits, struct persister *persister)
{
    struct pool *p = calloc(1, sizeof *p);
    if (!p)
        return -1;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    uint64_t signals = proc_signals();
    p->workers = limits->workers;
    p->room = p->workers * QUEUED_PER_WORKER;
    p->queue = calloc(p->room, sizeof(struct job *));
    p->threads = calloc(p->workers, sizeof *p->threads);
    int error = p->queue && p->threads ? 0 : ENOMEM;
    for (unsigned i = 0; p->threads && i < p->workers; i++)
        p->threads[i].worker.nudge_fd = -1;
    for (unsigned i = 0; error == 0 && i < p->workers; i++) {
        error = start_worker(p, i, limits, persister, signals);
        p->started += error == 0;
    }
    if (error != 0) {
        pool_stop(p);
        errno = error;
        return -1;
    }
    *out = p;
    return 0;
}
