/* Owns the way from a command's bytes to lines that are shown. One thread. */
#include "shown.h"

#include <string.h>

#include "bounds.h"
#include "ndjson.h"
#include "output.h"

/* Length of the sequence at p that sets colours and the like, or 0. */
static size_t sgr(const char *p, size_t n)
{
    size_t i = 2;
    if (n < 3 || p[0] != '\x1b' || p[1] != '[')
        return 0;
    while (i < n && ((p[i] >= '0' && p[i] <= '9') || p[i] == ';'))
        i++;
    return i < n && p[i] == 'm' ? i + 1 : 0;
}

/* How many bytes at p are printable ASCII or tabs. */
static size_t plain(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && ((p[i] >= 0x20 && p[i] < 0x7F) || p[i] == '\t'))
        i++;
    return i;
}

/* Appends what is at p, which is not plain. Returns its length. */
static size_t add_special(const char *p, size_t n, struct buf *out)
{
    size_t len = ndjson_character(p, n), control = len > 0 ? output_control(p) : 1;
    if (control > 0)
        buf_addf(out, "\\x%02x", (unsigned char)p[control - 1]);
    else
        buf_add(out, p, len);
    return control > 0 ? control : len;
}

void shown_safe(const char *text, size_t n, bool colours, struct buf *out)
{
    bool coloured = false;
    for (size_t i = 0; i < n;) {
        size_t len = plain(text + i, n - i);
        size_t colour = len == 0 && colours ? sgr(text + i, n - i) : 0;
        if (len + colour > 0)
            buf_add(out, text + i, len + colour);
        i += len + colour > 0 ? len + colour : add_special(text + i, n - i, out);
        coloured |= colour > 0;
    }
    if (coloured)
        buf_addstr(out, "\x1b[0m");
}

/* Shows the first n bytes of what is gathered, and with `whole` a newline. */
static void put(struct shown *s, const struct shown_style *style, size_t n, bool whole,
                struct buf *out)
{
    size_t shown = n;
    if (style->prefix && !s->open)
        buf_addstr(out, style->prefix);
    if (style->terminal && whole && n > 0 && s->rest.data[n - 1] == '\r')
        shown--;
    if (style->terminal && shown > 0)
        shown_safe(s->rest.data, shown, style->colours, out);
    else if (shown > 0)
        buf_add(out, s->rest.data, shown);
    if (whole)
        buf_addch(out, '\n');
    s->open = !whole;
    if (n < s->rest.len)
        memmove(s->rest.data, s->rest.data + n, s->rest.len - n);
    s->rest.len -= n;
}

/* Gathers a part of a line; what is too long goes out in pieces, never in the middle of a
 * character. */
static void gather(struct shown *s, const struct shown_style *style, const char *bytes, size_t n,
                   struct buf *out)
{
    while (n > 0 && !s->rest.failed) {
        size_t len = s->rest.len;
        if (len == SHOWN_LINE_BYTES)
            put(s, style, len - ndjson_unfinished(s->rest.data, len), style->prefix, out);
        size_t room = SHOWN_LINE_BYTES - s->rest.len, some = n < room ? n : room;
        buf_add(&s->rest, bytes, some);
        bytes += some;
        n -= some;
    }
    out->failed |= s->rest.failed;
}

/* With no prefix and no terminal nothing has to be looked at. */
static void pass(struct shown *s, const char *bytes, size_t n, struct buf *out)
{
    buf_add(out, bytes, n);
    if (n > 0)
        s->open = bytes[n - 1] != '\n';
}

void shown_add(struct shown *s, const struct shown_style *style, const char *bytes, size_t n,
               struct buf *out)
{
    const char *end = bytes + n, *newline;
    if (!style->prefix && !style->terminal) {
        pass(s, bytes, n, out);
        return;
    }
    while (bytes < end && (newline = memchr(bytes, '\n', (size_t)(end - bytes)))) {
        gather(s, style, bytes, (size_t)(newline - bytes), out);
        put(s, style, s->rest.len, true, out);
        bytes = newline + 1;
    }
    gather(s, style, bytes, (size_t)(end - bytes), out);
}

void shown_end(struct shown *s, const struct shown_style *style, struct buf *out)
{
    if (s->rest.len > 0 || s->open)
        put(s, style, s->rest.len, true, out);
    buf_release(&s->rest);
}
