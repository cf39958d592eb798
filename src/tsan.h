/*
 * ThreadSanitizer does not see the atomics of Concurrency Kit (inline assembly). The two places
 * that use them (wake.c, outbox.c) say by hand what orders what, and keep it from looking inside.
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
#define TSAN_ACQUIRE(addr) __tsan_acquire(addr)
#define TSAN_RELEASE(addr) __tsan_release(addr)
#define TSAN_BLIND __attribute__((no_sanitize("thread"), noinline))
#else
#define TSAN_ACQUIRE(addr) ((void)(addr))
#define TSAN_RELEASE(addr) ((void)(addr))
#define TSAN_BLIND
#endif

#endif
