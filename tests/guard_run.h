/* Runs a privacy guard over a stream that is cut into pieces, and gathers what comes out. */
#ifndef TESTS_GUARD_RUN_H
#define TESTS_GUARD_RUN_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard.h"
#include "guard_scan.h"

#define BEGIN_KEY "-----BEGIN PRIVATE KEY-----"
#define END_KEY "-----END PRIVATE KEY-----"
#define AWS_KEY "ABCDEFGHIJ012345"
#define NBSP "\xC2\xA0"
#define HITS_MAX 256
#define TEXT_MAX ((size_t)4 * SCAN_BYTES)

/* What a guard made of a whole stream; `at` counts from the beginning of the output. */
struct run_result {
    char out[TEXT_MAX + HITS_MAX * 10];
    size_t len, n_hits;
    struct guard_hit hits[HITS_MAX];
};

/* Memory between two pages that nobody may touch: a piece is put at its beginning or at its end, in
 * turn, so that reading past either of its ends is a fault. */
static inline char *run_fenced(const char *bytes, size_t n)
{
    static char *place;
    static bool at_end;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (TEXT_MAX / page + 1) * page;
    if (!place) {
        place = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(place != MAP_FAILED);
        place += page;
        assert_int_equal(mprotect(place, size, PROT_READ | PROT_WRITE), 0);
    }
    assert_true(n <= size);
    at_end = !at_end;
    return memcpy(at_end ? place + size - n : place, bytes, n);
}

/* Feeds one piece, repeating for the rest, with an output buffer of the size that is promised. */
static inline void run_feed(struct guard *g, const char *piece, size_t n, struct run_result *r)
{
    while (n > 0) {
        struct guard_hit hits[GUARD_HITS];
        struct err e = {""};
        size_t put = 0, n_hits = 0;
        char *in = run_fenced(piece, n), *out = malloc(guard_room(n));
        assert_non_null(out);
        long took = guard_feed(g, in, n, out, &put, hits, &n_hits, &e);
        assert_string_equal(e.text, "");
        assert_in_range(took, 1, n);
        assert_true((size_t)took == n || n_hits == GUARD_HITS);
        assert_true(r->n_hits + n_hits <= HITS_MAX && r->len + put <= sizeof r->out);
        for (size_t i = 0; i < n_hits; i++) {
            assert_true(hits[i].at < put);
            r->hits[r->n_hits++] = (struct guard_hit){r->len + hits[i].at, hits[i].rule};
        }
        memcpy(r->out + r->len, out, put);
        r->len += put;
        free(out);
        piece += took;
        n -= (size_t)took;
    }
}

static inline void run_end(struct guard *g, struct run_result *r)
{
    char out[GUARD_HELD];
    size_t put = 0;
    guard_end(g, out, &put);
    memcpy(r->out + r->len, out, put);
    r->len += put;
}

/* A whole stream in pieces of `piece` bytes, the first one of `first`. */
static inline struct run_result *run_pieces(struct guard *g, const char *text, size_t n,
                                            size_t first, size_t piece)
{
    static struct run_result r;
    r.len = r.n_hits = 0;
    guard_reset(g);
    for (size_t at = 0; at < n;) {
        size_t wanted = at == 0 && first > 0 ? first : piece;
        size_t now = wanted < n - at ? wanted : n - at;
        run_feed(g, text + at, now, &r);
        at += now;
    }
    run_end(g, &r);
    return &r;
}

static inline struct guard *run_guard(bool enforce)
{
    struct guard *g = guard_new(enforce);
    assert_non_null(g);
    return g;
}

static inline void run_same(const struct run_result *r, const char *out, size_t hits)
{
    if (r->len != strlen(out) || memcmp(r->out, out, r->len) != 0)
        print_error("got:    %.*s\nwanted: %s\n", (int)r->len, r->out, out);
    assert_int_equal(r->len, strlen(out));
    assert_memory_equal(r->out, out, r->len);
    assert_int_equal(r->n_hits, hits);
}

#endif
