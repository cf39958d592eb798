/* Random text in UTF-8, the same in every run. */
#ifndef TESTS_RANDOM_TEXT_H
#define TESTS_RANDOM_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint64_t random_seed = UINT64_C(0x9E3779B97F4A7C15);

/* The same numbers in every run, so that a failure comes back. */
static inline unsigned random_below(unsigned limit)
{
    random_seed ^= random_seed << 13;
    random_seed ^= random_seed >> 7;
    random_seed ^= random_seed << 17;
    return (unsigned)((random_seed >> 20) % limit);
}

/* Writes code point `c`, which may be a surrogate, as UTF-8 would; returns the bytes. */
static inline size_t put_character(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* Of one, two, three or four bytes; never NUL or a surrogate. */
static inline uint32_t random_character(void)
{
    static const uint32_t first[] = {0x20, 0x01, 0x80, 0x800, 0xE000, 0x10000};
    static const uint32_t last[] = {0x7E, 0x7F, 0x7FF, 0xD7FF, 0xFFFF, 0x10FFFF};
    unsigned kind = random_below(6);
    return first[kind] + random_below(last[kind] - first[kind] + 1);
}

/* Fills n bytes with valid text without NUL; returns how many it filled (at most 3 fewer). */
static inline size_t random_text(char *out, size_t n)
{
    size_t len = 0;
    while (len < n) {
        char one[4];
        size_t size =
            put_character(one, random_below(4) ? 'a' + random_below(26) : random_character());
        if (len + size > n)
            break;
        memcpy(out + len, one, size);
        len += size;
    }
    return len;
}

#endif
