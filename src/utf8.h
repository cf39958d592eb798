/* Characters of UTF-8, one at a time: Unicode 15, table 3-7. Pure functions, any thread. */
#ifndef CORCH_UTF8_H
#define CORCH_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether p[1] may follow the first byte of a character. */
static inline bool utf8_second_fits(const unsigned char *p)
{
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    return p[1] >= low && p[1] <= high;
}

static inline bool utf8_continues(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Whether a character of two or more bytes may begin with it. */
static inline bool utf8_leads(unsigned char c)
{
    return c >= 0xC2 && c <= 0xF4;
}

/* Length of the valid character at p (n > 0 bytes are there), or 0. */
static inline size_t utf8_character(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    if (!utf8_leads(p[0]) || n < 2 || !utf8_second_fits(p))
        return 0;
    if (p[0] < 0xE0)
        return 2;
    if (n < 3 || !utf8_continues(p[2]))
        return 0;
    if (p[0] < 0xF0)
        return 3;
    return n >= 4 && utf8_continues(p[3]) ? 4 : 0;
}

/* Length of the longest start of a character at p, which is not valid as a whole: at least 1. */
static inline size_t utf8_maximal_part(const unsigned char *p, size_t n)
{
    if (!utf8_leads(p[0]) || n < 2 || !utf8_second_fits(p))
        return 1;
    return p[0] >= 0xF0 && n >= 3 && utf8_continues(p[2]) ? 3 : 2;
}

#endif
