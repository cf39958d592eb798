/*
 * A growable byte buffer. Its bytes are always followed by a NUL that len does not count.
 * When memory runs out the buffer keeps what it has, `failed` is set and stays set, and later
 * additions do nothing: check once, at the end.
 */
#ifndef CORCH_BUF_H
#define CORCH_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* NULL while empty and never grown */
    size_t len, cap;
    bool failed;
};

#define BUF_INIT {NULL, 0, 0, false}

void buf_release(struct buf *b);             /* frees; the buffer may be used again */
void buf_clear(struct buf *b);               /* empties, keeps the memory, clears `failed` */
char *buf_room(struct buf *b, size_t extra); /* space for `extra` more bytes, or NULL (failed) */
void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_addstr(struct buf *b, const char *text);
void buf_addch(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Hands the bytes to the caller as a string to free(); NULL (ENOMEM) if the buffer failed. */
char *buf_detach(struct buf *b);

/* A new string of the three in a row: free() it; NULL: out of memory. */
char *text_join(const char *a, const char *b, const char *c);

#endif
