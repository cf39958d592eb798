/* Owns struct buf. Any thread, one at a time per buffer. */
#include "buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

char *buf_room(struct buf *b, size_t extra)
{
    if (b->failed)
        return NULL;
    if (b->data && b->cap - b->len > extra)
        return b->data + b->len;
    size_t need = b->len + extra + 1;
    size_t cap = b->cap * 2 > need ? b->cap * 2 : need + 64;
    char *grown = extra < SIZE_MAX / 4 ? realloc(b->data, cap) : NULL;
    if (!grown) {
        b->failed = true;
        return NULL;
    }
    b->data = grown;
    b->cap = cap;
    b->data[b->len] = '\0';
    return b->data + b->len;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    char *to = buf_room(b, n);
    if (!to)
        return;
    if (n)
        memcpy(to, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_addstr(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_addch(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        b->failed = true;
    char *to = n < 0 ? NULL : buf_room(b, (size_t)n);
    if (to) {
        vsnprintf(to, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

char *buf_detach(struct buf *b)
{
    if (!b->data)
        buf_room(b, 0);
    if (b->failed) {
        buf_release(b);
        errno = ENOMEM;
        return NULL;
    }
    char *text = b->data;
    *b = (struct buf)BUF_INIT;
    return text;
}

char *text_join(const char *a, const char *b, const char *c)
{
    struct buf text = BUF_INIT;
    buf_addstr(&text, a);
    buf_addstr(&text, b);
    buf_addstr(&text, c);
    return buf_detach(&text);
}
