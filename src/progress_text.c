/* How much of a line a text takes, and how numbers read in it. Pure functions, any thread. */
#include "progress_text.h"

#include <inttypes.h>
#include <string.h>

#include "ndjson.h"
#include "output.h"

/* Bytes of the character at p, which is valid UTF-8. */
static size_t character(const char *p)
{
    unsigned char c = (unsigned char)*p;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* How many columns it may take. From U+1100 on there are wide ones; what of them is not only makes
 * a line shorter than it could be. */
static size_t width(const char *p)
{
    unsigned char c = (unsigned char)p[0];
    return c > 0xE1 || (c == 0xE1 && (unsigned char)p[1] >= 0x84) ? 2 : 1;
}

size_t text_columns(const char *text)
{
    size_t columns = 0;
    for (; *text; text += character(text))
        columns += width(text);
    return columns;
}

size_t text_add_cut(struct buf *out, const char *text, size_t columns)
{
    static const char more[] = "…";
    size_t used = 0, limit = columns;
    if (text_columns(text) > columns)
        limit = columns < width(more) ? 0 : columns - width(more);
    for (; *text && used + width(text) <= limit; text += character(text)) {
        used += width(text);
        buf_add(out, text, character(text));
    }
    if (!*text || columns < width(more))
        return used;
    buf_addstr(out, more);
    return used + width(more);
}

/* Decimal units, and never more than there is. */
void text_add_size(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    uint64_t unit = 1;
    size_t i = 0;
    for (; bytes / unit >= 1000; i++)
        unit *= 1000;
    if (i == 0)
        buf_addf(out, "  %" PRIu64 " B", bytes);
    else
        buf_addf(out, "  %" PRIu64 ".%" PRIu64 " %s", bytes / unit, bytes / (unit / 10) % 10,
                 units[i]);
}

void text_add_duration(struct buf *out, int64_t ms)
{
    int64_t s = ms > 0 ? ms / 1000 : 0;
    if (s < 60)
        buf_addf(out, "  %" PRId64 ".%" PRId64 " s", s, ms > 0 ? ms % 1000 / 100 : 0);
    else if (s < 3600)
        buf_addf(out, "  %" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        buf_addf(out, "  %" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
}

char *text_safe(const char *text)
{
    size_t n = strlen(text);
    struct buf clean = BUF_INIT, safe = BUF_INIT;
    char *room = buf_room(&clean, n * NDJSON_CLEAN_GROWTH);
    if (room)
        clean.len = ndjson_clean(room, text, n);
    for (size_t i = 0, step; i < clean.len; i += step) {
        const char *p = clean.data + i;
        step = output_control(p);
        if (step > 0)
            buf_addf(&safe, "\\x%02x", (unsigned char)p[step - 1]);
        else
            buf_add(&safe, p, step = character(p));
    }
    buf_release(&clean);
    return buf_detach(&safe);
}
