/* Owns sorted lists of names. Any thread, one at a time per list. */
#include "named.h"

#include <stdlib.h>
#include <string.h>

int named_add(struct named_list *list, const char *name, cJSON *item)
{
    if ((list->n & (list->n - 1)) == 0) { /* full at every power of two */
        size_t cap = list->n ? list->n * 2 : 1;
        struct named *grown = realloc(list->at, cap * sizeof *grown);
        if (!grown)
            return -1;
        list->at = grown;
    }
    list->at[list->n] = (struct named){name, item, list->n};
    list->n++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

void named_sort(struct named_list *list)
{
    if (list->n > 1)
        qsort(list->at, list->n, sizeof *list->at, by_name);
}

const struct named *named_find(const struct named_list *list, const char *name)
{
    size_t low = 0, high = list->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->at[middle].name, name);
        if (order == 0)
            return &list->at[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void named_release(struct named_list *list)
{
    free(list->at);
    *list = (struct named_list){0};
}
