/* The privacy rules over a whole text at once, with nothing but loops: what the guard must agree
 * with. Every match is found on its own; matches that lie in another are dropped. */
#ifndef TESTS_GUARD_NAIVE_H
#define TESTS_GUARD_NAIVE_H

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "guard.h"

enum { NAIVE_MATCHES = 256, NAIVE_OUT = 8192 };

struct naive_match {
    size_t begin, end, decided; /* what is hidden, and the byte that decides */
    enum guard_rule rule;
};

struct naive {
    char out[NAIVE_OUT];
    size_t len, n_hits;
    struct guard_hit hits[NAIVE_MATCHES];
};

static inline bool naive_ascii_blank(char c)
{
    return c != '\0' && strchr(" \t\n\v\f\r", c) != NULL;
}

/* The length of one of these words at text[at], or 0. */
static inline size_t naive_word(const char *text, size_t n, size_t at, const char *const *words)
{
    for (; *words; words++) {
        size_t length = strlen(*words);
        if (length <= n - at && strncasecmp(text + at, *words, length) == 0)
            return length;
    }
    return 0;
}

static inline size_t naive_skip_blanks(const char *text, size_t n, size_t at)
{
    static const char *const blanks[] = {
        " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\u00A0", "\u1680", "\u2000",
        "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009",
        "\u200A", "\u2028", "\u2029", "\u202F", "\u205F", "\u3000", "\uFEFF", NULL};
    size_t length;
    while ((length = naive_word(text, n, at, blanks)) > 0)
        at += length;
    return at;
}

/* Bytes and UTF-16 units of what stands at text[at]: a character, whole or cut short, or a byte. */
static inline size_t naive_character(const char *text, size_t n, size_t at, unsigned *units)
{
    unsigned char lead = (unsigned char)text[at];
    size_t most = lead < 0xC2 || lead > 0xF4 ? 1
                  : lead < 0xE0              ? 2
                  : lead < 0xF0              ? 3
                                             : 4,
           length = 1;
    *units += most == 4 ? 2 : 1;
    while (length < most && at + length < n && ((unsigned char)text[at + length] & 0xC0) == 0x80)
        length++;
    return length;
}

static inline bool naive_value(const char *text, size_t n, size_t at, struct naive_match *m)
{
    static const char *const words[] = {"secret",  "password", "apikey", "api_key",
                                        "api-key", "token",    NULL};
    size_t length = naive_word(text, n, at, words);
    unsigned units = 0;
    at = naive_skip_blanks(text, n, at + length);
    if (length == 0 || at == n || (text[at] != ':' && text[at] != '='))
        return false;
    at = naive_skip_blanks(text, n, at + 1);
    *m = (struct naive_match){.begin = at, .rule = GUARD_SENSITIVE_TOKEN};
    while (at < n && !naive_ascii_blank(text[at])) {
        bool enough = units >= 6;
        size_t here = at;
        at += naive_character(text, n, at, &units);
        if (!enough && units >= 6)
            m->decided = here;
    }
    m->end = at;
    return units >= 6;
}

static inline bool naive_akia(const char *text, size_t n, size_t at, struct naive_match *m)
{
    static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (n - at < 4 || memcmp(text + at, "AKIA", 4) != 0)
        return false;
    *m = (struct naive_match){at + 4, at + 4, at + 4 + 15, GUARD_SENSITIVE_TOKEN};
    while (m->end < n && text[m->end] && strchr(allowed, text[m->end]))
        m->end++;
    return m->end - m->begin >= 16;
}

static inline bool naive_key(const char *text, size_t n, size_t at, bool enforce,
                             struct naive_match *m)
{
    static const char *const begins[] = {"-----BEGIN PRIVATE KEY-----",
                                         "-----BEGIN RSA PRIVATE KEY-----",
                                         "-----BEGIN EC PRIVATE KEY-----", NULL};
    static const char *const ends[] = {"-----END PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----",
                                       "-----END EC PRIVATE KEY-----", NULL};
    size_t length = naive_word(text, n, at, begins), closing = 0;
    if (length == 0)
        return false;
    at += length;
    *m = (struct naive_match){at, at, at - 1, GUARD_PRIVATE_KEY};
    if (!enforce)
        return true;
    for (at -= 5; at < n && (closing = naive_word(text, n, at, ends)) == 0; at++)
        ; /* the dashes of the BEGIN line may be those of the END line */
    m->end = closing > 0 ? at + closing : n + 1; /* a BEGIN line at the very end is inside */
    return true;
}

static inline int naive_order(const void *a, const void *b)
{
    const struct naive_match *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end > y->end ? -1 : x->end < y->end;
}

static inline size_t naive_matches(const char *text, size_t n, bool enforce,
                                   struct naive_match matches[NAIVE_MATCHES])
{
    size_t count = 0;
    for (size_t at = 0; at < n; at++) {
        assert(count + 3 <= NAIVE_MATCHES);
        count += naive_value(text, n, at, &matches[count]);
        count += naive_akia(text, n, at, &matches[count]);
        count += naive_key(text, n, at, enforce, &matches[count]);
    }
    qsort(matches, count, sizeof *matches, naive_order);
    return count;
}

static inline void naive_copy(struct naive *r, const char *bytes, size_t n)
{
    assert(r->len + n <= sizeof r->out);
    memcpy(r->out + r->len, bytes, n);
    r->len += n;
}

static inline void naive_guard(struct naive *r, const char *text, size_t n, bool enforce)
{
    struct naive_match matches[NAIVE_MATCHES];
    size_t count = naive_matches(text, n, enforce, matches), covered = 0;
    r->len = r->n_hits = 0;
    for (size_t i = 0; i < count; i++) {
        const struct naive_match *m = &matches[i];
        if (m->begin < covered) {
            assert(m->end <= covered); /* matches lie in each other or apart */
            continue;
        }
        if (enforce)
            naive_copy(r, text + covered, m->begin - covered);
        r->hits[r->n_hits++] = (struct guard_hit){enforce ? r->len : m->decided, m->rule};
        if (enforce && m->rule == GUARD_PRIVATE_KEY)
            naive_copy(r, "[BLOCKED]", 9);
        else if (enforce)
            naive_copy(r, "[REDACTED]", 10);
        covered = m->end;
    }
    if (!enforce)
        covered = 0;
    if (covered < n)
        naive_copy(r, text + covered, n - covered);
}

#endif
