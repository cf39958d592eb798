/*
 * The loops behind ndjson.h, once for each kind of processor. All of them do the same, byte for
 * byte; which one is taken is known only when the program runs.
 */
#ifndef CORCH_NDJSON_PATH_H
#define CORCH_NDJSON_PATH_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define NDJSON_X86 1
#else
#define NDJSON_X86 0
#endif

/* As the functions of ndjson.h; bytes of `out` behind what was written, within its room, may be
 * overwritten. `escape` stops as soon as fewer than NDJSON_GROWTH bytes are left. */
struct ndjson_path {
    const char *name;
    size_t (*escape)(char *out, size_t cap, const char *in, size_t n, size_t *used);
    size_t (*escape_lossy)(char *out, const char *in, size_t n);
    size_t (*base64)(char *out, const char *in, size_t n);
    size_t (*unbase64)(char *out, const char *in, size_t n);
};

extern const struct ndjson_path ndjson_scalar; /* works everywhere */
#if NDJSON_X86
extern const struct ndjson_path ndjson_ssse3, ndjson_avx2;

/* For each set of eight bytes, the order (for PSHUFB) that puts byte 8 before each in the set. */
extern const uint64_t ndjson_orders[256][2];

/* What each byte becomes, up to six bytes, and their number in the last byte. A byte that can't be
 * in UTF-8 is U+FFFD, NDJSON_NOTHING is nothing. */
#define NDJSON_NOTHING 0xC0
extern const uint64_t ndjson_words[256];
#endif

/* The paths that this machine can take, best first; NULL behind the last. */
const struct ndjson_path *ndjson_path(size_t i);

#endif
