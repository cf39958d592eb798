/* Owns nothing: a pure function, any thread. */
#include "squeeze.h"

#include <string.h>

/* Length of what is left of the string that bytes[0, n) are inside of, its quote included; n if it
 * goes on. */
static size_t rest_of_string(struct squeeze *s, const char *bytes, size_t n)
{
    const char *from = bytes + s->escaped, *end = bytes + n, *p = from;
    while (s->in_string) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        const char *stop = quote ? quote : end, *slash = stop;
        while (slash > from && slash[-1] == '\\')
            slash--;
        s->escaped = (stop - slash) % 2 != 0;
        if (!quote)
            return n;
        p = quote + 1;
        s->in_string = s->escaped;
        s->escaped = false;
    }
    return (size_t)(p - bytes);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

size_t squeeze(struct squeeze *s, char *bytes, size_t n)
{
    size_t kept = 0, i = 0;
    while (i < n) {
        if (s->in_string) {
            size_t rest = rest_of_string(s, bytes + i, n - i);
            memmove(bytes + kept, bytes + i, rest);
            kept += rest;
            i += rest;
        } else {
            s->in_string = bytes[i] == '"';
            if (!is_space(bytes[i]))
                bytes[kept++] = bytes[i];
            i++;
        }
    }
    return kept;
}
