/* Owns the undoing of JSON escapes. Pure functions, any thread. */
#include "ndjson.h"

#include <stdbool.h>
#include <string.h>

static bool hex4(const char *in, size_t n, uint32_t *out)
{
    uint32_t v = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = i < n ? in[i] : 'x';
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return false;
        v = v << 4 | (uint32_t)digit;
    }
    *out = v;
    return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(lead[len] | c);
    return len;
}

/* Decodes the \uXXXX at in (behind the 'u'), a surrogate pair as one; 0: broken. */
static size_t unescape_u(char *out, const char *in, size_t n, size_t *used)
{
    uint32_t c, low;
    if (!hex4(in, n, &c))
        return 0;
    *used = 4;
    if (c >= 0xD800 && c < 0xDC00 && n >= 10 && in[4] == '\\' && in[5] == 'u' &&
        hex4(in + 6, n - 6, &low) && low >= 0xDC00 && low < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        *used = 10;
    } else if (c >= 0xD800 && c < 0xE000) {
        c = 0xFFFD;
    }
    return put_utf8(out, c);
}

size_t ndjson_unescape(char *out, const char *in, size_t n)
{
    size_t i = 0, o = 0;
    while (i < n) {
        const char *slash = memchr(in + i, '\\', n - i);
        size_t plain = slash ? (size_t)(slash - in) - i : n - i;
        memmove(out + o, in + i, plain);
        i += plain;
        o += plain;
        if (!slash)
            break;
        if (i + 1 >= n)
            return (size_t)-1;
        static const char bytes[256] = {['b'] = '\b', ['t'] = '\t', ['n'] = '\n',  ['f'] = '\f',
                                        ['r'] = '\r', ['"'] = '"',  ['\\'] = '\\', ['/'] = '/'};
        char byte = bytes[(unsigned char)in[i + 1]];
        if (byte) {
            out[o++] = byte;
            i += 2;
            continue;
        }
        size_t used = 0,
               put = in[i + 1] == 'u' ? unescape_u(out + o, in + i + 2, n - i - 2, &used) : 0;
        if (put == 0)
            return (size_t)-1;
        o += put;
        i += 2 + used;
    }
    return o;
}
