/* Owns the encoding by sixteen bytes, with SSSE3 and POPCNT. Pure functions. */
#include "ndjson_path.h"

#if NDJSON_X86

#include <immintrin.h>

#define FAST __attribute__((target("ssse3,popcnt")))
#define WIDTH ((size_t)16)

typedef unsigned char vec __attribute__((vector_size(16)));

static inline FAST vec look(const unsigned char table[16], vec v)
{
    return (vec)_mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)table), (__m128i)v);
}

static inline FAST uint32_t mask(vec v)
{
    return (uint32_t)_mm_movemask_epi8((__m128i)v);
}

#define behind(v, before, k) ((vec)_mm_alignr_epi8((__m128i)(v), (__m128i)(before), 16 - (k)))
#define part(v, k) ((void)(k), (__m128i)(v))

static inline FAST vec spread(const char *in)
{
    const __m128i order = _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
    return (vec)_mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)in), order);
}

static inline FAST vec close_up(vec v)
{
    const __m128i order = _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    return (vec)_mm_shuffle_epi8((__m128i)v, order);
}

static inline FAST vec each_four(int x)
{
    return (vec)_mm_set1_epi32(x);
}

static inline FAST vec times_high(vec a, vec b)
{
    return (vec)_mm_mulhi_epu16((__m128i)a, (__m128i)b);
}

static inline FAST vec times_low(vec a, vec b)
{
    return (vec)_mm_mullo_epi16((__m128i)a, (__m128i)b);
}

static inline FAST vec join_pairs(vec a, vec b)
{
    return (vec)_mm_maddubs_epi16((__m128i)a, (__m128i)b);
}

static inline FAST vec join_fours(vec a, vec b)
{
    return (vec)_mm_madd_epi16((__m128i)a, (__m128i)b);
}

#include "ndjson_vector.h"

const struct ndjson_path ndjson_ssse3 = {
    .name = "ssse3",
    .escape = escape_valid,
    .escape_lossy = escape_lossy,
    .base64 = base64,
    .unbase64 = unbase64,
};

#endif
