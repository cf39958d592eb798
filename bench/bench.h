/*
 * What the benchmarks share: time, samples with their spread, memory that is touched before it is
 * used, a folder of their own. A benchmark that can't go on says why and ends the program.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BENCH_SECOND INT64_C(1000000000)

/* Ends the program unless `ok`; `what` says what could not be done. */
static inline void bench_need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench: can't %s (errno: %s)\n", what, strerror(errno));
    exit(1);
}

/* Monotonic nanoseconds: the real ones, whatever clock_inject has put in. */
static inline int64_t bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * BENCH_SECOND + t.tv_nsec;
}

/* Nanoseconds of processor time of all threads so far. */
static inline int64_t bench_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * BENCH_SECOND + t.tv_nsec;
}

/* Memory whose pages are there already: free() it. Not zeros, which a compiler would make of
 * untouched pages (calloc). */
static inline void *bench_alloc(size_t n)
{
    void *p = malloc(n + 1);
    bench_need(p != NULL, "get memory");
    memset(p, 0x5a, n + 1);
    return p;
}

static inline char *bench_copy(const char *text)
{
    char *copy = strdup(text);
    bench_need(copy != NULL, "get memory");
    return copy;
}

static inline void bench_title(const char *title)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("\n%s\n", title);
#ifndef __OPTIMIZE__
    printf("Built without optimisation: the times mean little.\n");
#endif
}

struct samples {
    double *values;
    size_t n, room;
};

static inline void samples_init(struct samples *s, size_t room)
{
    *s = (struct samples){.values = bench_alloc(room * sizeof *s->values), .room = room};
}

static inline void samples_release(struct samples *s)
{
    free(s->values);
    *s = (struct samples){0};
}

static inline void samples_add(struct samples *s, double value)
{
    bench_need(s->n < s->room, "keep that many samples");
    s->values[s->n++] = value;
}

static inline int samples_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest sample that `share` (0 to 1) of all do not exceed; NAN if there is none. */
static inline double samples_quantile(struct samples *s, double share)
{
    if (s->n == 0)
        return NAN;
    qsort(s->values, s->n, sizeof *s->values, samples_compare);
    double rank = ceil(share * (double)s->n);
    return s->values[rank < 1 ? 0 : (size_t)rank - 1];
}

static inline double samples_median(struct samples *s)
{
    return samples_quantile(s, 0.5);
}

struct samples_text {
    char text[96];
};

/* "median (lowest to highest)" with that many decimals. */
static inline struct samples_text samples_spread(struct samples *s, int decimals)
{
    struct samples_text t;
    snprintf(t.text, sizeof t.text, "%.*f (%.*f to %.*f)", decimals, samples_median(s), decimals,
             samples_quantile(s, 0), decimals, samples_quantile(s, 1));
    return t;
}

/* A new folder (0700) below TMPDIR, else /tmp; its path into `out`. */
static inline void bench_folder(char *out, size_t size)
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(out, size, "%s/corch-bench-XXXXXX", base && *base ? base : "/tmp");
    bench_need(n > 0 && (size_t)n < size && mkdtemp(out) != NULL, "make a folder below TMPDIR");
}

static inline int bench_unlink(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static inline void bench_remove(const char *folder)
{
    nftw(folder, bench_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
