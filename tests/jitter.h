/*
 * Random delays where threads hand something over, so that the order of things varies more than it
 * does by itself. The linker puts these in the place of the library's functions (--wrap, see
 * CMakeLists.txt), in the test program only. Off until jitter_begin.
 */
#ifndef TESTS_JITTER_H
#define TESTS_JITTER_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "engine_state.h"
#include "outbox.h"
#include "pool.h"
#include "wake.h"
#include "worker.h"

static atomic_bool jitter_on;
static _Atomic uint64_t jitter_state;

static inline uint64_t jitter_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static inline void jitter_begin(uint64_t seed)
{
    atomic_store(&jitter_state, seed);
    atomic_store(&jitter_on, true);
}

static inline void jitter_end(void)
{
    atomic_store(&jitter_on, false);
}

/* Mostly nothing, sometimes another thread's turn, seldom up to a millisecond. Relaxed: it must not
 * order anything itself. */
static inline void jitter(void)
{
    if (!atomic_load_explicit(&jitter_on, memory_order_relaxed))
        return;
    uint64_t step = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t r = jitter_mix(atomic_fetch_add_explicit(&jitter_state, step, memory_order_relaxed));
    struct timespec pause = {.tv_nsec = (long)(r >> 8) % 1000000};
    if (r % 16 == 0)
        nanosleep(&pause, NULL);
    else if (r % 4 == 0)
        sched_yield();
}

/* The wrapper of a function, with a delay before and behind it. */
#define JITTER_VOID(name, parameters, arguments) \
    void __real_##name parameters;               \
    void __wrap_##name parameters;               \
    void __wrap_##name parameters                \
    {                                            \
        jitter();                                \
        __real_##name arguments;                 \
        jitter();                                \
    }
#define JITTER(type, name, parameters, arguments) \
    type __real_##name parameters;                \
    type __wrap_##name parameters;                \
    type __wrap_##name parameters                 \
    {                                             \
        jitter();                                 \
        type result = __real_##name arguments;    \
        jitter();                                 \
        return result;                            \
    }

JITTER_VOID(outbox_push_wait, (struct outbox * o, const struct record *r), (o, r))
JITTER(bool, outbox_push_quietly, (struct outbox * o, const struct record *r), (o, r))
JITTER(bool, outbox_pop, (struct outbox * o, struct record *out), (o, out))
JITTER(bool, wake_wait, (struct wake * w, uint32_t snapshot, int64_t deadline_ns),
       (w, snapshot, deadline_ns))
JITTER(bool, pool_try_add, (struct pool * p, struct job *job), (p, job))
JITTER_VOID(worker_run, (struct worker * w, struct job *job), (w, job))
JITTER_VOID(cancel_raise, (struct cancel * c, int level, enum cancel_reason reason),
            (c, level, reason))
JITTER_VOID(engine_task_ended, (struct job * job, enum stage_event event), (job, event))
JITTER_VOID(closing_task, (struct engine * g, struct task *t), (g, t))
JITTER_VOID(dispatch, (struct engine * g), (g))
JITTER_VOID(tasks_give_up, (struct engine * g), (g))
JITTER_VOID(task_record_end, (struct engine * g, struct task *t), (g, t))

#endif
