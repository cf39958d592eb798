/*
 * ThreadSanitizer does not see the atomics of Concurrency Kit (inline assembly). The places
 * that use them (wake.c, outbox.c, watch.c) say by hand what orders what, and keep it from looking
 * inside.
 */
#ifndef CORCH_TSAN_H
#define CORCH_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define CORCH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CORCH_TSAN 1
#endif
#endif

#ifdef CORCH_TSAN
#include <sanitizer/tsan_interface.h>
/* It takes every clone for a fork, after which it looks at nothing any more. */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#define TSAN_ACQUIRE(addr) __tsan_acquire(addr)
#define TSAN_RELEASE(addr) __tsan_release(addr)
#define TSAN_BLIND __attribute__((no_sanitize("thread"), noinline))
/* Rings copy with memcpy, which is checked whoever calls it: these keep the thread unseen. */
void __tsan_ignore_thread_begin(void);
void __tsan_ignore_thread_end(void);
#define TSAN_UNSEEN_BEGIN() __tsan_ignore_thread_begin()
#define TSAN_UNSEEN_END() __tsan_ignore_thread_end()
#else
#define TSAN_ACQUIRE(addr) ((void)(addr))
#define TSAN_RELEASE(addr) ((void)(addr))
#define TSAN_BLIND
#define TSAN_UNSEEN_BEGIN() ((void)0)
#define TSAN_UNSEEN_END() ((void)0)
#endif

#endif
