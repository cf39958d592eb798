/* The privacy guard: how a stream is cut into pieces changes nothing of what it finds and lets out. The
 * first byte of the input says where it is cut: below 128 into equal pieces, else by its own bytes. */
#include "guard.h"

#include <string.h>

#include "fuzz.h"

struct result {
    char *out;
    size_t len;
    unsigned long hits[GUARD_RULES];
};

static void feed(struct guard *g, struct result *r, const char *in, size_t n)
{
    while (n > 0) {
        struct guard_hit hits[GUARD_HITS];
        struct err e = {""};
        size_t put = 0, n_hits = 0;
        char *out = malloc(guard_room(n));
        FUZZ_NEED(out);
        long took = guard_feed(g, in, n, out, &put, hits, &n_hits, &e);
        FUZZ_NEED(took > 0 && (size_t)took <= n && put <= guard_room(n));
        for (size_t i = 0; i < n_hits; i++)
            r->hits[hits[i].rule]++;
        r->out = realloc(r->out, r->len + put + GUARD_HELD + 1);
        FUZZ_NEED(r->out);
        memcpy(r->out + r->len, out, put);
        r->len += put;
        free(out);
        in += took;
        n -= (size_t)took;
    }
}

/* How many bytes to feed of in[0, left). */
static size_t piece_at(const char *in, size_t left, unsigned cut)
{
    size_t piece = cut < 128 ? cut % 31 + 1 : ((unsigned char)*in ^ cut) % 31 + 1;
    return piece < left ? piece : left;
}

/* A whole stream; `cut` NULL: in one piece. */
static struct result run(bool enforce, const char *in, size_t n, const uint8_t *cut)
{
    struct guard *g = guard_new(enforce);
    struct result r = {.out = malloc(GUARD_HELD + 1)};
    FUZZ_NEED(g && r.out);
    guard_reset(g);
    for (size_t at = 0, piece; at < n; at += piece) {
        piece = cut ? piece_at(in + at, n - at, *cut) : n;
        feed(g, &r, in + at, piece);
    }
    size_t put = 0;
    guard_end(g, r.out + r.len, &put);
    r.len += put;
    guard_free(g);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *in = (const char *)data + 1;
    for (int enforce = 0; enforce < 2; enforce++) {
        struct result whole = run(enforce, in, size - 1, NULL), cut = run(enforce, in, size - 1, data);
        FUZZ_NEED(whole.len == cut.len && memcmp(whole.out, cut.out, whole.len) == 0);
        FUZZ_NEED(memcmp(whole.hits, cut.hits, sizeof whole.hits) == 0);
        FUZZ_NEED(enforce || (whole.len == size - 1 && memcmp(whole.out, in, whole.len) == 0));
        free(whole.out);
        free(cut.out);
    }
    return 0;
}
