/* Owns the encoding of output as JSON strings. Pure functions, any thread. */
#include "ndjson.h"

#include <stdbool.h>
#include <string.h>

#include "ndjson_path.h"
#include "utf8.h"

const struct ndjson_path *ndjson_path(size_t i)
{
    const struct ndjson_path *paths[4];
    size_t n = 0;
#if NDJSON_X86
    bool counts = __builtin_cpu_supports("popcnt");
    if (counts && __builtin_cpu_supports("avx2"))
        paths[n++] = &ndjson_avx2;
    if (counts && __builtin_cpu_supports("ssse3"))
        paths[n++] = &ndjson_ssse3;
#endif
    paths[n++] = &ndjson_scalar;
    return i < n ? paths[i] : NULL;
}

size_t ndjson_escape(char *out, size_t cap, const char *in, size_t n, size_t *used)
{
    return ndjson_path(0)->escape(out, cap, in, n, used);
}

size_t ndjson_escape_lossy(char *out, const char *in, size_t n)
{
    return ndjson_path(0)->escape_lossy(out, in, n);
}

size_t ndjson_base64(char *out, const char *in, size_t n)
{
    return ndjson_path(0)->base64(out, in, n);
}

size_t ndjson_unbase64(char *out, const char *in, size_t n)
{
    return ndjson_path(0)->unbase64(out, in, n);
}

size_t ndjson_character(const char *in, size_t n)
{
    return n > 0 ? utf8_character((const unsigned char *)in, n) : 0;
}

size_t ndjson_unfinished(const char *in, size_t n)
{
    const unsigned char *p = (const unsigned char *)in;
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const unsigned char *at = p + n - back;
        if (utf8_continues(*at))
            continue;
        size_t full = !utf8_leads(*at) ? 1 : *at < 0xE0 ? 2 : *at < 0xF0 ? 3 : 4;
        return full > back && utf8_maximal_part(at, back) == back ? back : 0;
    }
    return 0;
}

size_t ndjson_clean(char *out, const char *in, size_t n)
{
    const unsigned char *p = (const unsigned char *)in;
    size_t o = 0;
    for (size_t i = 0; i < n;) {
        size_t len = p[i] ? utf8_character(p + i, n - i) : 0;
        memcpy(out + o, len ? in + i : "\xEF\xBF\xBD", len ? len : 3);
        o += len ? len : 3;
        i += len ? len : p[i] ? utf8_maximal_part(p + i, n - i) : 1;
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
