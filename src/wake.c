/* Owns the eventcount's system side: clock and futex. Any thread. */
#include "wake.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "tsan.h"

static struct timespec to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

static int64_t to_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static int ec_gettime(const struct ck_ec_ops *ops, struct timespec *out)
{
    (void)ops;
    *out = to_timespec(clock_mono_ns());
    return 0;
}

/* Returns early for any reason, as ck_ec allows: it looks at the counter again itself. */
static void ec_wait32(const struct ck_ec_wait_state *state, const uint32_t *address,
                      uint32_t expected, const struct timespec *deadline)
{
    (void)state;
    struct timespec left;
    if (deadline) {
        int64_t ns = to_ns(deadline) - clock_mono_ns();
        left = to_timespec(ns > 0 ? ns : 0);
    }
    syscall(SYS_futex, address, FUTEX_WAIT_PRIVATE, expected, deadline ? &left : NULL, NULL, 0);
}

static void ec_wake32(const struct ck_ec_ops *ops, const uint32_t *address)
{
    (void)ops;
    syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ck_ec naps without a look at the deadline: no nap goes beyond it. */
static int cap_nap(const struct ck_ec_wait_state *state, struct timespec *nap_end)
{
    const struct timespec *deadline = state->data;
    if (deadline && to_ns(deadline) < to_ns(nap_end))
        *nap_end = *deadline;
    return 0;
}

/* One busy iteration: with more threads than cores, spinning takes time from whom we wait for. */
static const struct ck_ec_ops ops = {
    .gettime = ec_gettime,
    .wait32 = ec_wait32,
    .wake32 = ec_wake32,
    .busy_loop_iter = 1,
    .initial_wait_ns = 1000000000 /* the early naps of ck_ec are for single producers only */
};
static const struct ck_ec_mode mode = {.ops = &ops, .single_producer = false};

void wake_init(struct wake *w)
{
    ck_ec32_init(&w->count, 0);
}

TSAN_BLIND static uint32_t value(struct wake *w)
{
    return ck_ec32_value(&w->count);
}

uint32_t wake_snapshot(struct wake *w)
{
    uint32_t snapshot = value(w);
    TSAN_ACQUIRE(w);
    return snapshot;
}

TSAN_BLIND static void increment(struct wake *w)
{
    ck_ec32_inc(&w->count, &mode);
}

void wake_signal(struct wake *w)
{
    TSAN_RELEASE(w);
    increment(w);
}

TSAN_BLIND static int wait_until(struct wake *w, uint32_t snapshot, struct timespec *deadline)
{
    return ck_ec32_wait_pred(&w->count, &mode, snapshot, cap_nap, deadline, deadline);
}

bool wake_wait(struct wake *w, uint32_t snapshot, int64_t deadline_ns)
{
    struct timespec deadline = to_timespec(deadline_ns < 0 ? 0 : deadline_ns);
    int result = wait_until(w, snapshot, deadline_ns == WAKE_FOREVER ? NULL : &deadline);
    TSAN_ACQUIRE(w);
    return result == 0;
}
