/* Owns base64 without vectors. Pure functions, any thread. */
#include "base64.h"

#include <stdbool.h>
#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_group(char *out, uint32_t v)
{
    out[0] = digits[v >> 18];
    out[1] = digits[v >> 12 & 63];
    out[2] = digits[v >> 6 & 63];
    out[3] = digits[v & 63];
}

size_t base64_encode(char *out, const char *in, size_t n)
{
    const unsigned char *p = (const unsigned char *)in;
    size_t o = 0, i = 0;
    for (; n - i >= 3; i += 3, o += 4)
        put_group(out + o, (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2]);
    if (i == n)
        return o;
    bool two = n - i == 2;
    put_group(out + o, (uint32_t)p[i] << 16 | (two ? (uint32_t)p[i + 1] << 8 : 0));
    out[o + 3] = '=';
    if (!two)
        out[o + 2] = '=';
    return o + 4;
}

/* What a digit stands for, from 1: what is none is 0. */
static const unsigned char values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

/* Takes four characters, the last `pad` of which are padding; false: one is no digit. */
static bool take_group(char *out, const unsigned char *p, size_t pad)
{
    uint32_t v = 0;
    bool good = true;
    for (size_t k = 0; k < 4; k++) {
        uint32_t value = k >= 4 - pad ? 1 : values[p[k]];
        good &= value != 0;
        v = v << 6 | (value - 1);
    }
    for (size_t k = 0; k < 3 - pad; k++)
        out[k] = (char)(v >> (16 - 8 * k));
    return good;
}

size_t base64_decode(char *out, const char *in, size_t n)
{
    const unsigned char *p = (const unsigned char *)in;
    if (n == 0 || n % 4 != 0)
        return n == 0 ? 0 : (size_t)-1;
    size_t o = 0, last = n - 4;
    for (size_t i = 0; i < last; i += 4, o += 3) {
        if (!take_group(out + o, p + i, 0))
            return (size_t)-1;
    }
    size_t pad = (size_t)(p[n - 1] == '=') + (size_t)(p[n - 2] == '=');
    return take_group(out + o, p + last, pad) ? o + 3 - pad : (size_t)-1;
}
