/* Owns nothing: a pure function, any thread. */
#include "squeeze.h"

size_t squeeze(struct squeeze *s, char *bytes, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        char c = bytes[i];
        if (s->escaped) {
            s->escaped = false;
        } else if (s->in_string) {
            s->escaped = c == '\\';
            s->in_string = c != '"';
        } else if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
            continue;
        } else {
            s->in_string = c == '"';
        }
        bytes[kept++] = c;
    }
    return kept;
}
