/*
 * Finds in a stream where a rule of the privacy guard may begin or end. Hyperscan does it, whose
 * run-time library is loaded when the first guard of the process scans; the rules were compiled when
 * the program was built. One worker per scan; the library and the rules are shared.
 */
#ifndef CORCH_GUARD_SCAN_H
#define CORCH_GUARD_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* What ends with a byte. Of these, no two can end with the same byte. */
enum guard_mark {
    MARK_VALUE = 1, /* secret, password, api key or token, a : or =, and blanks: after each blank */
    MARK_AKIA = 2,  /* AKIA */
    MARK_KEY_BEGIN = 4, /* the BEGIN line of a private key */
    MARK_KEY_END = 8,   /* the END line of a private key */
};

/* Bytes of one scan: too few cost a call into the library each, too many leave the cache. */
#define SCAN_BYTES ((size_t)16 * 1024)

/* Bytes that must be readable behind what Hyperscan scans: 5.4.0 reads a few too far on a CPU
 * with AVX-512 VBMI. It loads 64 at once; as many are safe in any case. */
#define SCAN_MARGIN ((size_t)64)

struct guard_scan {
    struct hs_stream *stream;
    struct hs_scratch *scratch;
    uint64_t base; /* offset of the last scan in the stream */
    size_t len;    /* bytes of the last scan */
    bool failed;   /* until the next stream: what was scanned is not known */
    size_t marked; /* bytes that are marked; whoever clears a mark counts it down */
    unsigned char marks[SCAN_BYTES];
    char end[2 * SCAN_MARGIN]; /* a copy of the end of the input, where the margin is ours */
};

/* Loads what is to be loaded and begins a stream. 0, or -1 and `e`. `s` is zeroed by the caller. */
int guard_scan_open(struct guard_scan *s, struct err *e);
void guard_scan_close(struct guard_scan *s); /* also if it is not open */

/* A new stream begins; marks are forgotten. Nothing happens if it is not open. */
void guard_scan_reset(struct guard_scan *s);

/* Scans a prefix, s->len bytes, of what comes next in the stream, in[0, n), n > 0: marks[i] tells
 * what ends with in[i]. The last marks must have been cleared. 0, or -1, s->len 0 and `e`; then
 * every later call fails as well, until a reset. */
int guard_scan(struct guard_scan *s, const char *in, size_t n, struct err *e);

#endif
