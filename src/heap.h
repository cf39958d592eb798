/* A binary heap: what has the smallest key comes out first. Grows, never shrinks. One thread. */
#ifndef CORCH_HEAP_H
#define CORCH_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap {
    struct heap_item {
        int64_t key;
        void *value; /* the caller's */
    } *items;        /* items[0] has the smallest key, if n > 0 */
    size_t n, room;
};

/* Prepares room for `n` items in all: up to there heap_add can't fail. 0, or -1 (ENOMEM). */
int heap_reserve(struct heap *h, size_t n);

int heap_add(struct heap *h, int64_t key, void *value); /* 0, or -1 (ENOMEM) */

/* Takes the item with the smallest key; the heap must not be empty. */
struct heap_item heap_take(struct heap *h);

void heap_release(struct heap *h);

#endif
