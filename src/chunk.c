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

void stream_reset(struct stream *s, const char *name)
{
    s->len = 0;
    s->first_ns = 0;
    s->tail.total = 0;
    s->name = name;
}

bool stream_full(const struct stream *s)
{
    return s->len == STREAM_BYTES;
}

ssize_t stream_read(struct stream *s, int fd, int64_t now_ns)
{
    ssize_t n;
    do
        n = read(fd, s->raw + s->len, STREAM_BYTES - s->len);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        tail_add(&s->tail, s->raw + s->len, (size_t)n);
        if (s->len == 0)
            s->first_ns = now_ns;
        s->len += (size_t)n;
    }
    return n;
}

void stream_consume(struct stream *s, size_t n)
{
    s->len -= n;
    memmove(s->raw, s->raw + n, s->len);
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
    size_t wrote = ndjson_escape(c->bytes + CHUNK_HEAD, room, s->raw, s->len, &used);
    *end = CHUNK_HEAD + wrote;
    bool full = room - wrote < NDJSON_GROWTH;
    bool unfinished = !last && ndjson_unfinished(s->raw + used, s->len - used) == s->len - used;
    if (used == s->len || full || unfinished || used >= TEXT_PREFIX_MIN)
        return used;
    size_t n = s->len < CHUNK_BINARY_BYTES ? s->len : CHUNK_BINARY_BYTES;
    if (!last || n < s->len)
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

char *tail_text(const struct tail *t)
{
    size_t n = t->total < TAIL_BYTES ? (size_t)t->total : TAIL_BYTES;
    size_t at = t->total < TAIL_BYTES ? 0 : t->total % TAIL_BYTES;
    char *flat = malloc(n + 1);
    if (!flat)
        return NULL;
    memcpy(flat, t->ring + at, n - at < n ? n - at : n);
    if (at > 0)
        memcpy(flat + (n - at), t->ring, at);
    size_t skip = 0; /* the rest of a character whose start is gone */
    while (t->total > TAIL_BYTES && skip < 3 && skip < n && ((unsigned char)flat[skip] & 0xC0) == 0x80)
        skip++;
    char *text = malloc((n - skip) * NDJSON_CLEAN_GROWTH + 1);
    if (text)
        text[ndjson_clean(text, flat + skip, n - skip)] = '\0';
    free(flat);
    return text;
}
