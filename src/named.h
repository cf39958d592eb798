/* A list of things with names, sorted for look-up and for finding those that share one. Any thread,
 * one at a time per list. */
#ifndef CORCH_NAMED_H
#define CORCH_NAMED_H

#include <cJSON.h>
#include <stddef.h>

struct named {
    const char *name; /* borrowed */
    cJSON *item;      /* borrowed, or NULL */
    size_t order;     /* how many were added before */
};
struct named_list { /* {0} is an empty one */
    struct named *at;
    size_t n;
};

int named_add(struct named_list *list, const char *name, cJSON *item); /* 0, or -1 (ENOMEM) */
void named_sort(struct named_list *list); /* by name, then order; named_find needs it */
const struct named *named_find(const struct named_list *list, const char *name); /* or NULL */
void named_release(struct named_list *list);

#endif
