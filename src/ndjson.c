/* Owns the encoding of output as JSON strings. Pure functions, any thread. */
#include "ndjson.h"

#include <stdbool.h>
#include <string.h>

/* The bytes that may follow first: Unicode 15, table 3-7. */
static bool second_fits(const unsigned char *p)
{
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    return p[1] >= low && p[1] <= high;
}

static bool continues(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Length of the valid character at p (n bytes are there), or 0. */
static size_t character(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4 || n < 2 || !second_fits(p))
        return 0;
    if (p[0] < 0xE0)
        return 2;
    if (n < 3 || !continues(p[2]))
        return 0;
    if (p[0] < 0xF0)
        return 3;
    return n >= 4 && continues(p[3]) ? 4 : 0;
}

/* Length of the longest start of a character at p, which is not valid as a whole: at least 1. */
static size_t maximal_part(const unsigned char *p, size_t n)
{
    if (p[0] < 0xC2 || p[0] > 0xF4 || n < 2 || !second_fits(p))
        return 1;
    return p[0] >= 0xF0 && n >= 3 && continues(p[2]) ? 3 : 2;
}

size_t ndjson_character(const char *in, size_t n)
{
    return n > 0 ? character((const unsigned char *)in, n) : 0;
}

size_t ndjson_unfinished(const char *in, size_t n)
{
    const unsigned char *p = (const unsigned char *)in;
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const unsigned char *at = p + n - back;
        if ((*at & 0xC0) == 0x80)
            continue;
        size_t full = *at < 0xC2 || *at > 0xF4 ? 1 : *at < 0xE0 ? 2 : *at < 0xF0 ? 3 : 4;
        return full > back && maximal_part(at, back) == back ? back : 0;
    }
    return 0;
}

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

/* Copies a character of two or more bytes; returns its length, 0 if it is none. The length is known
 * in each branch, so that no call is needed to copy a few bytes. */
static size_t copy_character(char *out, const unsigned char *p, size_t n)
{
    size_t len = character(p, n);
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
        uint64_t eight;
        while (n - i >= 8 && cap - o >= 8) {
            memcpy(&eight, p + i, 8);
            if (!eight_plain(eight))
                break;
            memcpy(out + o, &eight, 8);
            i += 8;
            o += 8;
        }
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
                    memcpy(out + o, "\xEF\xBF\xBD", 3);
                o += len ? len : 3;
                i += len ? len : maximal_part(p + i, n - i);
            }
        }
    }
    *used = i;
    return o;
}

size_t ndjson_escape(char *out, size_t cap, const char *in, size_t n, size_t *used)
{
    return escape_text(out, cap, in, n, used, false);
}

size_t ndjson_escape_lossy(char *out, const char *in, size_t n)
{
    size_t used;
    return escape_text(out, n * NDJSON_GROWTH, in, n, &used, true);
}

size_t ndjson_clean(char *out, const char *in, size_t n)
{
    const unsigned char *p = (const unsigned char *)in;
    size_t o = 0;
    for (size_t i = 0; i < n;) {
        size_t len = p[i] ? character(p + i, n - i) : 0;
        memcpy(out + o, len ? in + i : "\xEF\xBF\xBD", len ? len : 3);
        o += len ? len : 3;
        i += len ? len : p[i] ? maximal_part(p + i, n - i) : 1;
    }
    return o;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64_group(char *out, uint32_t v)
{
    out[0] = base64_digits[v >> 18];
    out[1] = base64_digits[v >> 12 & 63];
    out[2] = base64_digits[v >> 6 & 63];
    out[3] = base64_digits[v & 63];
}

size_t ndjson_base64(char *out, const char *in, size_t n)
{
    const unsigned char *p = (const unsigned char *)in;
    size_t o = 0, i = 0;
    for (; n - i >= 3; i += 3, o += 4)
        base64_group(out + o, (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2]);
    if (i == n)
        return o;
    bool two = n - i == 2;
    base64_group(out + o, (uint32_t)p[i] << 16 | (two ? (uint32_t)p[i + 1] << 8 : 0));
    out[o + 3] = '=';
    if (!two)
        out[o + 2] = '=';
    return o + 4;
}

size_t ndjson_unbase64(char *out, const char *in, size_t n)
{
    size_t o = 0;
    if (n % 4 != 0)
        return (size_t)-1;
    for (size_t i = 0; i < n; i += 4) {
        size_t pad = i + 4 < n ? 0 : (size_t)(in[i + 3] == '=') + (size_t)(in[i + 2] == '=');
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *at = k >= 4 - pad ? base64_digits : strchr(base64_digits, in[i + k]);
            if (!at || !in[i + k])
                return (size_t)-1;
            v = v << 6 | (uint32_t)(at - base64_digits);
        }
        for (size_t k = 0; k < 3 - pad; k++)
            out[o++] = (char)(v >> (16 - 8 * k));
    }
    return o;
}

size_t ndjson_u64(char *out, uint64_t value)
{
    char reversed[20];
    size_t n = 0;
    do {
        reversed[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

void ndjson_addstr(struct buf *b, const char *text)
{
    size_t n = strlen(text);
    char *to = buf_room(b, n * NDJSON_GROWTH + 2);
    if (!to)
        return;
    to[0] = '"';
    size_t wrote = ndjson_escape_lossy(to + 1, text, n);
    to[1 + wrote] = '"';
    b->len += wrote + 2;
    b->data[b->len] = '\0';
}

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
        static const char letters[] = "btnfr\"\\/", bytes[] = "\b\t\n\f\r\"\\/";
        const char *at = in[i + 1] ? strchr(letters, in[i + 1]) : NULL;
        if (at) {
            out[o++] = bytes[at - letters];
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

bool ndjson_is_text(const char *text)
{
    char out[256];
    for (size_t n = strlen(text), used; n > 0; n -= used, text += used) {
        ndjson_escape(out, sizeof out, text, n, &used);
        if (used == 0)
            return false;
    }
    return true;
}
