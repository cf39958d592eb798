/* Owns the encoding on machines of any kind, and of what is left over elsewhere. Constant. */
#include <stdbool.h>
#include <string.h>

#include "base64.h"
#include "ndjson.h"
#include "ndjson_path.h"
#include "utf8.h"

static const char replacement[] = "\xEF\xBF\xBD";

/* Writes the escape of an ASCII byte that needs one; returns its length. */
static size_t escape(char *out, unsigned char c)
{
    static const char letters[128] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                      ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    out[0] = '\\';
    if (letters[c]) {
        out[1] = letters[c];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = "0123456789abcdef"[c >> 4];
    out[5] = "0123456789abcdef"[c & 15];
    return 6;
}

/* Bytes that are copied as they are: ASCII but for controls, quote and backslash. */
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Whether all eight bytes are plain: a byte's high bit is set in `bad` if it may not be. */
static bool eight_plain(uint64_t v)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
    uint64_t bad =
        v | ((v - ones * 0x20) & ~v) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
    return (bad & high) == 0;
}

/* Copies plain bytes eight at a time, as long as there is room for one more byte of any kind behind
 * all but the last; returns how many. */
static inline size_t copy_plain(char *out, size_t cap, const char *in, size_t n)
{
    size_t i = 0;
    while (n - i >= 8 && cap - i >= 7 + NDJSON_GROWTH) {
        uint64_t eight;
        memcpy(&eight, in + i, 8);
        if (!eight_plain(eight))
            break;
        memcpy(out + i, &eight, 8);
        i += 8;
    }
    return i;
}

/* Copies a character of two or more bytes; returns its length, 0 if it is none. The length is known
 * in each branch, so that no call is needed to copy a few bytes. */
static size_t copy_character(char *out, const unsigned char *p, size_t n)
{
    size_t len = utf8_character(p, n);
    if (len == 2)
        memcpy(out, p, 2);
    else if (len == 3)
        memcpy(out, p, 3);
    else if (len == 4)
        memcpy(out, p, 4);
    return len;
}

/* Both ways of escaping; `lossy` is a constant at each call. */
static inline size_t escape_text(char *out, size_t cap, const char *in, size_t n, size_t *used,
                                 bool lossy)
{
    const unsigned char *p = (const unsigned char *)in;
    size_t i = 0, o = 0;
    while (i < n && cap - o >= NDJSON_GROWTH) {
        size_t plain = copy_plain(out + o, cap - o, in + i, n - i);
        i += plain;
        o += plain;
        /* One by one as far as the next eight may be worth a look. */
        for (size_t stop = n - i > 8 ? i + 8 : n; i < stop && cap - o >= NDJSON_GROWTH;) {
            if (is_plain(p[i])) {
                out[o++] = in[i++];
            } else if (p[i] < 0x80) {
                o += escape(out + o, p[i++]);
            } else {
                size_t len = copy_character(out + o, p + i, n - i);
                if (len == 0 && !lossy) {
                    *used = i;
                    return o;
                }
                if (len == 0)
                    memcpy(out + o, replacement, 3);
                o += len ? len : 3;
                i += len ? len : utf8_maximal_part(p + i, n - i);
            }
        }
    }
    *used = i;
    return o;
}

static size_t escape_valid(char *out, size_t cap, const char *in, size_t n, size_t *used)
{
    return escape_text(out, cap, in, n, used, false);
}

static size_t escape_lossy(char *out, const char *in, size_t n)
{
    size_t used;
    return escape_text(out, n * NDJSON_GROWTH, in, n, &used, true);
}

const struct ndjson_path ndjson_scalar = {
    .name = "scalar",
    .escape = escape_valid,
    .escape_lossy = escape_lossy,
    .base64 = base64_encode,
    .unbase64 = base64_decode,
};
