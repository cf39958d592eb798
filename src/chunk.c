/* Owns streams, their tails, and their encoding into chunk buffers. The worker of the command. */
#include "chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ndjson.h"

#define TRAILER_BYTES ((size_t)128) /* closing quote, timestamp, index, newline */

/* A text chunk shorter than this in front of a byte that is not UTF-8 is not worth a line. */
#define TEXT_PREFIX_MIN ((size_t)4096)

void stream_reset(struct stream *s, const char *name, struct guard *guard, bool enforce)
{
    s->len = s->ready = 0;
    s->first_ns = 0;
    s->tail.total = 0;
    s->name = name;
    s->guard = guard;
    s->enforce = guard && enforce;
    s->guard_lost = false;
    s->n_hits = s->in_at = s->in_len = 0;
    if (guard)
        guard_reset(guard);
}

/* Room for what the guard puts out, with some kept for what it holds back. */
static size_t guarded_room(const struct stream *s)
{
    size_t kept = GUARD_HELD + guard_room(0);
    return STREAM_BYTES - s->len > kept ? STREAM_BYTES - s->len - kept : 0;
}

bool stream_full(const struct stream *s)
{
    if (s->in_at < s->in_len || s->ready < s->len)
        return true;
    return s->enforce ? guarded_room(s) < STREAM_BYTES / 4 : s->len == STREAM_BYTES;
}

/* Adds what the guard let out behind what is ready. */
static void add_ready(struct stream *s, size_t put, const struct guard_hit *hits, size_t n_hits)
{
    for (size_t i = 0; i < n_hits; i++)
        s->hits[s->n_hits++] = (struct guard_hit){s->ready + hits[i].at, hits[i].rule};
    tail_add(&s->tail, s->raw + s->ready, put);
    s->ready += put;
    if (s->len < s->ready)
        s->len = s->ready;
}

/* The most input whose output is sure to fit. */
static size_t feedable(const struct stream *s)
{
    size_t n = s->in_len - s->in_at, room = guarded_room(s);
    while (n > 0 && guard_room(n) > room)
        n /= 2;
    return n;
}

/* The guard can't work. In shadow mode output goes on without it; in enforce mode nothing more may
 * get out (a worker makes sure beforehand that this does not happen). */
static void lose_guard(struct stream *s)
{
    s->guard = NULL;
    s->guard_lost = true;
    s->in_at = s->in_len;
    if (!s->enforce)
        add_ready(s, s->len - s->ready, NULL, 0);
}

/* Has the guard look at what it has not seen, while there is room for its hits. */
static void scan(struct stream *s)
{
    struct guard_hit hits[GUARD_HITS];
    while (s->guard && s->n_hits <= GUARD_HITS) {
        char *in = s->enforce ? s->in + s->in_at : s->raw + s->ready;
        size_t n = s->enforce ? feedable(s) : s->len - s->ready, put = 0, n_hits = 0;
        if (n == 0)
            return;
        long taken = guard_feed(s->guard, in, n, s->raw + s->ready, &put, hits, &n_hits, NULL);
        if (taken < 0) {
            lose_guard(s);
            return;
        }
        s->in_at += s->enforce ? (size_t)taken : 0;
        add_ready(s, put, hits, n_hits);
    }
}

ssize_t stream_read(struct stream *s, int fd, int64_t now_ns, bool *whole)
{
    char *to = s->enforce ? s->in : s->raw + s->len;
    size_t room = s->enforce ? sizeof s->in : STREAM_BYTES - s->len;
    ssize_t n;
    do
        n = read(fd, to, room);
    while (n < 0 && errno == EINTR);
    *whole = n == (ssize_t)room;
    if (n <= 0)
        return n;
    if (s->len == 0)
        s->first_ns = now_ns;
    if (s->enforce) {
        s->in_at = 0;
        s->in_len = (size_t)n;
    } else {
        s->len += (size_t)n;
    }
    if (s->guard || s->enforce)
        scan(s);
    else
        add_ready(s, (size_t)n, NULL, 0);
    return n;
}

void stream_end(struct stream *s)
{
    size_t put = 0;
    if (!s->guard)
        return;
    guard_end(s->guard, s->raw + s->ready, &put);
    add_ready(s, put, NULL, 0);
}

void stream_consume(struct stream *s, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n_hits; i++) {
        if (s->hits[i].at >= n)
            s->hits[kept++] = (struct guard_hit){s->hits[i].at - n, s->hits[i].rule};
    }
    s->n_hits = kept;
    s->len -= n;
    s->ready -= n;
    memmove(s->raw, s->raw + n, s->len);
    scan(s);
}

/* The strictest rule that was hit in raw[0, n). */
static int rule_of(const struct stream *s, size_t n)
{
    int rule = CHUNK_NO_RULE;
    for (size_t i = 0; i < s->n_hits && s->hits[i].at < n; i++)
        rule = (int)s->hits[i].rule > rule ? (int)s->hits[i].rule : rule;
    return rule;
}

/* A line under construction: the data stands at CHUNK_HEAD already, its head goes before it. */
struct line {
    char head[CHUNK_HEAD];
    size_t len;
};

static void put(struct line *l, const char *text)
{
    size_t n = strlen(text);
    memcpy(l->head + l->len, text, n);
    l->len += n;
}

static void put_u64(struct line *l, uint64_t value)
{
    l->len += ndjson_u64(l->head + l->len, value);
}

static void set_head(struct chunk *c, const struct line *l)
{
    c->begin = CHUNK_HEAD - l->len;
    memcpy(c->bytes + c->begin, l->head, l->len);
}

/* Closes the line whose data ends at `end`. */
static void set_trailer(struct chunk *c, size_t end, size_t index, int64_t wall_ms)
{
    static const char stamp[] = "\",\"timestamp\":\"", count[] = "\",\"index\":";
    char *p = c->bytes + end;
    memcpy(p, stamp, sizeof stamp - 1);
    p += sizeof stamp - 1;
    clock_iso(wall_ms, p);
    p += CLOCK_ISO_LEN;
    memcpy(p, count, sizeof count - 1);
    p += sizeof count - 1;
    p += ndjson_u64(p, index);
    memcpy(p, "}\n", 2);
    c->end = (size_t)(p + 2 - c->bytes);
}

/* data and data_base64 of n bytes; returns where the latter ends (its closing quote is missing). */
static size_t put_binary(struct chunk *c, const char *raw, size_t n)
{
    static const char key[] = "\",\"data_base64\":\"";
    size_t end = CHUNK_HEAD + ndjson_escape_lossy(c->bytes + CHUNK_HEAD, raw, n);
    memcpy(c->bytes + end, key, sizeof key - 1);
    end += sizeof key - 1;
    return end + ndjson_base64(c->bytes + end, raw, n);
}

/* Puts the data of one line; returns the bytes it stands for and where it ends. */
static size_t put_data(const struct stream *s, bool last, struct chunk *c, size_t *end)
{
    size_t room = CHUNK_BYTES - CHUNK_HEAD - TRAILER_BYTES, used;
    size_t wrote = ndjson_escape(c->bytes + CHUNK_HEAD, room, s->raw, s->ready, &used);
    *end = CHUNK_HEAD + wrote;
    bool full = room - wrote < NDJSON_GROWTH;
    bool unfinished = !last && ndjson_unfinished(s->raw + used, s->ready - used) == s->ready - used;
    if (used == s->ready || full || unfinished || used >= TEXT_PREFIX_MIN)
        return used;
    size_t n = s->ready < CHUNK_BINARY_BYTES ? s->ready : CHUNK_BINARY_BYTES;
    if (!last || n < s->ready)
        n -= ndjson_unfinished(s->raw, n);
    *end = put_binary(c, s->raw, n);
    return n;
}

size_t stream_encode(const struct stream *s, bool last, struct chunk_context *context,
                     int64_t wall_ms, struct chunk *c)
{
    size_t end, n = put_data(s, last, c, &end);
    if (n == 0)
        return 0;
    c->frame = context->sequence + 2; /* the execution's begin is its first frame */
    c->rule = rule_of(s, n);
    struct line l = {.len = 0};
    put(&l, "{\"type\":\"exec:chunk\",\"correlation_id\":\"");
    put(&l, context->correlation_id);
    put(&l, "\",\"attempt\":");
    put_u64(&l, context->attempt);
    put(&l, ",\"stream\":\"");
    put(&l, s->name);
    put(&l, "\",\"sequence\":");
    put_u64(&l, ++context->sequence);
    put(&l, ",\"bytes\":");
    put_u64(&l, n);
    put(&l, ",\"data\":\"");
    set_head(c, &l);
    set_trailer(c, end, context->index, wall_ms);
    return n;
}

void stream_mirror(const struct stream *s, size_t n, const struct chunk_context *context,
                   int64_t wall_ms, struct chunk *c)
{
    struct line l = {.len = 0};
    c->frame = 0;
    c->rule = CHUNK_NO_RULE;
    put(&l, "{\"type\":\"command:");
    put(&l, s->name);
    put(&l, "\",\"data\":\"");
    set_head(c, &l);
    size_t room = CHUNK_BYTES - CHUNK_HEAD - TRAILER_BYTES, used;
    size_t wrote = ndjson_escape(c->bytes + CHUNK_HEAD, room, s->raw, n, &used);
    if (used < n) /* the chunk line is a binary one, and so short enough for this */
        wrote = ndjson_escape_lossy(c->bytes + CHUNK_HEAD, s->raw, n);
    set_trailer(c, CHUNK_HEAD + wrote, context->index, wall_ms);
}

void tail_add(struct tail *t, const char *bytes, size_t n)
{
    if (n > TAIL_BYTES) {
        t->total += n - TAIL_BYTES;
        bytes += n - TAIL_BYTES;
        n = TAIL_BYTES;
    }
    size_t at = t->total % TAIL_BYTES;
    size_t first = n < TAIL_BYTES - at ? n : TAIL_BYTES - at;
    memcpy(t->ring + at, bytes, first);
    memcpy(t->ring, bytes + first, n - first);
    t->total += n;
}

size_t tail_copy(const struct tail *t, char to[TAIL_BYTES])
{
    bool cut = t->total > TAIL_BYTES;
    size_t n = cut ? TAIL_BYTES : (size_t)t->total, at = cut ? t->total % TAIL_BYTES : 0;
    while (cut && n + 3 > TAIL_BYTES && ((unsigned char)t->ring[at] & 0xC0) == 0x80) {
        at = (at + 1) % TAIL_BYTES; /* the rest of a character whose start is gone */
        n--;
    }
    size_t first = n < TAIL_BYTES - at ? n : TAIL_BYTES - at;
    memcpy(to, t->ring + at, first);
    memcpy(to + first, t->ring, n - first);
    return n;
}

char *tail_text(const struct tail *t)
{
    char flat[TAIL_BYTES];
    size_t n = tail_copy(t, flat);
    char *text = malloc(n * NDJSON_CLEAN_GROWTH + 1);
    if (text)
        text[ndjson_clean(text, flat, n)] = '\0';
    return text;
}
