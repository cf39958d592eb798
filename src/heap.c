/* Owns a binary heap. One thread. */
#include "heap.h"

#include <assert.h>
#include <stdlib.h>

int heap_reserve(struct heap *h, size_t n)
{
    if (n <= h->room)
        return 0;
    struct heap_item *items = realloc(h->items, n * sizeof *items);
    if (!items)
        return -1;
    h->items = items;
    h->room = n;
    return 0;
}

int heap_add(struct heap *h, int64_t key, void *value)
{
    if (h->n == h->room && heap_reserve(h, h->room * 2 + 8) != 0)
        return -1;
    size_t at = h->n++;
    for (size_t parent; at > 0 && h->items[parent = (at - 1) / 2].key > key; at = parent)
        h->items[at] = h->items[parent];
    h->items[at] = (struct heap_item){key, value};
    return 0;
}

struct heap_item heap_take(struct heap *h)
{
    assert(h->n > 0);
    struct heap_item top = h->items[0], last = h->items[--h->n];
    size_t at = 0, child;
    while ((child = at * 2 + 1) < h->n) {
        if (child + 1 < h->n && h->items[child + 1].key < h->items[child].key)
            child++;
        if (h->items[child].key >= last.key)
            break;
        h->items[at] = h->items[child];
        at = child;
    }
    h->items[at] = last;
    return top;
}

void heap_release(struct heap *h)
{
    free(h->items);
    *h = (struct heap){0};
}
