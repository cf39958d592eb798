/*
 * An eventcount: the way to sleep until somebody has changed something, without losing a wake-up
 * and without a lock. After Concurrency Kit's ck_ec (Paul Khuong), on a futex.
 *
 * The sleeper: takes a snapshot, looks at the shared data, and sleeps on the snapshot only if there
 * was nothing. The waker: changes the data, then signals. Either the sleeper's look comes after the
 * change, or its snapshot is older than the signal and the wait returns at once.
 */
#ifndef CORCH_WAKE_H
#define CORCH_WAKE_H

#include <ck_ec.h>
#include <stdbool.h>
#include <stdint.h>

#define WAKE_FOREVER INT64_MAX

struct wake {
    ck_ec32_t count;
};

void wake_init(struct wake *w);
uint32_t wake_snapshot(struct wake *w); /* acquires what was released by the signals so far */
void wake_signal(struct wake *w);       /* any thread; no system call unless somebody sleeps */

/* Sleeps until a signal after `snapshot` or until clock_mono_ns() reaches `deadline_ns`. Returns
 * false on the deadline. May also return true for no reason: look at the data again. */
bool wake_wait(struct wake *w, uint32_t snapshot, int64_t deadline_ns);

#endif
