/* Owns the encoding by thirty-two bytes, with AVX2 and POPCNT. Pure functions. */
#include "ndjson_path.h"

#if NDJSON_X86

#include <immintrin.h>

#define FAST __attribute__((target("avx2,popcnt")))
#define WIDTH ((size_t)32)

typedef unsigned char vec __attribute__((vector_size(32)));

static inline FAST vec look(const unsigned char table[16], vec v)
{
    __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
    return (vec)_mm256_shuffle_epi8(twice, (__m256i)v);
}

static inline FAST uint32_t mask(vec v)
{
    return (uint32_t)_mm256_movemask_epi8((__m256i)v);
}

/* The bytes are moved within sixteens only, so the upper ones get the lower ones for company. */
#define behind(v, before, k)  \
    ((vec)_mm256_alignr_epi8( \
        (__m256i)(v), _mm256_permute2x128_si256((__m256i)(before), (__m256i)(v), 0x21), 16 - (k)))
#define part(v, k) \
    ((k) == 0 ? _mm256_castsi256_si128((__m256i)(v)) : _mm256_extracti128_si256((__m256i)(v), 1))

static inline FAST vec spread(const char *in)
{
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10));
    __m128i low = _mm_loadu_si128((const __m128i *)in);
    __m128i high = _mm_loadu_si128((const __m128i *)(in + 12));
    return (vec)_mm256_shuffle_epi8(_mm256_set_m128i(high, low), order);
}

static inline FAST vec close_up(vec v)
{
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
    const __m256i words = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7);
    return (vec)_mm256_permutevar8x32_epi32(_mm256_shuffle_epi8((__m256i)v, order), words);
}

static inline FAST vec each_four(int x)
{
    return (vec)_mm256_set1_epi32(x);
}

static inline FAST vec times_high(vec a, vec b)
{
    return (vec)_mm256_mulhi_epu16((__m256i)a, (__m256i)b);
}

static inline FAST vec times_low(vec a, vec b)
{
    return (vec)_mm256_mullo_epi16((__m256i)a, (__m256i)b);
}

static inline FAST vec join_pairs(vec a, vec b)
{
    return (vec)_mm256_maddubs_epi16((__m256i)a, (__m256i)b);
}

static inline FAST vec join_fours(vec a, vec b)
{
    return (vec)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}

#include "ndjson_vector.h"

const struct ndjson_path ndjson_avx2 = {
    .name = "avx2",
    .escape = escape_valid,
    .escape_lossy = escape_lossy,
    .base64 = base64,
    .unbase64 = unbase64,
};

#endif
