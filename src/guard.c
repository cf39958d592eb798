/*
 * Owns the way from the place where a rule may begin to what is hidden: a state machine over the
 * bytes of a stream. A guard belongs to one worker.
 */
#include "guard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "guard_scan.h"

enum { VALUE_UNITS = 6, AKIA_CHARACTERS = 16 };
static_assert(GUARD_HELD == AKIA_CHARACTERS - 1, "what is held back before the last one decides");
static_assert(GUARD_HELD == (VALUE_UNITS - 1) * 3, "a UTF-16 unit is at most 3 bytes of UTF-8");

static const struct {
    const char *name, *reason, *action, *replacement;
} rules[GUARD_RULES] = {
    [GUARD_SENSITIVE_TOKEN] = {"sensitive-token", "detected high-risk token", "redact",
                               "[REDACTED]"},
    [GUARD_PRIVATE_KEY] = {"private-key", "detected private key material", "block", "[BLOCKED]"},
};

#define REPLACEMENT_BYTES (sizeof "[REDACTED]" - 1)

enum state {
    PASS,
    VALUE, /* of a token: up to a blank */
    AKIA,  /* behind AKIA: up to what is not [0-9A-Z] */
    KEY,   /* private, enforced: up to its END line */
};

struct guard {
    bool enforce;
    enum state state;
    bool found;          /* VALUE, AKIA: it is a hit, what follows belongs to it */
    unsigned count;      /* VALUE: UTF-16 units, AKIA: characters seen */
    unsigned unfinished; /* VALUE: bytes that its last character still lacks */
    size_t n_held;
    char held[GUARD_HELD];
    size_t next; /* scan.marks[next, scan.len) are of bytes that are still to be followed */
    struct guard_scan scan;
};

struct feed {
    const char *in;
    size_t n, taken;
    char *out;
    size_t put;
    struct guard_hit *hits;
    size_t n_hits;
};

struct guard *guard_new(bool enforce)
{
    struct guard *g = calloc(1, sizeof *g);
    if (g)
        g->enforce = enforce;
    return g;
}

void guard_free(struct guard *g)
{
    if (g)
        guard_scan_close(&g->scan);
    free(g);
}

void guard_reset(struct guard *g)
{
    g->state = PASS;
    g->n_held = 0;
    g->next = 0;
    guard_scan_reset(&g->scan);
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool goes_on(const struct guard *g, char byte)
{
    unsigned char c = (unsigned char)byte;
    if (g->state == VALUE)
        return !is_blank(c);
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
}

/* UTF-16 units of the character that begins with a byte; 0 if the byte continues one. Without the
 * limit of what a character lacks, stray continuation bytes could be held back without end. */
static unsigned units(struct guard *g, unsigned char c)
{
    if (g->unfinished > 0 && (c & 0xC0) == 0x80) {
        g->unfinished--;
        return 0;
    }
    g->unfinished = c < 0xC2 || c > 0xF4 ? 0 : c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    return g->unfinished == 3 ? 2 : 1;
}

static void emit(const struct guard *g, struct feed *f, const char *bytes, size_t n)
{
    if (!g->enforce)
        return;
    memcpy(f->out + f->put, bytes, n);
    f->put += n;
}

static void release(struct guard *g, struct feed *f)
{
    emit(g, f, g->held, g->n_held);
    g->n_held = 0;
}

static void hit(struct guard *g, struct feed *f, size_t decided_at, enum guard_rule rule)
{
    f->hits[f->n_hits++] = (struct guard_hit){.at = g->enforce ? f->put : decided_at, .rule = rule};
    g->n_held = 0;
    emit(g, f, rules[rule].replacement, strlen(rules[rule].replacement));
}

static void begin(struct guard *g, struct feed *f, enum state state)
{
    release(g, f); /* a blank before a value, which the scan recognised by its last byte */
    g->state = state;
    g->found = false;
    g->count = g->unfinished = 0;
}

/* Acts on what ends with the byte taken last. */
static void take_mark(struct guard *g, struct feed *f)
{
    unsigned char *m = &g->scan.marks[g->next - 1];
    if (*m == 0)
        return;
    if (*m & MARK_KEY_BEGIN && g->state != KEY) {
        hit(g, f, f->taken - 1, GUARD_PRIVATE_KEY);
        g->state = g->enforce ? KEY : PASS;
    } else if (*m & MARK_KEY_END && g->state == KEY) {
        g->state = PASS;
    } else if (*m & MARK_VALUE && (g->state == PASS || (g->state == VALUE && !g->found))) {
        begin(g, f, VALUE);
    } else if (*m & MARK_AKIA && g->state == PASS) {
        begin(g, f, AKIA);
    }
    *m = 0;
    g->scan.marked--;
}

/* How many of the next n bytes there are up to and with the first that is marked. */
static size_t to_mark(const struct guard *g, size_t n)
{
    const unsigned char *marks = g->scan.marks + g->next;
    size_t i = 0;
    if (g->scan.marked == 0)
        return n;
    while (i < n) {
        if (marks[i++])
            break;
    }
    return i;
}

/* The same, but only as far as the hit goes. */
static size_t rest_of_hit(const struct guard *g, const char *in, size_t n)
{
    const unsigned char *marks = g->scan.marks + g->next;
    size_t i = 0;
    while (i < n && goes_on(g, in[i])) {
        if (marks[i++])
            break;
    }
    return i;
}

/* One more byte of what may be a hit. */
static void gather(struct guard *g, struct feed *f, char c)
{
    g->count += g->state == VALUE ? units(g, (unsigned char)c) : 1;
    if (g->count >= (g->state == VALUE ? VALUE_UNITS : AKIA_CHARACTERS)) {
        hit(g, f, f->taken, GUARD_SENSITIVE_TOKEN);
        g->found = true;
    } else if (g->enforce) {
        assert(g->n_held < GUARD_HELD);
        g->held[g->n_held++] = c;
    }
}

/* Follows the state over bytes that have been scanned, up to a mark or until the state changes. */
static void follow(struct guard *g, struct feed *f)
{
    const char *in = f->in + f->taken;
    size_t n = f->n - f->taken, scanned = g->scan.len - g->next;
    n = n < scanned ? n : scanned;
    if (g->state == PASS || g->state == KEY) {
        n = to_mark(g, n);
        if (g->state == PASS)
            emit(g, f, in, n);
    } else if (!goes_on(g, *in)) {
        release(g, f);
        g->state = PASS;
        return;
    } else if (g->found) {
        n = rest_of_hit(g, in, n);
    } else {
        n = 1;
        gather(g, f, *in);
    }
    f->taken += n;
    g->next += n;
    take_mark(g, f);
}

int guard_load(struct guard *g, struct err *e)
{
    return g->scan.stream ? 0 : guard_scan_open(&g->scan, e);
}

static int scan(struct guard *g, const char *in, size_t n, struct err *e)
{
    if (guard_load(g, e) != 0)
        return -1;
    g->next = 0;
    return guard_scan(&g->scan, in, n, e);
}

long guard_feed(struct guard *g, const char *in, size_t n, char *out, size_t *put,
                struct guard_hit hits[GUARD_HITS], size_t *n_hits, struct err *e)
{
    struct feed f = {.in = in, .n = n, .out = out, .hits = hits};
    *put = *n_hits = 0;
    while (f.taken < n && f.n_hits < GUARD_HITS) {
        if (g->next == g->scan.len && scan(g, in + f.taken, n - f.taken, e) != 0) {
            g->n_held = 0;
            return -1;
        }
        follow(g, &f);
    }
    if (!g->enforce) {
        f.put = f.taken;
        if (out != in && f.taken > 0)
            memcpy(out, in, f.taken);
    }
    *put = f.put;
    *n_hits = f.n_hits;
    return (long)f.taken;
}

void guard_end(struct guard *g, char *out, size_t *put)
{
    struct feed f = {.out = out};
    assert(g->next == g->scan.len);
    release(g, &f);
    g->state = PASS;
    *put = f.put;
}

size_t guard_room(size_t n)
{
    return n + GUARD_HELD + GUARD_HITS * REPLACEMENT_BYTES;
}

const char *guard_rule_name(enum guard_rule rule)
{
    return rules[rule].name;
}

const char *guard_reason(enum guard_rule rule, bool enforce)
{
    return enforce ? rules[rule].reason : "shadow-mode";
}

const char *guard_action(enum guard_rule rule, bool enforce)
{
    return enforce ? rules[rule].action : "allow";
}

bool guard_enforced(void)
{
    static const char *const words[] = {"1", "true", "enforce", "on", "yes"};
    const char *text = getenv("CODEX_PRIVACY_GUARD_MODE");
    if (!text)
        text = getenv("CODEX_PRIVACY_GUARD_ENFORCE");
    if (!text)
        return false;
    while (is_blank((unsigned char)*text))
        text++;
    size_t n = strlen(text);
    while (n > 0 && is_blank((unsigned char)text[n - 1]))
        n--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) == n && strncasecmp(text, words[i], n) == 0)
            return true;
    }
    return false;
}
